"""Plain versions of the compiled loops: slow, and short enough to be seen to be right."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise, takewhile

import numpy as np
import pyarrow as pa

from synflaw_audit.text.characters import _ALONE_RANGES, _STOPS
from synflaw_audit.text.templates import spans
from synflaw_audit.text.tokens import (
    _ABBREVIATIONS,
    _BEFORE_NUMBERS,
    _LETTERS,
    END,
    START,
    Mask,
    Tokens,
)

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
    number = [kinds[a] == "digit" and kinds[b - 1] == "digit" for a, b in found]
    inner = [
        (
            id_of(text[a:b], kinds[a]),
            a,
            b,
            number[i],
            kinds[a] == "break",
            ord(text[a]) in _STOPS and not abbreviates(text, found, i, any(number[i + 1 : i + 2])),
        )
        for i, (a, b) in enumerate(found)
    ]
    start, end = (int(START), 0, 0, False, True, False), (int(END), len(text), len(text))
    return [start, *inner, (*end, False, True, False)]


def folded(word: str) -> str:
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in word)


LETTERS = {folded(chr(point)) for point in range(_LETTERS) if chr(point).isalpha()}


def abbreviates(text: str, found: list[tuple[int, int]], i: int, before_number: bool) -> bool:
    """Whether a token is the dot of an abbreviation or an initial inside a line."""
    start, end = found[i]
    if i + 1 == len(found) or kind_of(text[found[i + 1][0]]) == "break":
        return False
    if text[start:end] != "." or not i or found[i - 1][1] != start:
        return False
    word = folded(text[found[i - 1][0] : start])
    if before_number and word in _BEFORE_NUMBERS.split():
        return True
    return word in LETTERS or word in _ABBREVIATIONS.split()


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


@dataclass(frozen=True)
class SlotRow:
    """One row of tokens for the walks that find slots, as parallel lists."""

    ids: list[int]
    exact: list[int]
    covered: list[bool]
    number: list[bool]
    word: list[bool]
    bound: list[bool]
    exclaims: list[bool]


def number_places_of(row: SlotRow) -> list[int]:
    """The hash of what a covered number comes after, and how many numbers did so before it."""
    places = [0] * len(row.ids)
    seen: Counter[int] = Counter()
    for at in range(1, len(row.ids)):
        if row.number[at]:
            before = row.ids[at - 1]
            if row.covered[at]:
                places[at] = longer(longer(longer(0, 3), before), min(seen[before], 64))
            seen[before] += 1
    return places


def walk_of(
    row: SlotRow,
    differs: list[bool],
    *,
    backwards: bool,
    least: int,
    contexts: set[int],
    shared: set[int],
) -> tuple[list[int], list[int]]:
    """One row of ``kernels.slots.walked``: what each token follows, and the slots that it opens."""
    size = len(row.ids)
    follows, opens = [0] * size, [0] * size
    step = -1 if backwards else 1
    start = longer(0, 2 if backwards else 1)

    def is_format(at: int) -> bool:
        return row.covered[at] and not differs[at]

    context, words, in_slot, exclamation = start, 0, False, False
    for i in range(size)[::step]:
        compared = words >= least
        if compared and not in_slot:
            follows[i] = context
        if row.bound[i]:
            context, words, in_slot, exclamation = start, 0, False, row.exclaims[i]
            continue
        if row.number[i]:
            if is_format(i):
                differs[i] = not (row.bound[i - 1] or is_format(i - 1))
        elif row.covered[i] and compared and context in contexts:
            found = {longer(context, row.ids[i])}
            if is_format(i) and exclamation and (row.bound[i + step] or is_format(i + step)):
                found.add(longer(longer(context, row.ids[i]), 5))
            differs[i] = not found & shared
        if is_format(i):
            context, in_slot = longer(context, row.exact[i]), False
            words += row.word[i]
        elif words and not in_slot:
            context, in_slot = longer(context, 4), True
            if compared and (row.covered[i] or row.number[i]):
                opens[i] = context
        if not row.covered[i] and not row.number[i]:
            words = 0
    return follows, opens


def beyond_of(row: SlotRow, opens: list[int], *, backwards: bool) -> list[tuple[int, int]]:
    """Each slot's context with every token of the rest of its sentence, in order, each once."""
    found: list[tuple[int, int]] = []
    for i, context in enumerate(opens):
        rest = range(i - 1, -1, -1) if backwards else range(i + 1, len(row.ids))
        sentence = takewhile(lambda at: not row.bound[at], list(rest)[:63])
        if context:
            found += [(context, word) for word in dict.fromkeys(row.ids[at] for at in sentence)]
    return found


def sentences_of(row: SlotRow) -> list[list[int]]:
    """The places between each two bounds."""
    bounds = [i for i, bound in enumerate(row.bound) if bound]
    return [list(range(a + 1, b)) for a, b in pairwise(bounds)]


def runs_of(places: Sequence[int], held: Callable[[int], bool]) -> list[list[int]]:
    """The longest runs of places that hold."""
    return [list(run) for holds, run in groupby(places, held) if holds]


def settled_of(
    row: SlotRow,
    touching: list[bool],
    ahead: list[bool],
    behind: list[bool],
    stretch: int,
) -> list[bool]:
    """One row of ``kernels.slots.settled``; ``touching``: no space parts a token from the last."""
    every = range(len(row.ids))
    differs = list(ahead)
    for places in ([i for i in every if row.bound[i]], *sentences_of(row)):
        for i in places:
            differs[i] |= behind[i]
            if row.covered[i] and row.word[i] and not differs[i] and not row.bound[i]:
                break
    for run in runs_of(every, lambda i: row.covered[i] and differs[i]):
        if run[-1] + 1 < len(every) and sum(row.word[i] for i in run) >= stretch:
            for i in run:
                differs[i] = row.number[i]
    mark = [not (row.word[i] or row.number[i] or row.bound[i]) for i in every]
    piece: list[int] = []
    for i in [*every, len(every)]:
        if piece and (i == len(every) or not touching[i]):
            spread(row, piece, mark, differs)
            piece = []
        piece.append(i)
    return differs


def spread(row: SlotRow, piece: list[int], mark: list[bool], differs: list[bool]) -> None:
    """All of a piece of text between its first value and its last is one value."""
    values = [i for i in piece if differs[i] or (row.number[i] and not row.covered[i])]
    if not values:
        return
    left, right = values[0], values[-1]
    while left - 2 >= piece[0] and row.number[left - 2] and mark[left - 1]:
        left -= 2
    while right + 2 <= piece[-1] and row.number[right + 2] and mark[right + 1]:
        right += 2
    differs[left : right + 1] = [True] * (right + 1 - left)
