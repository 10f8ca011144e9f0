"""Refrains: whole sentences that recur beside content that differs, and which word the same thing.

A format of many wordings ("That's a great question!", "Good question!") says each of them in few
rows, too few for a phrase of that length to exceed what language repeats (``phrases``). But what
language repeats stands inside of sentences: a *whole* sentence that begins or ends answers which go
on, or came, with other words each time, is repeated by habit. A passage that is copied from row to
row recurs with the same sentences around it, and is content; a whole answer has none around it.
Sentences that share most of their words are wordings of one thing, and are counted together: the
line that separates idioms from formats is that of the share which all of them have.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from synflaw_audit.text.kernels import MIX, MULTIPLIER
from synflaw_audit.text.occurrences import Occurrences
from synflaw_audit.text.phrases import IDIOM, Floats, Phrases, none, numbered
from synflaw_audit.text.tokens import Ids, Ints, Mask, Tokens, extended

LEAST_UNITS, LEAST_SHARE = 5, 0.001  # hold a refrain
DIFFERENT = 0.75  # so many different sentences stand before it, or behind it, for each unit
AT_EDGE = 0.5  # of its rows, in which nothing but recurring sentences parts it from their bound
WORDS = 2
# Bits of one that others vouch for: they word the same thing, and are no rarer together.
WORDING = 16.0
ALIKE = (0.4, 0.2)  # of the bits of one of two wordings of one thing, and of both, are shared
MOST = 500  # refrains, the commonest


@dataclass(frozen=True)
class Refrains:
    """The refrains of a corpus.

    Attributes:
        phrases: Each with the mark or bound that ends it.
        alike: int64 [2, pairs], those of them that word the same thing.
    """

    phrases: Phrases = field(default_factory=none)
    alike: Ints = field(default_factory=lambda: np.empty((2, 0), dtype=np.int64))


@dataclass(frozen=True)
class _Sentences:
    """The sentences of some rows in order, as parallel arrays [sentences].

    Attributes:
        first: int64, the first token.
        last: int64, the mark or bound that ends it.
        row: int64.
        kind: int64, numbers from 0; sentences of one number are the same.
    """

    first: Ints
    last: Ints
    row: Ints
    kind: Ints

    def neighbours(self, step: int) -> Ints:
        """The kind of the sentence before (-1) or behind (1) each; -1 where its row has none."""
        kind, row = np.roll(self.kind, -step), np.roll(self.row, -step)
        kind[row != self.row] = -1
        if len(kind):
            kind[0 if step < 0 else -1] = -1
        return kind


def refrains(tokens: Tokens, unit: Ints) -> Refrains:
    """Finds the refrains of a corpus.

    Args:
        tokens: The tokens of the rows.
        unit: int64 [rows], see ``phrases.frequent``.
    """
    ids = numbered(tokens)
    said = _sentences(tokens, ids)
    kinds, units = int(said.kind.max(initial=-1)) + 1, int(unit.max(initial=-1)) + 1
    held = _pairs(said.kind, unit[said.row], kinds)
    recurs = held >= max(LEAST_UNITS, LEAST_SHARE * units)
    different = np.maximum(*(_pairs(said.kind, said.neighbours(step), kinds) for step in (-1, 1)))
    opens, closes = _at_edges(said, recurs[said.kind], kinds)
    times = np.bincount(said.kind, minlength=kinds)
    free = recurs & (different >= DIFFERENT * held)
    free &= np.maximum(opens, closes) >= AT_EDGE * times
    share = np.minimum(held / max(units, 1), _pairs(said.kind, said.row, kinds) / max(len(unit), 1))
    example = np.zeros(kinds, dtype=np.int64)
    example[said.kind[::-1]] = np.arange(len(said.kind))[::-1]
    words = np.append(0, np.cumsum(tokens.words))
    worded = words[said.last] - words[said.first] >= WORDS
    found = np.flatnonzero(free & worded[example])
    found = found[np.lexsort((example[found], -share[found]))][:MOST]
    first, last = said.first[example[found]], said.last[example[found]]
    sentences = [ids[a:b] for a, b in zip(first, last, strict=True)]
    # The wordings of one thing do not make its words ordinary.
    bits = _bits(sentences, ids[_outside(said, free, len(ids))])
    kept, alike = _kept(bits, share[found], (opens > closes)[found])
    whole = np.array([sum(bits[sentence].values()) for sentence in kept])
    return Refrains(
        Phrases(
            gram=_grams(ids, first[kept], last[kept]),
            length=(last + 1 - first)[kept],
            example=first[kept],
            share=share[found][kept],
            bits=whole,
            set_off=np.ones(len(kept)),
            margin=whole,
        ),
        alike,
    )


def covered_by(found: Occurrences, said: Phrases, tokens: Tokens) -> Mask:
    """Which refrains hold a formulaic phrase of a template, so that it finds them: bool [refrains].

    The marks and line breaks around a sentence may belong to the phrase.

    Args:
        found: Where the formulaic phrases occur.
        said: The refrains.
        tokens: Of the rows.
    """
    bound = np.flatnonzero(~(tokens.breaks | tokens.stops))
    first, last = said.example, said.example + said.length
    reach = np.concatenate([[-1], bound, [len(tokens.ids)]])
    first = reach[np.searchsorted(bound, first)] + 1
    last = reach[np.searchsorted(bound, last) + 1]
    ends = found.at + found.length
    places = zip(np.searchsorted(found.at, first), np.searchsorted(found.at, last), strict=True)
    inside = [bool((ends[a:b] <= end).any()) for (a, b), end in zip(places, last, strict=True)]
    return np.array(inside, dtype=bool)


def _grams(ids: Ids, first: Ints, last: Ints) -> Ids:
    """The hash of the tokens of each sentence, its last one included: uint64 [sentences]."""
    gram = np.zeros(len(first), dtype=np.uint64)
    for step in range(int((last - first).max(initial=-1)) + 1):
        inside = np.flatnonzero(first + step <= last)
        gram[inside] = extended(gram[inside], ids[first[inside] + step])
    return gram


def _sentences(tokens: Tokens, ids: Ids) -> _Sentences:
    bound = tokens.breaks | tokens.stops
    first = np.flatnonzero(~bound & np.append(True, bound[:-1]))
    ends = np.flatnonzero(bound)
    last = ends[np.searchsorted(ends, first)]
    # The sum over a sentence of its tokens, each mixed with its place.
    begins = np.zeros(len(ids), dtype=np.int64)
    begins[first] = first
    place = (np.arange(len(ids)) - np.maximum.accumulate(begins)).astype(np.uint64)
    mixed = (ids ^ (place * MIX)) * MULTIPLIER
    mixed ^= mixed >> np.uint64(29)
    mixed *= MIX
    summed = np.append(np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64))
    kind = np.unique(summed[last + 1] - summed[first], return_inverse=True)[1]
    return _Sentences(first, last, tokens.row[first].astype(np.int64), kind.astype(np.int64))


def _pairs(kind: Ints, other: Ints, kinds: int) -> Ints:
    """How many different others each kind is seen with: int64 [kinds]."""
    width = int(other.max(initial=0)) + 2
    distinct = np.unique(kind * width + other + 1)
    return np.bincount(distinct // width, minlength=kinds)


def _at_edges(said: _Sentences, recurs: Mask, kinds: int) -> tuple[Ints, Ints]:
    """How often each kind stands at the beginning and at the end of a row: int64 [kinds] each.

    Sentences that recur do not part it from there.
    """
    other = np.append(0, np.cumsum(~recurs))
    starts = np.searchsorted(said.row, said.row, side="left")
    stops = np.searchsorted(said.row, said.row, side="right")
    here = np.arange(len(said.kind))
    opens, closes = other[here] == other[starts], other[stops] == other[here + 1]
    count = (np.bincount(said.kind, held, kinds) for held in (opens, closes))
    return next(count).astype(np.int64), next(count).astype(np.int64)


def _outside(said: _Sentences, kinds: Mask, size: int) -> Mask:
    """The tokens that are in no sentence of these kinds: bool [tokens]."""
    held = kinds[said.kind]
    change = np.zeros(size + 1, dtype=np.int64)
    change[said.first[held]] += 1
    change[said.last[held]] -= 1
    return np.asarray(np.cumsum(change[:-1]) == 0)


def _bits(sentences: list[Ids], outside: Ids) -> list[dict[int, float]]:
    """The information of each sentence's words under the frequencies of other tokens, by word."""
    known = np.unique(np.concatenate([*sentences, np.empty(0, np.uint64)]))
    count = np.zeros(len(known) + 1)
    place = np.searchsorted(known, outside)
    same = np.append(known, np.uint64(0))[place] == outside
    count += np.bincount(place[same], minlength=len(known) + 1)
    found = []
    for sentence in sentences:
        word, times = np.unique(sentence, return_counts=True)
        chance = np.minimum((count[np.searchsorted(known, word)] + 0.5) / max(len(outside), 1), 1)
        found.append(dict(zip(word.tolist(), (-times * np.log2(chance)).tolist(), strict=True)))
    return found


def _kept(bits: list[dict[int, float]], share: Floats, opens: Mask) -> tuple[Ints, Ints]:
    """Which sentences say more than an idiom does, and which of these are alike.

    Args:
        bits: Of each sentence, by word.
        share: float64 [sentences], of the rows and units that hold it.
        opens: bool [sentences], it stands at the beginning rather than the end.

    Returns:
        int64 [kept], and int64 [2, pairs] of numbers among these.
    """
    whole = np.array([sum(words.values()) for words in bits])
    alike = np.zeros((len(bits), len(bits)), dtype=bool)
    enough = np.flatnonzero(whole >= WORDING).tolist()
    for one, other in combinations(enough, 2):
        if opens[one] == opens[other]:
            shared = sum(min(b, bits[other].get(word, 0.0)) for word, b in bits[one].items())
            less, more = sorted((whole[one], whole[other]))
            alike[one, other] = shared >= max(ALIKE[0] * less, ALIKE[1] * (less + more - shared))
    alike |= alike.T
    family = connected_components(csr_matrix(alike), directed=False)[1]
    # A commoner wording is judged by itself, and does not speak for the rarer ones.
    kin = family[:, None] == family[None, :]
    together = (kin * np.minimum(share[:, None], share[None, :])).sum(axis=1)
    floor, slope = IDIOM[0]
    strong = whole > floor - slope * np.log2(np.minimum(together, 1.0))
    vouched = alike[:, strong].any(axis=1) & (share <= kin[:, strong] @ share[strong])
    kept = np.flatnonzero(strong | ((whole >= WORDING) & vouched))
    return kept, np.stack(np.nonzero(alike[np.ix_(kept, kept)]))
