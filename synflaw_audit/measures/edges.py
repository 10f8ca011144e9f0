"""Opening and closing concentration: how often two answers begin or end with the same words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from synflaw_audit.measures.base import Batch, Marker, Marks, Score
from synflaw_audit.measures.pairs import of_a_kind, pair_share
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.phrases import Floats, numbered
from synflaw_audit.text.templates import SLOT
from synflaw_audit.text.tokens import Ids, Ints, Mask, Tokens, extended

MARKED_SHARE = 0.05  # an edge that fewer records share marks no row
SHOWN = 5


def edges(tokens: Tokens, side: Literal["opening", "closing"], words: int) -> tuple[Ids, Mask]:
    """The hash of each row's first or last tokens, and which rows have such an edge.

    A row with no token beyond its edge is a label or a stock phrase as a whole, not an opening; and
    numbers, line breaks and the marks that end sentences are no words that rows could share.
    """
    ids = numbered(tokens)
    long = tokens.counts > words
    first = tokens.offsets[:-1] + 1 if side == "opening" else tokens.offsets[1:] - 1 - words
    gram = np.zeros(len(tokens), dtype=np.uint64)
    worded = np.zeros(len(tokens), dtype=bool)
    said = ~(tokens.number | tokens.breaks | tokens.stops)
    for place in range(words):
        gram[long] = extended(gram[long], ids[first[long] + place])
        worded[long] |= said[first[long] + place]
    return gram, long & worded


@dataclass(frozen=True)
class EdgeShare:
    """The root of the chance that two records share their first (or last) tokens.

    With p the share of each distinct edge, the score is the square root of sum(p * p), Simpson's
    index ("Measurement of diversity", Nature 1949), as the share of pairs of records, which does
    not depend on their number. If one edge prevails, it is about its share.

    Attributes:
        side: "opening" or "closing".
        words: Tokens compared.
    """

    side: Literal["opening", "closing"]
    words: int = 3

    def __post_init__(self) -> None:
        if self.words < 1:
            raise ValueError(f"words must be at least 1, not {self.words}")

    def score(self, corpus: Corpus) -> Score:
        """The concentration, with the commonest edges."""
        if len(corpus) < 2:
            return Score(0.0, 0.0, 1.0)
        kinds = self._kinds(corpus)
        found = pair_share(of_a_kind(kinds.of, corpus.unit), corpus.unit, root=True)
        shown = [
            {"text": self._text(corpus, int(kinds.first[i])), "share": float(kinds.share[i])}
            for i in np.lexsort((kinds.gram, -kinds.share))[:SHOWN]
            if kinds.share[i] * len(corpus) > 1
        ]
        return replace(found, observed={"commonest": shown})

    def marker(self, corpus: Corpus) -> Marker | None:
        """Marks the records whose edge is among the common ones."""
        kinds = self._kinds(corpus)
        least = max(MARKED_SHARE, 2 / max(len(corpus), 1))
        common = np.flatnonzero(kinds.share >= least)
        verb = "opens" if self.side == "opening" else "closes"
        labels = tuple(
            f"its answer {verb} with “{self._text(corpus, int(kinds.first[i]))}”, "
            f"as {kinds.share[i]:.1%} of the records do"
            for i in common
        )
        return EdgeMarker(self.side, self.words, kinds.gram[common], kinds.share[common], labels)

    def _kinds(self, corpus: Corpus) -> _Kinds:
        gram, long = edges(corpus.answer_tokens, self.side, self.words)
        distinct, first, place = np.unique(gram[long], return_index=True, return_inverse=True)
        of = np.full(len(corpus), -1, dtype=np.int64)
        of[long] = place
        share = np.bincount(place, minlength=len(distinct)) / max(len(corpus), 1)
        return _Kinds(distinct, of, share, np.flatnonzero(long)[first])

    def _text(self, corpus: Corpus, row: int) -> str:
        tokens = corpus.answer_tokens
        if self.side == "opening":
            begin = int(tokens.offsets[row]) + 1
        else:
            begin = int(tokens.offsets[row + 1]) - 1 - self.words
        text: str = corpus.texts("answer")[row].as_py()
        shown, end = "", int(tokens.start[begin])
        for at in range(begin, begin + self.words):
            start, after = int(tokens.start[at]), int(tokens.end[at])
            # Numbers are made equal to be compared: this row's is not that of the others.
            word = SLOT if tokens.number[at] else text[start:after]
            shown, end = shown + text[end:start] + word, after
        return shown


@dataclass(frozen=True, eq=False)
class _Kinds:
    """The distinct edges of a corpus.

    Attributes:
        gram: uint64 [edges], ascending.
        of: int64 [rows], which edge each row has; -1 for none.
        share: float64 [edges], of the rows.
        first: int64 [edges], the first row that has it.
    """

    gram: Ids
    of: Ints
    share: Floats
    first: Ints


@dataclass(frozen=True, eq=False)
class EdgeMarker:
    """Marks the records whose first or last tokens are among the given."""

    side: Literal["opening", "closing"]
    words: int
    common: Ids  # ascending
    shares: Floats
    labels: tuple[str, ...]

    def mark(self, batch: Batch) -> Marks:
        """See ``Marker.mark``."""
        tokens = batch.tokens
        gram, long = edges(tokens, self.side, self.words)
        place = np.minimum(np.searchsorted(self.common, gram), max(len(self.common) - 1, 0))
        mask = long & (self.common[place] == gram) if len(self.common) else np.zeros_like(long)
        covered = np.zeros(len(tokens.ids), dtype=bool)
        first = tokens.offsets[:-1] + 1 if self.side == "opening" else tokens.offsets[1:] - 1
        first = first - (0 if self.side == "opening" else self.words)
        for step in range(self.words):
            covered[first[mask] + step] = True
        strength = np.zeros(len(mask))
        if mask.any():
            strength[mask] = np.sqrt(self.shares[place[mask]])
        label = np.where(mask, place, -1)
        return Marks(mask, covered, strength, label, self.labels, (None,) * len(self.labels))
