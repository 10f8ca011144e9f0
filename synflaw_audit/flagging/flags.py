"""Pass 2: the rows that the findings implicate, with the words that are format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.measures import Batch, Marker, Marks
from synflaw_audit.records import FLAGGED, SPAN
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.phrases import Floats
from synflaw_audit.text.slots import Slots
from synflaw_audit.text.templates import Spans, spans
from synflaw_audit.text.tokens import Ints, Mask, tokenize


@dataclass(frozen=True)
class Flagger:
    """Flags batches of records.

    Attributes:
        markers: The name of each check that warned or failed, and what marks its rows.
        slots: What differs between rows that are worded alike; whoever marks it, it is no format.
    """

    markers: tuple[tuple[str, Marker], ...]
    slots: Slots = field(default_factory=Slots)

    @classmethod
    def of(cls, corpus: Corpus, markers: Iterable[tuple[str, Marker | None]]) -> Flagger:
        """A flagger of a corpus by the checks that can say which rows are theirs."""
        marking = tuple((name, marker) for name, marker in markers if marker is not None)
        return cls(marking, corpus.answer_templates.slots) if marking else cls(())

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
        return mask, _flagged(batch, mask, marks, self.slots), tokens


def _flagged(
    batch: Batch, mask: Mask, marks: Sequence[tuple[str, Marks]], slots: Slots
) -> pa.RecordBatch:
    rows = np.flatnonzero(mask)
    kept = batch.records.filter(pa.array(mask))
    covered, verbatim = np.zeros((2, len(batch.tokens.ids)), dtype=bool)
    spared: Floats = np.ones(len(batch))
    for _, mark in marks:
        covered |= mark.covered
        if mark.verbatim:
            verbatim |= mark.covered
        spared = spared * (1 - mark.strength)
    covered &= ~slots.differing(batch.tokens, covered, rows, verbatim)
    columns = [
        *kept.columns,
        _checks([name for name, _ in marks], [mark.mask[rows] for _, mark in marks], len(rows)),
        _template([mark for _, mark in marks], rows),
        _ranges(spans(kept.column("answer"), batch.tokens, covered, rows)),
        pa.array(1 - spared[rows], pa.float64()),
        _reason([mark for _, mark in marks], rows),
    ]
    return pa.RecordBatch.from_arrays(
        [column.cast(f.type) for column, f in zip(columns, FLAGGED, strict=True)], schema=FLAGGED
    )


def _checks(names: Sequence[str], masks: Sequence[Mask], rows: int) -> pa.Array:
    """The names of the checks that implicate each row."""
    held = np.stack(masks, axis=1) if masks else np.zeros((rows, 0), dtype=bool)
    offsets = np.append(0, np.cumsum(held.sum(axis=1))).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(names, pa.string()).take(np.nonzero(held)[1]))


def _template(marks: Sequence[Marks], rows: Ints) -> pa.Array:
    """The first template that any check names."""
    named = [_labelled(mark, mark.templates, rows) for mark in marks]
    return pc.coalesce(*named) if named else pa.nulls(len(rows), pa.string())


def _reason(marks: Sequence[Marks], rows: Ints) -> pa.Array:
    said = [_labelled(mark, mark.labels, rows) for mark in marks]
    if not said:
        return pa.array([""] * len(rows), pa.string())
    return pc.binary_join_element_wise(*said, "; ", null_handling="skip")


def _labelled(mark: Marks, values: Sequence[str | None], rows: Ints) -> pa.Array:
    """What a check says of each row; null where it says nothing."""
    place = pa.array(mark.label[rows], mask=~mark.mask[rows])
    return pa.array(values, pa.string()).take(place)


def _ranges(found: Spans) -> pa.Array:
    return pa.ListArray.from_arrays(
        found.offsets.astype(np.int32),
        pa.StructArray.from_arrays([found.start, found.end], fields=list(SPAN)),
    )
