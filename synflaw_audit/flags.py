"""Pass 2: the rows that the findings implicate, with the words that are format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from synflaw_audit.measures import Batch, Marker, Marks
from synflaw_audit.phrases import Floats
from synflaw_audit.records import FLAGGED
from synflaw_audit.templates import spans
from synflaw_audit.tokens import Mask, tokenize


@dataclass(frozen=True)
class Flagger:
    """Flags batches of records.

    Attributes:
        markers: The name of each check that warned or failed, and what marks its rows.
    """

    markers: tuple[tuple[str, Marker], ...]

    def flag(self, records: pa.RecordBatch) -> tuple[Mask, pa.RecordBatch, int]:
        """Flags one batch.

        Args:
            records: Schema ``records.RECORDS``.

        Returns:
            Which rows are flagged (bool [rows]), those rows (schema ``records.FLAGGED``), and the
            number of tokens in all answers.
        """
        batch = Batch(records, tokenize(records.column("answer")))
        tokens = int(batch.tokens.counts.sum())
        marks = [(name, marker.mark(batch)) for name, marker in self.markers]
        mask = np.zeros(len(batch), dtype=bool)
        for _, mark in marks:
            mask |= mark.mask
        return mask, _flagged(batch, mask, marks), tokens


def _flagged(batch: Batch, mask: Mask, marks: Sequence[tuple[str, Marks]]) -> pa.RecordBatch:
    rows: list[int] = np.flatnonzero(mask).tolist()
    kept = batch.records.filter(pa.array(mask))
    covered = np.zeros(len(batch.tokens.ids), dtype=bool)
    spared: Floats = np.ones(len(batch))
    for _, mark in marks:
        covered |= mark.covered
        spared = spared * (1 - mark.strength)
    answers = kept.column("answer").to_pylist()
    ranges = [
        [{"start": start, "end": end} for start, end in spans(batch.tokens, covered, row, text)]
        for row, text in zip(rows, answers, strict=True)
    ]
    columns = [
        *kept.columns,
        pa.array([[n for n, m in marks if m.mask[r]] for r in rows], pa.list_(pa.string())),
        pa.array([_template(marks, r) for r in rows], pa.string()),
        pa.array(ranges, FLAGGED.field("template_spans").type),
        pa.array(1 - spared[rows], pa.float64()),
        pa.array([_reason(marks, r) for r in rows], pa.string()),
    ]
    return pa.RecordBatch.from_arrays(
        [column.cast(f.type) for column, f in zip(columns, FLAGGED, strict=True)], schema=FLAGGED
    )


def _template(marks: Sequence[tuple[str, Marks]], row: int) -> str | None:
    named = (m.templates[m.label[row]] for _, m in marks if m.mask[row])
    return next((name for name in named if name is not None), None)


def _reason(marks: Sequence[tuple[str, Marks]], row: int) -> str:
    return "; ".join(m.labels[m.label[row]] for _, m in marks if m.mask[row])
