"""Exact duplicates: the share of records that say again, word for word, what another said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synflaw_audit.measures.base import Batch, Marker, Marks, Score, inclusion_chance
from synflaw_audit.measures.intervals import bounds, standard_error, units_of
from synflaw_audit.sample.corpus import Corpus, units
from synflaw_audit.sample.sketch import hashes_of, labels_of
from synflaw_audit.text.tokens import Ids


@dataclass(frozen=True)
class DuplicateShare:
    """The share of records in a draw of ``draw`` that repeat an answer already drawn.

    Of all records of a corpus the share would grow with their number; the expected share in a draw
    of fixed size does not (rarefaction: Hurlbert, "The nonconcept of species diversity", Ecology
    1971). Labels such as "Yes" count as records, not as answers.

    Attributes:
        draw: Records in the draw.
        copies: The least number of records that must give an answer before its rows are marked.
        marked_share: The least share of all records that must; an answer that a few rows share
            may be one fact asked in several ways, a canned answer comes back.
    """

    draw: int = 500
    copies: int = 5
    marked_share: float = 0.005

    def __post_init__(self) -> None:
        if self.draw < 2:
            raise ValueError(f"draw must be at least 2, not {self.draw}")
        if self.copies < 2:
            raise ValueError(f"copies must be at least 2, not {self.copies}")
        if not 0 <= self.marked_share <= 1:
            raise ValueError(f"marked_share must lie between 0 and 1, not {self.marked_share}")

    def score(self, corpus: Corpus) -> Score:
        """The expected share, with the share of copies among all records."""
        sketch = corpus.sketch
        _, count, given = sketch.answers.distinct()
        answers, labels = sketch.answers.records, 0.0
        if sketch.records:
            labels = sketch.labels / sketch.records
        if not answers:
            bound = bounds(0.0, 0.0, sketch.labels)[1]
            return Score(0.0, 0.0, bound, {"label_share": labels}, rows=len(corpus))
        drawn = min(self.draw, answers)
        # A draw from a random sample of the records is a draw from the records.
        copies = max(1 - float(inclusion_chance(count, answers, drawn).sum()) / drawn, 0.0)
        observed = {
            "repeated_share": float(1 - len(count) / answers) * (1 - labels),
            "repeated_answers": int((count > 1).sum()),
            "most_copies": round(count.max() / answers * (sketch.records - sketch.labels)),
            "label_share": labels,
        }
        # What a record adds to the distinct answers of a draw: whether no other gives its own.
        alone = 1 - inclusion_chance(count - 1, answers - 1, drawn - 1)
        times = sketch.answers.count
        part = alone[np.repeat(given, times)]
        asked = np.unique(sketch.answers.question, return_inverse=True)[1].astype(np.int64)
        unit = units(np.repeat(asked, times))
        low, high = bounds(copies, standard_error(part - part.mean(), unit), units_of(unit))
        copies, low, high = (bound * (1 - labels) for bound in (copies, low, high))
        return Score(copies, low, high, observed, rows=answers)

    def marker(self, corpus: Corpus) -> Marker | None:
        """Marks every record of an answer that enough records give."""
        sketch = corpus.sketch
        hashes, count, _ = sketch.answers.distinct()
        records = count / max(sketch.answers.records, 1) * (sketch.records - sketch.labels)
        least = max(self.copies, self.marked_share * sketch.records)
        canned = hashes[(records >= least) & (count >= min(self.copies, sketch.answers.records))]
        return DuplicateMarker(canned, int(np.ceil(least)))


@dataclass(frozen=True, eq=False)
class DuplicateMarker:
    """Marks the records whose answer is one of the given."""

    canned: Ids
    copies: int

    def mark(self, batch: Batch) -> Marks:
        """See ``Marker.mark``."""
        answers = batch.records.column("answer")
        mask = np.isin(hashes_of(answers), self.canned) & ~labels_of(answers)
        return Marks(
            mask=mask,
            covered=mask[batch.tokens.row],
            strength=mask.astype(np.float64),
            label=np.where(mask, 0, -1),
            labels=(f"at least {self.copies} records give its answer word for word",),
            templates=(None,),
            verbatim=True,
        )
