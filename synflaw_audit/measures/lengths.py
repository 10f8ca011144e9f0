"""Length uniformity: how often two answers are of one length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from synflaw_audit.measures.base import CONFIDENCE_Z, Marker, Score
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import labels_of


@dataclass(frozen=True)
class LengthUniformity:
    """The chance that the lengths of two answers, in characters, differ by at most ``within``.

    The lengths of free text spread over orders of magnitude: about one pair in twenty is that
    close. A ratio of lengths does not depend on how long answers are, nor a share of pairs on how
    many there are. Answers that are no more than labels, and pairs of equal answers, do not count.

    Attributes:
        within: Difference in lengths, as a share of the shorter.
    """

    within: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.within < 1:
            raise ValueError(f"within must be between 0 and 1, not {self.within}")

    def score(self, corpus: Corpus) -> Score:
        """The chance, with the spread of lengths."""
        label = labels_of(corpus.texts("answer"))
        total = corpus.sampled
        length = np.asarray(pc.utf8_length(corpus.texts("answer")))[~label].astype(np.float64)
        weight = corpus.weight[~label].astype(np.float64)
        if total < 2 or not len(length):
            return Score(0.0, 0.0, 1.0)
        order = np.argsort(length, kind="stable")
        length, weight = length[order], weight[order]
        below = np.concatenate([[0.0], np.cumsum(weight)])
        high = np.searchsorted(length, length * (1 + self.within), side="right")
        low = np.searchsorted(length * (1 + self.within), length, side="left")
        # Of each record, the share of others within reach; copies of one row are no pair.
        near = (below[high] - below[low] - weight) / (total - 1)
        value = float((weight * near).sum() / total)
        variance = float((weight * (near - value) ** 2).sum() / total)
        half = CONFIDENCE_Z * 2 * np.sqrt(variance / len(corpus))
        tenth, median, ninetieth = np.quantile(length, [0.1, 0.5, 0.9]).tolist()
        observed = {"characters": {"p10": tenth, "median": median, "p90": ninetieth}}
        most = min(max(value + half, 3.0 / total), 1.0)
        return Score(value, float(max(value - half, 0.0)), float(most), observed)

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: no single length is at fault."""
        return None
