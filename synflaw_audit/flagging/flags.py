"""Pass 2: the rows that the findings implicate, with the words that are format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.allowed import Allowances, Stripped
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
        allowed: Formats that are intended: the rest is marked as if they were not there.
        quarantining: Names of the checks whose rows are kept from a clean corpus.
    """

    markers: tuple[tuple[str, Marker], ...]
    slots: Slots = field(default_factory=Slots)
    allowed: Allowances = field(default_factory=Allowances)
    quarantining: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        markers: Iterable[tuple[str, Marker | None]],
        quarantining: Iterable[str] = (),
    ) -> Flagger:
        """A flagger of a corpus by the checks that can say which rows are theirs."""
        marking = tuple((name, marker) for name, marker in markers if marker is not None)
        slots = corpus.answer_templates.slots if marking else Slots()
        return cls(marking, slots, corpus.allowed, frozenset(quarantining))

    def remainder(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Records without the formats that are intended, as they were sketched."""
        return self.allowed.applied(records)[0] if self.allowed else records

    def quarantined(self, flagged: pa.RecordBatch) -> Mask:
        """Which of some flagged rows (schema ``FLAGGED``) a quarantining check implicates."""
        mask = np.zeros(flagged.num_rows, dtype=bool)
        checks = flagged.column("checks")
        names = pa.array(sorted(self.quarantining), pa.string())
        hits = pc.list_parent_indices(checks).filter(pc.is_in(checks.flatten(), names))
        mask[np.asarray(hits)] = True
        return mask

    def flag(self, records: pa.RecordBatch) -> tuple[Mask, pa.RecordBatch, int]:
        """Flags one batch.

        Args:
            records: Schema ``records.RECORDS``.

        Returns:
            Which rows are flagged (bool [rows]), those rows (schema ``records.FLAGGED``), and the
            number of tokens in all answers.
        """
        left, stripped = self.allowed.applied(records) if self.allowed else (records, None)
        batch = Batch(left, tokenize(left.column("answer")))
        tokens = int(batch.tokens.counts.sum())
        marks = [(name, marker.mark(batch)) for name, marker in self.markers]
        mask = np.zeros(len(batch), dtype=bool)
        for _, mark in marks:
            mask |= mark.mask
        found = _flagged(batch, mask, marks, self.slots)
        if stripped is not None:
            found = _restored(found, records.filter(pa.array(mask)), stripped, np.flatnonzero(mask))
        return mask, found, tokens


def _restored(
    flagged: pa.RecordBatch, records: pa.RecordBatch, stripped: Stripped, rows: Ints
) -> pa.RecordBatch:
    """Flagged rows with their whole answers, and the spans where these say the same.

    Args:
        flagged: What was found in what is left of the rows, schema ``records.FLAGGED``.
        records: The rows.
        stripped: What was taken out of the batch.
        rows: int64 [flagged], their numbers in it.
    """
    marked = [
        [(span["start"], span["end"]) for span in row]
        for row in flagged.column("template_spans").to_pylist()
    ]
    spans_ = [stripped.restored(*pair) for pair in zip(rows.tolist(), marked, strict=True)]
    flat = np.array([span for row in spans_ for span in row], dtype=np.int32).reshape(-1, 2)
    offsets = np.append(0, np.cumsum([len(row) for row in spans_])).astype(np.int64)
    columns = dict(zip(FLAGGED.names, flagged.columns, strict=True))
    columns |= {
        "answer": records.column("answer"),
        "template_spans": _ranges(Spans(offsets, flat[:, 0], flat[:, 1])),
    }
    return pa.RecordBatch.from_arrays(
        [columns[f.name].cast(f.type) for f in FLAGGED], schema=FLAGGED
    )


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
