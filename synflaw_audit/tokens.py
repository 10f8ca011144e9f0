r"""Text to token ids and character offsets, vectorised; every measure shares it.

A token is a word (letters, marks and digits, with apostrophes inside), a number (with its decimal
marks), one character of a script written without spaces (Han, Hiragana, Katakana, Thai, Lao,
Khmer, Myanmar), a run of one repeated punctuation character (``####``), or a line break (one for
``\n``, another for a blank line). The dots of ``U.S`` are part of the word; other white space only
separates. Letters are folded to lower case, so that an id says which word it is, not how it is
written. Each row is framed by the two ids ``START`` and ``END``, so that "opens with" and "closes
with" are ordinary token sequences.

Ids are 64-bit hashes of the token's characters. No vocabulary is kept: two machines that never
met give a word the same id, and the ids of different words collide with probability 2**-64 a pair.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ids = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SPACE, BREAK, WORD, DIGIT, ALONE, PUNCTUATION = range(6)

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd: invertible modulo 2**64
_MIX = np.uint64(0xBF58476D1CE4E5B9)  # the first multiplier of splitmix64
_LONGEST_HASHED = 64  # characters of a token that enter its hash; longer ones add their length

START = np.uint64(0x243F6A8885A308D3)  # digits of pi: no token hashes to them but by chance
END = np.uint64(0x13198A2E03707344)

# Scripts that do not separate words by spaces: each character is a token.
_ALONE_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # CJK radicals
    (0x3005, 0x3007),  # ideographic iteration mark and zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # CJK extension A
    (0x4E00, 0x9FFF),  # CJK
    (0xF900, 0xFAFF),  # CJK compatibility
    (0xFF66, 0xFF9D),  # half-width Katakana
    (0x20000, 0x3FFFF),  # CJK extensions B and later
)
_APOSTROPHES = (0x27, 0x2019)
_STOPS = tuple(ord(mark) for mark in ".!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964")


@dataclass(frozen=True)
class Tokens:
    """The tokens of a batch of texts.

    Attributes:
        ids: uint64 [tokens], framed by ``START`` and ``END`` in every row.
        start: int64 [tokens], first character of each token in its own row (Python string index).
        end: int64 [tokens], one past its last character; frames are empty spans.
        row: int64 [tokens], the row each token belongs to.
        offsets: int64 [rows + 1], the tokens of row ``r`` are ``offsets[r]:offsets[r + 1]``.
        number: bool [tokens], the token is written in digits alone.
        breaks: bool [tokens], the token is a frame or a line break.
        stops: bool [tokens], the token ends a sentence (``.``, ``!``, ``?`` and their like).
    """

    ids: Ids
    start: Ints
    end: Ints
    row: Ints
    offsets: Ints
    number: Mask
    breaks: Mask
    stops: Mask

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> Ints:
        """Tokens of each row, its two frames not counted: int64 [rows]."""
        return np.diff(self.offsets) - 2


@cache
def _classes() -> npt.NDArray[np.uint8]:
    """The class of every code point, from the Unicode character database that Python ships."""
    table = np.full(0x110000, PUNCTUATION, dtype=np.uint8)
    by_category = {"L": WORD, "M": WORD, "N": WORD, "Z": SPACE, "C": SPACE}
    for point in range(0x110000):
        category = unicodedata.category(chr(point))
        if category[0] in by_category:
            table[point] = DIGIT if category == "Nd" else by_category[category[0]]
    for first, last in _ALONE_RANGES:
        span = table[first : last + 1]
        span[span == WORD] = ALONE
    table[ord("_")] = WORD
    table[[ord("\n"), 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029]] = BREAK
    return table


@cache
def _folded() -> npt.NDArray[np.uint64]:
    """A well mixed 64-bit value for every code point, equal for the cases of one letter."""
    points = np.arange(0x110000, dtype=np.uint64)
    for point in range(0x110000):
        lower = chr(point).lower()
        if len(lower) == 1:
            points[point] = ord(lower)
    points[0x2019] = 0x27
    mixed = (points + np.uint64(1)) * _MULTIPLIER
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MIX
    mixed ^= mixed >> np.uint64(32)
    return mixed


@cache
def _powers() -> npt.NDArray[np.uint64]:
    powers = np.ones(_LONGEST_HASHED, dtype=np.uint64)
    np.multiply.accumulate(np.full(_LONGEST_HASHED - 1, _MULTIPLIER), out=powers[1:])
    return powers


def _code_points(texts: pa.Array) -> tuple[npt.NDArray[np.uint32], Ints]:
    """All characters of all rows end to end, and where each row begins (int64 [rows + 1])."""
    texts = texts.cast(pa.large_string())
    if texts.null_count:
        raise ValueError("texts must not be null")
    bounds = np.frombuffer(texts.buffers()[1], dtype=np.int64)[
        texts.offset : texts.offset + len(texts) + 1
    ]
    data = texts.buffers()[2]
    raw = np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]] if data else np.empty(0, "u1")
    points = np.frombuffer(raw.tobytes().decode("utf-8").encode("utf-32-le"), dtype=np.uint32)
    if len(points) == len(raw):  # ASCII: bytes are characters
        return points, bounds - bounds[0]
    leads = np.zeros(len(raw) + 1, dtype=np.int64)
    np.cumsum((raw & 0xC0) != 0x80, out=leads[1:])
    return points, leads[bounds - bounds[0]]


def _joined(kind: npt.NDArray[np.uint8], points: npt.NDArray[np.uint32], first: Ints) -> None:
    """Makes apostrophes, and dots of abbreviations, in words and marks in numbers part of them."""
    mid = kind == PUNCTUATION
    edges = np.concatenate([first, first - 1])  # a row's first and last characters are not inside
    mid[edges[(edges >= 0) & (edges < len(kind))]] = False
    inner = np.flatnonzero(mid)
    mark, before, after = points[inner], kind[inner - 1], kind[inner + 1]
    apostrophe = np.isin(mark, _APOSTROPHES) & (before == WORD) & (after == WORD)
    decimal = ((mark == ord(".")) | (mark == ord(","))) & (before == DIGIT) & (after == DIGIT)
    abbreviated = (mark == ord(".")) & (before == WORD) & (after == WORD)
    # One letter before, as in U.S, e.g and D.C; what stands before a row's first is another row's.
    abbreviated &= np.isin(inner - 1, first) | (kind[inner - 2] != WORD)
    kind[inner[apostrophe | abbreviated]] = WORD
    kind[inner[decimal]] = DIGIT


def _begins(
    kind: npt.NDArray[np.uint8], points: npt.NDArray[np.uint32], first: Ints
) -> tuple[Mask, Mask]:
    """Which characters begin a token, and which belong to one (white space does not)."""
    inside = kind != SPACE
    lexical = (kind == WORD) | (kind == DIGIT)
    begins = inside.copy()
    begins[1:] &= ~(
        (lexical[1:] & lexical[:-1])
        | ((kind[1:] == BREAK) & (kind[:-1] == BREAK))
        | ((kind[1:] == PUNCTUATION) & (points[1:] == points[:-1]))
    )
    heads = first[first < len(kind)]
    begins[heads] = inside[heads]
    return begins, inside


def _bridged_breaks(kind: npt.NDArray[np.uint8], first: Ints) -> None:
    """Makes white space between two line breaks a break, so that a blank line is one token."""
    edge = np.flatnonzero(kind != SPACE)
    gaps = np.flatnonzero(
        (np.diff(edge) > 1) & (kind[edge[:-1]] == BREAK) & (kind[edge[1:]] == BREAK)
    )
    row = np.searchsorted(first, edge, side="right")
    for gap in gaps[row[gaps] == row[gaps + 1]]:
        kind[edge[gap] : edge[gap + 1]] = BREAK


def tokenize(texts: pa.Array) -> Tokens:
    """Tokenizes a batch of texts.

    Args:
        texts: An Arrow string array without nulls.

    Returns:
        The tokens of all rows, in order.

    Raises:
        ValueError: If a text is null.
    """
    points, first = _code_points(texts)
    rows = len(first) - 1
    kind = _classes()[points]
    if len(kind):
        _joined(kind, points, first)
        _bridged_breaks(kind, first)
    begins, inside = _begins(kind, points, first[:-1])
    head = np.flatnonzero(begins)
    count = np.searchsorted(head, first)  # tokens before each row
    tail = _ends(inside, head)
    ids = _hashes(points, kind, head, tail)
    row = np.repeat(np.arange(rows), np.diff(count))
    number = (kind[head] == DIGIT) & (kind[tail - 1] == DIGIT)
    framed = _framed(ids, head - first[row], tail - first[row], row, count, np.diff(first))
    place = np.arange(len(ids)) + 2 * row + 1
    framed.number[place] = number
    framed.breaks[place] = kind[head] == BREAK
    framed.stops[place] = np.isin(points[head], _STOPS)
    return framed


def _ends(inside: Mask, head: Ints) -> Ints:
    """One past the last character of each token."""
    if not len(head):
        return head
    stops = np.flatnonzero(np.diff(inside.view(np.int8), append=0) == -1) + 1
    gap_end = stops[np.searchsorted(stops, head, side="right")]
    return np.asarray(np.minimum(gap_end, np.append(head[1:], len(inside))))


def _hashes(
    points: npt.NDArray[np.uint32], kind: npt.NDArray[np.uint8], head: Ints, tail: Ints
) -> Ids:
    if not len(head):
        return np.empty(0, dtype=np.uint64)
    length = tail - head
    # A run of punctuation or of line breaks is one token whatever its length beyond a few.
    run = (kind[head] == PUNCTUATION) | (kind[head] == BREAK)
    hashed = np.minimum(length, np.where(run, np.where(kind[head] == BREAK, 2, 4), _LONGEST_HASHED))
    place = np.arange(int(hashed.sum())) - np.repeat(np.cumsum(hashed) - hashed, hashed)
    at = np.repeat(head, hashed) + place
    value = _folded()[np.where(kind[at] == BREAK, np.uint32(0x0A), points[at])] * _powers()[place]
    ids = np.add.reduceat(value, np.cumsum(hashed) - hashed)
    ids += np.where(run, hashed, length).astype(np.uint64)
    ids ^= ids >> np.uint64(31)
    ids *= _MIX
    ids ^= ids >> np.uint64(29)
    return np.asarray(ids, dtype=np.uint64)


def _framed(ids: Ids, start: Ints, end: Ints, row: Ints, count: Ints, lengths: Ints) -> Tokens:
    """Puts START before and END after the tokens of every row."""
    rows = len(lengths)
    place = np.arange(len(ids)) + 2 * row + 1
    offsets = count + 2 * np.arange(rows + 1)
    total = int(offsets[-1])
    framed = Tokens(
        ids=np.empty(total, dtype=np.uint64),
        start=np.zeros(total, dtype=np.int64),
        end=np.zeros(total, dtype=np.int64),
        row=np.repeat(np.arange(rows), np.diff(offsets)),
        offsets=offsets,
        number=np.zeros(total, dtype=bool),
        breaks=np.zeros(total, dtype=bool),
        stops=np.zeros(total, dtype=bool),
    )
    first, last = offsets[:-1], offsets[1:] - 1
    framed.ids[first], framed.ids[last] = START, END
    framed.start[last] = framed.end[last] = lengths
    framed.breaks[first] = framed.breaks[last] = True
    framed.ids[place], framed.start[place], framed.end[place] = ids, start, end
    return framed


def extended(gram: Ids, ids: Ids) -> Ids:
    """The hash of a token sequence made one token longer: from that of the sequence and the token.

    The hash of the empty sequence is 0.
    """
    longer = gram * _MULTIPLIER + ids
    longer ^= longer >> np.uint64(32)
    return longer
