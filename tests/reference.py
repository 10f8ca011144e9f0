"""Plain versions of the compiled loops: slow, and short enough to be seen to be right."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from synflaw_audit.text.templates import spans
from synflaw_audit.text.tokens import _ALONE_RANGES, _STOPS, END, START, Mask, Tokens

WRAP = (1 << 64) - 1
MULTIPLIER, MIX = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9

# id, start, end, number, break, ends a sentence
Token = tuple[int, int, int, bool, bool, bool]


def kind_of(character: str) -> str:
    point = ord(character)
    if character in "\n\x0b\x0c\r\x85\u2028\u2029":
        return "break"
    category = unicodedata.category(character)
    if character != "_" and category[0] in "ZC":
        return "space"
    if category == "Nd":
        return "digit"
    if character == "_" or category[0] in "LMN":
        alone = any(first <= point <= last for first, last in _ALONE_RANGES)
        return "alone" if alone and character != "_" else "word"
    return "punctuation"


def kinds_of(text: str) -> list[str]:
    plain = [kind_of(character) for character in text]
    kinds = list(plain)
    for i in range(1, len(text) - 1):
        if plain[i] != "punctuation":
            continue
        around = (plain[i - 1], plain[i + 1])
        single = i == 1 or plain[i - 2] != "word"
        if around == ("word", "word") and (text[i] in "'\u2019" or (text[i] == "." and single)):
            kinds[i] = "word"
        if around == ("digit", "digit") and text[i] in ".,":
            kinds[i] = "digit"
    breaks = [i for i, kind in enumerate(kinds) if kind == "break"]
    for before, after in pairwise(breaks):
        if all(kind == "space" for kind in kinds[before + 1 : after]):
            kinds[before:after] = ["break"] * (after - before)
    return kinds


def tokens_of(text: str) -> list[Token]:
    """The tokens of one text between its two frames."""
    kinds = kinds_of(text)
    found: list[tuple[int, int]] = []
    for i, kind in enumerate(kinds):
        if kind == "space":
            continue
        before = kinds[i - 1] if i else ""
        goes_on = (
            (kind in ("word", "digit") and before in ("word", "digit"))
            or (kind == before == "break")
            or (kind == before == "punctuation" and text[i] == text[i - 1])
        )
        if goes_on:
            found[-1] = (found[-1][0], i + 1)
        else:
            found.append((i, i + 1))
    inner = [
        (
            id_of(text[a:b], kinds[a]),
            a,
            b,
            kinds[a] == "digit" and kinds[b - 1] == "digit",
            kinds[a] == "break",
            ord(text[a]) in _STOPS,
        )
        for a, b in found
    ]
    start, end = (int(START), 0, 0, False, True, False), (int(END), len(text), len(text))
    return [start, *inner, (*end, False, True, False)]


def id_of(word: str, kind: str) -> int:
    most = {"punctuation": 4, "break": 2}.get(kind)
    if kind == "break":  # a carriage return and line feed end one line
        word = "".join(c for c in word.replace("\r\n", "\n") if kind_of(c) == "break")
    shown = word[: most or 64]
    value = 0
    for place, character in enumerate(shown):
        lower = character.lower() if len(character.lower()) == 1 else character
        point = 10 if kind == "break" else 0x27 if lower == "\u2019" else ord(lower)
        value += mixed(point) * pow(MULTIPLIER, place, 1 << 64)
    value = (value + (len(shown) if most else len(word))) & WRAP
    value ^= value >> 31
    value = value * MIX & WRAP
    return value ^ value >> 29


def mixed(point: int) -> int:
    value = (point + 1) * MULTIPLIER & WRAP
    value ^= value >> 29
    value = value * MIX & WRAP
    return value ^ value >> 32


def longer(gram: int, token: int) -> int:
    value = (gram * MULTIPLIER + token) & WRAP
    return value ^ value >> 32


def occurrences_of(
    phrases: dict[tuple[int, ...], int], rows: Sequence[Sequence[int]]
) -> set[tuple[int, int, int]]:
    """(first token counted over all rows, length, phrase) of every occurrence."""
    found, first = set(), 0
    for row in rows:
        for at in range(len(row)):
            for words, phrase in phrases.items():
                if tuple(row[at : at + len(words)]) == words:
                    found.add((first + at, len(words), phrase))
        first += len(row)
    return found


def holders_of(rows: Sequence[Sequence[int]], unit: Sequence[int]) -> dict[int, tuple[int, int]]:
    """For each value, how many rows and how many units hold it."""
    held: dict[int, set[int]] = defaultdict(set)
    units: dict[int, set[int]] = defaultdict(set)
    for r, row in enumerate(rows):
        for value in row:
            held[value].add(r)
            units[value].add(unit[r])
    return {value: (len(held[value]), len(units[value])) for value in held}


def spans_in(text: str, tokens: Sequence[Token], covered: Sequence[bool]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    edges = np.flatnonzero(np.diff([0, *map(int, covered), 0]))
    for begin, stop in zip(edges[::2], edges[1::2], strict=True):
        if tokens[begin][5] and stop - begin > 1:
            begin += 1
        start, end = tokens[begin][1], tokens[stop - 1][2]
        if start == end:
            continue
        while start > 0 and text[start - 1].isspace():
            start -= 1
        while end < len(text) and text[end].isspace():
            end += 1
        if found and start <= found[-1][1]:
            start = found.pop()[0]
        found.append((start, end))
    return found


def spans_of_row(text: str, tokens: Tokens, covered: Mask, row: int) -> list[tuple[int, int]]:
    """What ``templates.spans`` says of one row."""
    return spans(pa.array([text]), tokens, covered, np.array([row]))[0]
