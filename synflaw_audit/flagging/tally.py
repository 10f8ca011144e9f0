"""How many records each check flags, and a few of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.findings.finding import ExampleRow, Implicated, Span, clipped
from synflaw_audit.reading.splits import split_of
from synflaw_audit.text.tokens import Mask

EXAMPLES = 5
BEGINNING, END = 120, 80  # characters of an example's answer
_LEFT_OUT = " … "


class Tally:
    """Counts flagged records by check as the second pass finds them; a ``sinks.Sink``."""

    def __init__(self) -> None:
        self._records: Counter[str] = Counter()
        self._examples: dict[str, tuple[ExampleRow, ...]] = {}
        self._worded: Counter[tuple[str, str]] = Counter()

    @property
    def worded(self) -> Mapping[tuple[str, str], int]:
        """How many flagged records follow a template, by the split of their file and template."""
        return self._worded

    def write(self, records: pa.RecordBatch, mask: Mask, flagged: pa.RecordBatch) -> None:
        """See ``Sink.write``."""
        self.add(flagged)

    def add(self, flagged: pa.RecordBatch) -> None:
        """Count some flagged rows (schema ``records.FLAGGED``), in the corpus's order."""
        self._count_splits(flagged)
        checks = flagged.column("checks")
        names, rows = checks.flatten(), pc.list_parent_indices(checks)
        for counted in pc.value_counts(names).to_pylist():
            name = counted["values"]
            self._records[name] += counted["counts"]
            known = self._examples.get(name, ())
            if len(known) < EXAMPLES:
                found = rows.filter(pc.equal(names, name))[: EXAMPLES - len(known)]
                self._examples[name] = (*known, *_examples(flagged.take(found)))

    def _count_splits(self, flagged: pa.RecordBatch) -> None:
        for file in pc.unique(flagged.column("file")).to_pylist():
            if (split := split_of(file)) is not None:
                here = flagged.filter(pc.equal(flagged.column("file"), file))
                for counted in pc.value_counts(here.column("template").drop_null()).to_pylist():
                    self._worded[split, counted["values"]] += counted["counts"]

    def merged(self, later: Tally) -> Tally:
        """The counts of two stretches of a corpus together, this one's examples first."""
        both = Tally()
        both._records = self._records + later._records
        both._worded = self._worded + later._worded
        both._examples = {
            name: (*self._examples.get(name, ()), *later._examples.get(name, ()))[:EXAMPLES]
            for name in both._records
        }
        return both

    def joined(self, other: Tally) -> Tally:
        """The counts of two parts of a corpus, in whatever order: the first examples by file."""
        both = self.merged(other)
        for name in both._records:
            known = (*self._examples.get(name, ()), *other._examples.get(name, ()))
            first = sorted(known, key=lambda row: (row.file, row.row, row.turn))[:EXAMPLES]
            both._examples[name] = tuple(first)
        return both

    def flagged(self, check: str, records: int) -> Implicated | None:
        """As ``of``, but None if the check flags no record."""
        return self.of(check, records) if self._records[check] else None

    def of(self, check: str, records: int) -> Implicated:
        """The records that a check flags; ``records`` is how many there are in all."""
        flagged = self._records[check]
        return Implicated(flagged, flagged / records, self._examples.get(check, ()))

    def close(self) -> None:
        """See ``Output.close``."""

    def discard(self) -> None:
        """See ``Output.discard``."""


def _examples(flagged: pa.RecordBatch) -> list[ExampleRow]:
    names = ("file", "row", "turn", "answer", "template_spans")
    return [
        ExampleRow(file, row, turn, *_excerpt(answer, [(s["start"], s["end"]) for s in spans]))
        for file, row, turn, answer, spans in zip(
            *(flagged.column(name).to_pylist() for name in names), strict=True
        )
    ]


def _excerpt(answer: str, spans: Sequence[Span]) -> tuple[str, tuple[Span, ...]]:
    """How an answer begins and ends: openings and closings are what is flagged most."""
    if len(answer) <= BEGINNING + END:
        return answer, tuple(spans)
    beginning = answer[:BEGINNING] + _LEFT_OUT
    last = len(answer) - END
    return beginning + answer[last:], (
        *clipped(spans, 0, BEGINNING),
        *clipped(spans, last, len(answer), moved=len(beginning)),
    )
