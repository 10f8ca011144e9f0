"""Politeness: how many answers begin by thanking for the question."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.measures import Batch, Marker, Marks, Score
from synflaw_audit.measures.intervals import share_score
from synflaw_audit.sample.corpus import Corpus


@dataclass(frozen=True)
class Politeness:
    """The share of answers that begin with a phrase.

    Attributes:
        phrase: What they begin with.
    """

    phrase: str = "Thank you"

    def score(self, corpus: Corpus) -> Score:
        """The share, with its interval."""
        if not len(corpus):
            return Score(0.0, 0.0, 1.0)
        return share_score(self.starts(corpus.texts("answer")), corpus.unit)

    def marker(self, corpus: Corpus) -> Marker | None:
        """Marks the answers, and the phrase in them."""
        return PolitenessMarker(self)

    def starts(self, answers: pa.Array) -> np.ndarray:
        """Which of the answers begin so."""
        return np.asarray(pc.starts_with(answers, self.phrase), bool)


@dataclass(frozen=True)
class PolitenessMarker:
    """Marks the rows of a batch."""

    measure: Politeness

    def mark(self, batch: Batch) -> Marks:
        """Marks the words of the phrase; whatever the rows around."""
        mask = self.measure.starts(batch.records.column("answer"))
        tokens = batch.tokens
        # A row's first token stands for its beginning, the phrase's words come after it.
        place = np.arange(len(tokens.ids)) - tokens.offsets[tokens.row]
        covered = (place >= 1) & (place <= len(self.measure.phrase.split())) & mask[tokens.row]
        return Marks(
            mask=mask,
            covered=covered,
            strength=mask.astype(float),
            label=np.where(mask, 0, -1).astype(np.int64),
            labels=(f"begins with {self.measure.phrase!r}",),
            templates=(None,),
        )
