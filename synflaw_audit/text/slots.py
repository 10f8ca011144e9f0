"""Slots: what differs between rows that are worded alike, and so is content in a template.

Which phrases recur does not say which of their words are format. "8520 euros is what it costs" is
one phrase in many rows, numbers made equal, and "on Monday in the main hall" may be one in a
seventh of them. A *context* is the format words of a sentence so far, and a word is format only if
nearly all rows with its context share it: as the next word, or after a slot as some word of the
rest of the sentence, because values differ in length. How a sentence begins has no context, so that
the wordings of a soft format, "Certainly!" and "Of course!", remain format; but where a sentence
begins with values ("Oslo is the capital of") they are compared with the words behind them. Few
values look like few wordings there, and are taken for wordings in exclamations alone, which state
no facts: "What a great question!" and "That's a great question!" are format as a whole. A number is
format if nearly all rows have it at its place, counted after the same word: "Step 2:" is, "8520
euros" is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
import pyarrow as pa

from synflaw_audit.text.kernels import slots as kernels
from synflaw_audit.text.kernels.phrases import hash_table
from synflaw_audit.text.phrases import numbered
from synflaw_audit.text.tokens import Ids, Ints, Mask, Places, Tokens, extended, tokenize

ROWS = 4000  # learned from
SEEN = 8  # times a context must have been seen
SHARED = 0.9  # of those times, which make a word format
# Where a few wordings lead to one exclamation, each in so many rows, and together in nearly all.
ALTERNATIVE = 0.15
EXCLAMATION = "!\uff01"
WORDING = 5  # so many words that differ together are a wording of their own, not a value
BEFORE, BEHIND = 1, 2  # words of a context, forwards and backwards
ROUNDS = 8

_BOUND = np.uint64(0xBE5466CF34E90C6C)  # digits of pi again


def _none() -> Ids:
    return np.empty(0, dtype=np.uint64)


@dataclass(frozen=True, eq=False)
class Slots:
    """What is known of the words around slots, see ``learned``.

    Attributes:
        contexts: uint64, ascending, of words and of numbers.
        shared: uint64, ascending, the hash of each context and of a token its rows share.
    """

    contexts: Ids = field(default_factory=_none)
    shared: Ids = field(default_factory=_none)

    @cached_property
    def _tables(self) -> tuple[Ids, Places, Ids, Places]:
        return self.contexts, hash_table(self.contexts), self.shared, hash_table(self.shared)

    def differing(
        self, tokens: Tokens, covered: Mask, rows: Ints, verbatim: Mask | None = None
    ) -> Mask:
        """The covered tokens that are not format but differ between rows: bool [tokens].

        Args:
            tokens: Of a batch.
            covered: bool [tokens], the tokens that something marks.
            rows: int64, the rows to look at; nothing is said of the others.
            verbatim: bool [tokens], those marked because other rows say the very same. Numbers
                among them differ only where rows of a template are known to differ.
        """
        taken, at = tokens.take(rows)
        walk = _Walk(taken, covered[at])
        ahead = walk.numbers(self)
        if verbatim is not None:
            ahead &= ~verbatim[at] | _is_in(walk.places, self.contexts)
        walk.along(self, ahead, backwards=False)
        behind = ahead.copy()
        walk.along(self, behind, backwards=True)
        differs = np.zeros(len(tokens.ids), dtype=bool)
        differs[at] = walk.settled(ahead & behind, behind)
        return differs


def learned(tokens: Tokens, covered: Mask, rows: Ints) -> Slots:
    """Learns which words rows share and which differ.

    Args:
        tokens: Of the rows.
        covered: bool [tokens], what templates cover.
        rows: int64, the rows that follow a template; the first ``ROWS`` of them are looked at.
    """
    taken, at = tokens.take(rows[:ROWS])
    walk = _Walk(taken, covered[at])
    known = _judged(*walk.numbers_seen())
    for backwards in (False, True):
        fixed = known
        before = None
        for _ in range(ROUNDS):
            differs = walk.numbers(known)
            if backwards:
                walk.along(fixed, differs, backwards=False)
            seen = walk.along(known, differs, backwards=backwards)
            if before is not None and (differs == before).all():
                break
            before = differs
            known = _joined(fixed, walk.words_known(*seen, backwards))
    return known


@dataclass(frozen=True)
class _Walk:
    """Tokens to be walked along, and which of them something marks: bool [tokens]."""

    tokens: Tokens
    covered: Mask

    @cached_property
    def ids(self) -> Ids:
        return numbered(self.tokens)

    @cached_property
    def bound(self) -> Mask:
        return self.tokens.breaks | self.tokens.stops

    @cached_property
    def exclaims(self) -> Mask:
        return _is_in(self.tokens.ids, _marks(EXCLAMATION))

    @cached_property
    def places(self) -> Ids:
        """Of the covered numbers."""
        tokens = self.tokens
        return kernels.number_places(self.ids, tokens.number, self.covered, tokens.offsets)

    def numbers_seen(self) -> tuple[Ids, Ids, Ids]:
        """The places of numbers, and every number with its place."""
        at = np.flatnonzero(self.places)
        return self.places[at], self.places[at], self.tokens.ids[at]

    def numbers(self, known: Slots) -> Mask:
        """The covered numbers that are not fixed: bool [tokens]."""
        differs = np.zeros(len(self.ids), dtype=bool)
        at = np.flatnonzero(self.places)
        differs[at] = ~_is_in(extended(self.places[at], self.tokens.ids[at]), known.shared)
        return differs

    def along(self, known: Slots, differs: Mask, *, backwards: bool) -> tuple[Ids, Ids]:
        """Walks along the rows, see ``kernels.walked``."""
        tokens = self.tokens
        return kernels.walked(
            self.ids,
            tokens.ids,
            tokens.offsets,
            self.covered,
            tokens.number,
            tokens.words,
            self.bound,
            self.exclaims,
            backwards,
            BEHIND if backwards else BEFORE,
            *known._tables,
            differs,
        )

    def words_known(self, follows: Ids, opens: Ids, backwards: bool) -> Slots:
        """What a walk tells of the words that are next to their context, and beyond slots."""
        at = np.flatnonzero(follows)
        following = np.where(self.bound[at], _BOUND, self.ids[at])
        beside = _judged(follows[at], follows[at], following, ALTERNATIVE if backwards else SHARED)
        beyond = kernels.beyond(self.ids, self.tokens.row, self.bound, opens, backwards)
        return _joined(beside, _judged(opens[opens > 0], *beyond))

    def settled(self, ahead: Mask, behind: Mask) -> Mask:
        """What differs in the end, see ``kernels.settled``."""
        tokens, differs = self.tokens, np.zeros(len(self.ids), dtype=bool)
        kernels.settled(
            tokens.offsets,
            tokens.start,
            tokens.end,
            self.covered,
            tokens.number,
            tokens.words,
            self.bound,
            ahead,
            behind,
            WORDING,
            differs,
        )
        return differs


@cache
def _marks(characters: str) -> Ids:
    """The tokens that are runs of one of some marks: uint64, ascending."""
    tokens = tokenize(pa.array([mark * times for mark in characters for times in range(1, 5)]))
    return np.unique(tokens.ids[~tokens.breaks])


def _judged(contexts: Ids, at: Ids, tokens: Ids, alternative: float = SHARED) -> Slots:
    """Which contexts are known well enough, and what their rows share.

    Args:
        contexts: As often as they were seen.
        at: The context that a token was seen with.
        tokens: The token.
        alternative: Tokens are alternatives if each has this share and together they have
            ``SHARED``.
    """
    known, times = np.unique(contexts, return_counts=True)
    known, times = known[times >= SEEN], times[times >= SEEN]
    if not len(known):
        return Slots()
    kept = _is_in(at, known)
    at, pairs = at[kept], extended(at[kept], tokens[kept])
    pairs, first, seen = np.unique(pairs, return_index=True, return_counts=True)
    place = np.searchsorted(known, at[first])
    share = seen / times[place]
    common = share >= alternative
    together = np.bincount(place[common], share[common], len(known))
    few = pairs[common & (together[place] >= SHARED)]
    alternatives = extended(few, np.full_like(few, kernels.ALTERNATIVE))
    return Slots(known, np.sort(np.concatenate([pairs[share >= SHARED], alternatives])))


def _joined(one: Slots, other: Slots) -> Slots:
    return Slots(np.union1d(one.contexts, other.contexts), np.union1d(one.shared, other.shared))


def _is_in(values: Ids, table: Ids) -> Mask:
    """Membership in a sorted table."""
    if not len(table):
        return np.zeros(len(values), dtype=bool)
    place = np.minimum(np.searchsorted(table, values), len(table) - 1)
    return np.asarray(table[place] == values)
