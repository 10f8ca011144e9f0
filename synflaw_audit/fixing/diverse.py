"""Of rows that are worded alike, those that differ most."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from random import Random
from typing import TypeVar

import xxhash

Row = TypeVar("Row", bound=Hashable)

_MOST_WORDS = 256


def words_of(text: str) -> frozenset[int]:
    """The different words of a text, as hashes; of a long one the smallest of them.

    The smallest hashes of two texts are a fair sample of all of theirs (Broder 1997, bottom-k).
    """
    hashes = {
        xxhash.xxh32_intdigest(word.encode("utf-8", "surrogatepass"))
        for word in text.lower().split()
    }
    return frozenset(sorted(hashes)[:_MOST_WORDS])


def most_different(rows: Mapping[Row, frozenset[int]], count: int, chance: Random) -> set[Row]:
    """So many of some rows, each as far as can be from those chosen before it.

    Farthest-first traversal (Gonzalez 1985) under the Jaccard distance of their words: the least
    distance between two of the chosen is at least half of the largest that any choice could have.

    Args:
        rows: The words of each row.
        count: How many are chosen, at most.
        chance: Draws the first.
    """
    if len(rows) <= count:
        return set(rows)
    names = list(rows)
    chosen: list[Row] = []
    nearest = dict.fromkeys(names, 2.0)
    latest = names[chance.randrange(len(names))]
    while len(chosen) < count:
        chosen.append(latest)
        nearest.pop(latest)
        for name in nearest:
            nearest[name] = min(nearest[name], _distance(rows[name], rows[latest]))
        latest = max(nearest, key=nearest.__getitem__, default=latest)
    return set(chosen)


def _distance(one: frozenset[int], other: frozenset[int]) -> float:
    union = len(one | other)
    return 1 - len(one & other) / union if union else 0.0
