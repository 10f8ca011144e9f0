"""Text to code points, tokens and hashes."""

from __future__ import annotations

import numpy as np

from synflaw_audit.text.kernels import (
    MIX,
    Bytes,
    Ids,
    Ints,
    Mask,
    Places,
    Points,
    called,
    compiled,
    inlined,
)

_29, _31, _32, _33 = np.uint64(29), np.uint64(31), np.uint64(32), np.uint64(33)

SPACE, BREAK, WORD, DIGIT, ALONE, PUNCTUATION = range(6)

START = np.uint64(0x243F6A8885A308D3)  # digits of pi: no token hashes to them but by chance
END = np.uint64(0x13198A2E03707344)
LONGEST_HASHED = 64  # characters of a token that enter its hash; longer ones add their length
_LONGEST_RUN, _LONGEST_BREAK = 4, 2  # runs of marks or line breaks are told apart up to here

_APOSTROPHE, _QUOTE, _STOP, _COMMA, _NEWLINE, _RETURN = 0x27, 0x2019, 0x2E, 0x2C, 0x0A, 0x0D


@inlined
def decode(raw: Bytes, first: int, last: int, points: Points) -> int:
    """Writes the code points of valid UTF-8 and returns how many there are."""
    size, at = 0, first
    while at < last:
        lead = np.uint32(raw[at])
        if lead < 0x80:
            points[size] = lead
            at += 1
        elif lead < 0xE0:
            points[size] = ((lead & 0x1F) << 6) | (raw[at + 1] & 0x3F)
            at += 2
        elif lead < 0xF0:
            points[size] = (
                ((lead & 0x0F) << 12)
                | ((np.uint32(raw[at + 1]) & 0x3F) << 6)
                | (np.uint32(raw[at + 2]) & 0x3F)
            )
            at += 3
        else:
            points[size] = (
                ((lead & 0x07) << 18)
                | ((np.uint32(raw[at + 1]) & 0x3F) << 12)
                | ((np.uint32(raw[at + 2]) & 0x3F) << 6)
                | (np.uint32(raw[at + 3]) & 0x3F)
            )
            at += 4
        size += 1
    return size


@inlined
def classify(points: Points, size: int, classes: Bytes, kinds: Bytes) -> None:
    """The class of each character of a row; marks inside words and numbers are part of them.

    Those are apostrophes, the dots of abbreviations (one letter before, as in U.S and e.g) and
    decimal marks.
    """
    for i in range(size):
        kinds[i] = classes[points[i]]
    two_before = one_before = SPACE  # as they were before any mark was joined
    for i in range(size):
        kind = kinds[i]
        if kind == PUNCTUATION and 0 < i < size - 1:
            mark, after = points[i], kinds[i + 1]
            if one_before == WORD and after == WORD:
                single = i == 1 or two_before != WORD
                if mark in (_APOSTROPHE, _QUOTE) or (mark == _STOP and single):
                    kinds[i] = WORD
            elif one_before == DIGIT and after == DIGIT and mark in (_STOP, _COMMA):
                kinds[i] = DIGIT
        two_before, one_before = one_before, kind


@inlined
def token_end(points: Points, kinds: Bytes, size: int, first: int) -> int:
    """One past the last character of the token that begins at ``first``."""
    kind, end = kinds[first], first + 1
    if kind in (WORD, DIGIT):
        while end < size and kinds[end] in (WORD, DIGIT):
            end += 1
    elif kind == PUNCTUATION:
        while end < size and kinds[end] == PUNCTUATION and points[end] == points[first]:
            end += 1
    elif kind == BREAK:
        # White space between two line breaks is part of the break: a blank line is one token.
        ahead = end
        while ahead < size and kinds[ahead] in (BREAK, SPACE):
            ahead += 1
            if kinds[ahead - 1] == BREAK:
                end = ahead
    return end


@inlined
def lines_ended(points: Points, kinds: Bytes, first: int, end: int) -> int:
    """How many lines the token of line breaks ends: a carriage return and line feed end one."""
    lines = 0
    for i in range(first, end):
        pair = i > first and points[i] == _NEWLINE and points[i - 1] == _RETURN
        lines += kinds[i] == BREAK and not pair
    return lines


@inlined
def token_id(
    points: Points, kinds: Bytes, first: int, end: int, mixed: Ids, powers: Ids
) -> np.uint64:
    """The hash of a token's characters, letter case folded by ``mixed``."""
    kind, size = kinds[first], end - first
    if kind == PUNCTUATION:
        hashed = length = min(size, _LONGEST_RUN)
    elif kind == BREAK:
        hashed = length = min(lines_ended(points, kinds, first, end), _LONGEST_BREAK)
    else:
        hashed, length = min(size, LONGEST_HASHED), size
    value = np.uint64(0)
    for i in range(hashed):
        point = np.uint32(_NEWLINE) if kind == BREAK else points[first + i]
        value += mixed[point] * powers[i]
    value += np.uint64(length)
    value ^= value >> _31
    value *= MIX
    return value ^ (value >> _29)


@compiled
def scan(
    raw: Bytes,
    bounds: Ints,
    classes: Bytes,
    ends_sentence: Mask,
    mixed: Ids,
    powers: Ids,
    ids: Ids,
    start: Places,
    end: Places,
    row: Places,
    offsets: Ints,
    number: Mask,
    breaks: Mask,
    stops: Mask,
    words: Mask,
) -> None:
    """Tokenizes rows of UTF-8 into the arrays of ``tokens.Tokens``.

    The arrays hold at least as many tokens as ``raw`` has bytes and two more a row.
    """
    longest = 0
    for r in range(len(bounds) - 1):
        longest = max(longest, bounds[r + 1] - bounds[r])
    points, kinds = np.empty(longest, np.uint32), np.empty(longest, np.uint8)
    n = 0
    for r in range(len(bounds) - 1):
        size = decode(raw, bounds[r], bounds[r + 1], points)
        classify(points, size, classes, kinds)
        offsets[r] = n
        ids[n], start[n], end[n], row[n] = START, 0, 0, r
        number[n], breaks[n], stops[n], words[n] = False, True, False, False
        n += 1
        at = 0
        while at < size:
            kind = kinds[at]
            if kind == SPACE:
                at += 1
                continue
            stop = token_end(points, kinds, size, at)
            ids[n] = token_id(points, kinds, at, stop, mixed, powers)
            start[n], end[n], row[n] = at, stop, r
            number[n] = kind == DIGIT and kinds[stop - 1] == DIGIT
            breaks[n] = kind == BREAK
            stops[n] = ends_sentence[points[at]]
            words[n] = kind in (WORD, ALONE) or (kind == DIGIT and not number[n])
            n += 1
            at = stop
        ids[n], start[n], end[n], row[n] = END, size, size, r
        number[n], breaks[n], stops[n], words[n] = False, True, False, False
        n += 1
    offsets[len(bounds) - 1] = n


_P1, _P2 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F)
_P3, _P4 = np.uint64(0x165667B19E3779F9), np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)
_1, _7, _11, _12 = np.uint64(1), np.uint64(7), np.uint64(11), np.uint64(12)
_18, _23, _27, _64 = np.uint64(18), np.uint64(23), np.uint64(27), np.uint64(64)
_SHORT, _LONG = np.int64(4), np.int64(8)  # bytes of a word


@called
def _word(raw: Bytes, at: int, size: np.int64) -> np.uint64:
    value = np.uint64(0)
    for i in range(size):
        value |= np.uint64(raw[at + i]) << np.uint64(8 * i)
    return value


@called
def _turned(value: np.uint64, bits: np.uint64) -> np.uint64:
    return (value << bits) | (value >> (_64 - bits))


@called
def _round(lane: np.uint64, word: np.uint64) -> np.uint64:
    return _turned(lane + word * _P2, _31) * _P1


@inlined
def digest(raw: Bytes, first: int, last: int) -> np.uint64:
    """XXH64 with seed 0 of some bytes (xxHash specification, version 0.1.1)."""
    at = first
    if last - first >= 32:
        a, b, c, d = _P1 + _P2, _P2, np.uint64(0), np.uint64(0) - _P1
        while at <= last - 32:
            a = _round(a, _word(raw, at, _LONG))
            b = _round(b, _word(raw, at + 8, _LONG))
            c = _round(c, _word(raw, at + 16, _LONG))
            d = _round(d, _word(raw, at + 24, _LONG))
            at += 32
        value = _turned(a, _1) + _turned(b, _7) + _turned(c, _12) + _turned(d, _18)
        for lane in (a, b, c, d):
            value = (value ^ _round(np.uint64(0), lane)) * _P1 + _P4
    else:
        value = _P5
    value += np.uint64(last - first)
    while at <= last - 8:
        value = _turned(value ^ _round(np.uint64(0), _word(raw, at, _LONG)), _27) * _P1 + _P4
        at += 8
    if at <= last - 4:
        value = _turned(value ^ (_word(raw, at, _SHORT) * _P1), _23) * _P2 + _P3
        at += 4
    while at < last:
        value = _turned(value ^ (np.uint64(raw[at]) * _P5), _11) * _P1
        at += 1
    value = (value ^ (value >> _33)) * _P2
    value = (value ^ (value >> _29)) * _P3
    return value ^ (value >> _32)


@compiled
def digests(raw: Bytes, bounds: Ints) -> Ids:
    """The XXH64 of every row."""
    found = np.empty(len(bounds) - 1, np.uint64)
    for r in range(len(found)):
        found[r] = digest(raw, bounds[r], bounds[r + 1])
    return found
