"""The two passes over rows that come as a stream of Arrow pieces, each as plain functions.

A table is anything that yields its rows in pieces (``readers.rows.Input``): a DataFrame, a query, a
file, the part of a file that one partition of a distributed data set holds. Executors run these
functions, so this module imports neither pyspark nor ray nor great_expectations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.allowed import Allowances, Remainder
from synflaw_audit.engines.base import FirstPass
from synflaw_audit.engines.contents import combined, content_of
from synflaw_audit.findings.accounts import Accounts
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.flagging.groups import Grouper, GroupSketches
from synflaw_audit.flagging.tally import Tally
from synflaw_audit.reading.base import Input
from synflaw_audit.reading.batches import records_of
from synflaw_audit.reading.index import Indexed
from synflaw_audit.reading.ledger import Ledger, OnReject
from synflaw_audit.reading.schemas import Schema
from synflaw_audit.records import FLAGGED_AND_INDEX
from synflaw_audit.sample.fields import FieldSketcher
from synflaw_audit.sample.repeats import RepeatsSketcher
from synflaw_audit.sample.sketch import EMPTY, Sketch, Sketcher
from synflaw_audit.text.tokens import Mask

BATCH_RECORDS = 8192
BATCH_BYTES = 32 << 20


@dataclass(frozen=True)
class PassCounts:
    """What the second pass counts in a corpus, or in a part of one; see ``SecondPass``."""

    tokens: int = 0
    flagged: int = 0
    tally: Tally = field(default_factory=Tally)
    groups: GroupSketches | None = None
    quarantined: int = 0
    content: int = 0

    def merged(self, other: PassCounts) -> PassCounts:
        """Both parts together, in whatever order."""
        return PassCounts(
            self.tokens + other.tokens,
            self.flagged + other.flagged,
            self.tally.joined(other.tally),
            _both(self.groups, other.groups),
            self.quarantined + other.quarantined,
            combined(self.content, other.content),
        )

    def added(
        self, records: pa.RecordBatch, tokens: int, flagged: pa.RecordBatch, quarantined: int
    ) -> PassCounts:
        """The counts with those of a batch in them."""
        tally = Tally()
        if flagged.num_rows:
            tally.add(_in_order(flagged))
        counted = PassCounts(
            tokens, flagged.num_rows, tally, quarantined=quarantined, content=content_of(records)
        )
        return self.merged(counted)


def _both(groups: GroupSketches | None, others: GroupSketches | None) -> GroupSketches | None:
    if groups is None or others is None:
        return groups or others
    return groups.merged(others)


def sketch_rows(
    tables: Iterable[Input],
    schema: Schema,
    on_reject: OnReject | None = None,
    unread: tuple[str, ...] = (),
    empty: Sketch = EMPTY,
    allowed: Allowances | None = None,
) -> FirstPass:
    """Sketches tables, or parts of them; without a readable row that gives an empty sketch.

    Args:
        tables: What they are read from.
        schema: Which columns hold what.
        on_reject: Is given every row that cannot be read.
        unread: Columns that hold text and are not read, for the accounts.
        empty: The sketch to begin with.
        allowed: Formats that are taken out of the answers.
    """
    ledgers: list[Ledger] = []

    def ledger(file: str) -> Ledger:
        ledgers.append(Ledger(file, on_reject, unread))
        return ledgers[-1]

    sketcher, beside = Sketcher(empty), FieldSketcher(empty, allowed or Allowances())
    remainder, content, repeats = Remainder(allowed or Allowances()), 0, RepeatsSketcher()
    for batch in _gathered(_records(tables, schema, ledger)):
        content = combined(content, content_of(batch))
        sketcher.add(remainder.of(batch))
        beside.add(batch)
        repeats.add(batch)
    accounts = Accounts()
    for read in ledgers:
        accounts = accounts.merged(Accounts((read.account(),)))
    first = next((read.first for read in ledgers if read.first), None)
    reason = f"row {first.row}: {first.reason}" if first else ""
    return FirstPass(
        sketcher.sketch(),
        accounts,
        reason,
        remainder.counts,
        content=content,
        fields=beside.sketches(),
        repeats=repeats.repeats(),
    )


def mark_rows(
    tables: Iterable[Input],
    schema: Schema,
    flagger: Flagger,
    index: tuple[str, ...] = (),
    grouper: Grouper | None = None,
) -> Iterator[tuple[pa.RecordBatch, Mask, pa.RecordBatch, int]]:
    """Flags tables, or parts of them.

    Args:
        tables: As in the first pass.
        schema: As in the first pass.
        flagger: Marks the rows.
        index: Columns whose values are handed on with each flagged row.
        grouper: Is given every batch, where the records are grouped.

    Yields:
        Records (schema ``RECORDS``), and what ``Flagger.flag`` says of them; with an index, the
        flagged rows have the schema ``FLAGGED_AND_INDEX``.

    Raises:
        InputError: There is no such index column.
    """
    column = grouper.by.column if grouper else None
    wanted = (*index, column) if column and column not in index else index
    if not wanted:
        for batch in _gathered(_records(tables, schema)):
            mask, flagged, tokens = flagger.flag(batch)
            if grouper is not None:
                grouper.add(flagger.remainder(batch), None, mask)
            yield batch, mask, flagged, tokens
        return
    for table in tables:
        indexed = Indexed(table, wanted)
        for batch in _records([indexed], schema):
            mask, flagged, tokens = flagger.flag(batch)
            values = indexed.of(batch)
            if grouper is not None:
                grouper.add(flagger.remainder(batch), values, mask)
            if index:
                columns = [*flagged.columns, values.to_json(mask, index)]
                flagged = pa.record_batch(columns, schema=FLAGGED_AND_INDEX)
            yield batch, mask, flagged, tokens


def _records(
    tables: Iterable[Input], schema: Schema, ledger: Callable[[str], Ledger] = Ledger
) -> Iterator[pa.RecordBatch]:
    for table in tables:
        yield from records_of(table, schema, BATCH_RECORDS, ledger(table.name))


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same records in batches that are worth their while, though files may be small."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= BATCH_RECORDS or size >= BATCH_BYTES:
            yield _joined(waiting)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _in_order(flagged: pa.RecordBatch) -> pa.RecordBatch:
    """Rows by file; those of one file are in order already."""
    if len(pc.unique(flagged.column("file"))) == 1:
        return flagged
    return flagged.sort_by([(name, "ascending") for name in ("file", "row", "turn")])
