"""Opening and closing concentration: how often two answers begin or end with the same words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from synflaw_audit.measures.base import CONFIDENCE_Z, Batch, Marker, Marks, Score
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.phrases import numbered
from synflaw_audit.text.tokens import Ids, Ints, Mask, Tokens, extended

MARKED_SHARE = 0.05  # an edge that fewer records share marks no row
SHOWN = 5


def edges(tokens: Tokens, side: Literal["opening", "closing"], words: int) -> tuple[Ids, Mask]:
    """The hash of each row's first or last tokens, and which rows are long enough to have one.

    A row with no token beyond its edge is a label or a stock phrase as a whole, not an opening.
    """
    ids = numbered(tokens)
    long = tokens.counts > words
    first = tokens.offsets[:-1] + 1 if side == "opening" else tokens.offsets[1:] - 1 - words
    gram = np.zeros(len(tokens), dtype=np.uint64)
    for place in range(words):
        gram[long] = extended(gram[long], ids[first[long] + place])
    return gram, long


@dataclass(frozen=True)
class EdgeShare:
    """The root of the chance that two records share their first (or last) tokens.

    With p the share of each distinct edge, the score is the square root of sum(p * p), Simpson's
    index ("Measurement of diversity", Nature 1949) in the estimate that does not depend on the
    number of rows, sum(n * (n - 1)) / (N * (N - 1)). If one edge prevails, it is about its share.

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
        total = corpus.sampled
        if total < 2:
            return Score(0.0, 0.0, 1.0)
        gram, long = edges(corpus.answer_tokens, self.side, self.words)
        distinct, first, place = np.unique(gram[long], return_index=True, return_inverse=True)
        count = np.bincount(place, corpus.weight[long], len(distinct))
        value = float(np.sqrt((count * (count - 1)).sum() / (total * (total - 1.0))))
        half = CONFIDENCE_Z * _deviation(count, total, value)
        rows = np.flatnonzero(long)[first]
        order = np.lexsort((distinct, -count))[:SHOWN]
        shown = [
            {"text": self._text(corpus, int(rows[i])), "share": float(count[i] / total)}
            for i in order
            if count[i] > 1
        ]
        low, high = max(value - half, 0.0), min(max(value + half, 3.0 / total), 1.0)
        return Score(value, low, high, {"commonest": shown})

    def marker(self, corpus: Corpus) -> Marker | None:
        """Marks the records whose edge is among the common ones."""
        gram, long = edges(corpus.answer_tokens, self.side, self.words)
        distinct, first, place = np.unique(gram[long], return_index=True, return_inverse=True)
        count = np.bincount(place, corpus.weight[long], len(distinct))
        common = np.flatnonzero(count >= max(MARKED_SHARE * corpus.sampled, 2))
        verb = "opens" if self.side == "opening" else "closes"
        rows = np.flatnonzero(long)[first]
        labels = tuple(
            f"its answer {verb} with “{self._text(corpus, int(rows[i]))}”, "
            f"as {count[i] / corpus.sampled:.1%} of the records do"
            for i in common
        )
        shares = count[common] / max(corpus.sampled, 1)
        return EdgeMarker(self.side, self.words, distinct[common], shares, labels)

    def _text(self, corpus: Corpus, row: int) -> str:
        tokens = corpus.answer_tokens
        if self.side == "opening":
            begin = int(tokens.offsets[row]) + 1
        else:
            begin = int(tokens.offsets[row + 1]) - 1 - self.words
        text: str = corpus.texts("answer")[row].as_py()
        return text[int(tokens.start[begin]) : int(tokens.end[begin + self.words - 1])]


def _deviation(count: Ints, total: int, value: float) -> float:
    """Standard error of the root of Simpson's index, by the delta method (Simpson 1949)."""
    if not value:
        return 0.0
    p = count / total
    variance = max(4.0 * ((p**3).sum() - (p**2).sum() ** 2) / total, 0.0)
    return float(np.sqrt(variance) / (2.0 * value))


@dataclass(frozen=True, eq=False)
class EdgeMarker:
    """Marks the records whose first or last tokens are among the given."""

    side: Literal["opening", "closing"]
    words: int
    common: Ids  # ascending
    shares: np.ndarray[tuple[int], np.dtype[np.float64]]
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
