"""Length uniformity: how often two answers are of one length."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow.compute as pc

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.pairs import pair_share, within_reach
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import labels_of


@dataclass(frozen=True)
class LengthUniformity:
    """The chance that the lengths of two answers, in characters, differ by at most ``within``.

    The lengths of free text spread over orders of magnitude: about one pair in twenty is that
    close. A ratio of lengths does not depend on how long answers are, nor a share of pairs on how
    many there are. Answers that are no more than labels do not count.

    Attributes:
        within: Difference in lengths, as a share of the shorter.
    """

    within: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.within < 1:
            raise ValueError(f"within must be between 0 and 1, not {self.within}")

    def score(self, corpus: Corpus) -> Score:
        """The chance, with the spread of lengths."""
        if len(corpus) < 2:
            return Score(0.0, 0.0, 1.0)
        long = ~labels_of(corpus.texts("answer"))
        length = np.asarray(pc.utf8_length(corpus.texts("answer")))[long].astype(np.float64)
        if not len(length):
            return Score(0.0, 0.0, 1.0)
        near = np.zeros(len(corpus))
        # An answer may be empty; a hair more, since a quotient of lengths is not exact.
        reach = np.log1p(self.within) + 1e-9
        near[long] = within_reach(np.log(np.maximum(length, 0.5)), reach, corpus.unit[long])
        tenth, median, ninetieth = np.quantile(length, [0.1, 0.5, 0.9]).tolist()
        observed = {"characters": {"p10": tenth, "median": median, "p90": ninetieth}}
        return replace(pair_share(near, corpus.unit), observed=observed)

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: no single length is at fault."""
        return None
