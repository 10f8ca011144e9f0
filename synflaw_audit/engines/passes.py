"""The two passes over rows that come as a stream of Arrow pieces, each as plain functions.

A table is anything that yields its rows in pieces (``readers.rows.Input``): a DataFrame, a query, a
file, the part of a file that one partition of a distributed data set holds. Executors run these
functions, so this module imports neither pyspark nor ray nor great_expectations.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.engines.base import FirstPass
from synflaw_audit.errors import InputError
from synflaw_audit.findings.accounts import Accounts
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.flagging.tally import Tally
from synflaw_audit.reading.ledger import Ledger, OnReject
from synflaw_audit.reading.rows import Columns, Input, Piece, Row
from synflaw_audit.reading.schemas import Schema
from synflaw_audit.reading.source import records_of
from synflaw_audit.records import FLAGGED
from synflaw_audit.sample.sketch import Sketcher
from synflaw_audit.text.tokens import Mask

BATCH_RECORDS = 8192
BATCH_BYTES = 32 << 20

# A flagged row and, as a JSON object, the values of the columns that identify it in its table.
FLAGGED_AND_INDEX = pa.schema([*FLAGGED, pa.field("index", pa.string(), nullable=False)])


@dataclass(frozen=True)
class Counts:
    """What the second pass counts in a corpus, or in a part of one; see ``SecondPass``."""

    tokens: int = 0
    flagged: int = 0
    tally: Tally = field(default_factory=Tally)

    def merged(self, other: Counts) -> Counts:
        """Both parts together, in whatever order."""
        return Counts(
            self.tokens + other.tokens,
            self.flagged + other.flagged,
            self.tally.joined(other.tally),
        )

    def added(self, tokens: int, flagged: pa.RecordBatch) -> Counts:
        """The counts with those of a batch in them."""
        tally = Tally()
        if flagged.num_rows:
            tally.add(_in_order(flagged))
        return self.merged(Counts(tokens, flagged.num_rows, tally))


def sketch_rows(
    tables: Iterable[Input],
    schema: Schema,
    on_reject: OnReject | None = None,
    unread: tuple[str, ...] = (),
) -> FirstPass:
    """Sketches tables, or parts of them; without a readable row that gives an empty sketch.

    Args:
        tables: What they are read from.
        schema: Which columns hold what.
        on_reject: Is given every row that cannot be read.
        unread: Columns that hold text and are not read, for the accounts.
    """
    ledgers: list[Ledger] = []

    def ledger(file: str) -> Ledger:
        ledgers.append(Ledger(file, on_reject, unread))
        return ledgers[-1]

    sketcher = Sketcher()
    for batch in _gathered(_records(tables, schema, ledger)):
        sketcher.add(batch)
    accounts = Accounts()
    for read in ledgers:
        accounts = accounts.merged(Accounts((read.account(),)))
    first = next((read.first for read in ledgers if read.first), None)
    reason = f"row {first.row}: {first.reason}" if first else ""
    return FirstPass(sketcher.sketch(), accounts, reason)


def mark_rows(
    tables: Iterable[Input], schema: Schema, flagger: Flagger
) -> Iterator[tuple[pa.RecordBatch, Mask, pa.RecordBatch, int]]:
    """Flags tables, or parts of them.

    Yields:
        Records (schema ``RECORDS``), and what ``Flagger.flag`` says of them.
    """
    for batch in _gathered(_records(tables, schema)):
        yield batch, *flagger.flag(batch)


def flag_rows(
    table: Input, schema: Schema, flagger: Flagger, index: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Flags a table's rows, and hands on with each what identifies it.

    Args:
        table: As in the first pass.
        schema: As in the first pass.
        flagger: Marks the rows.
        index: Columns of the table whose values are handed on with each flagged row.

    Yields:
        Batches of flagged rows, schema ``FLAGGED_AND_INDEX``.

    Raises:
        InputError: There is no such index column.
    """
    indexed = _Indexed(table, tuple(index))
    for batch in _records([indexed], schema):
        _, flagged, _ = flagger.flag(batch)
        if flagged.num_rows:
            places = indexed.of_rows(flagged.column("row").to_pylist())
            yield pa.RecordBatch.from_arrays([*flagged.columns, places], schema=FLAGGED_AND_INDEX)


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


class _Indexed:
    """A table that remembers the index columns of the pieces it gave last."""

    # A source holds back a piece at most, so the rows it yields are of the last few pieces.
    PIECES = 4

    def __init__(self, table: Input, index: tuple[str, ...]) -> None:
        self._table = table
        self._index = index
        self._recent: deque[tuple[int, int, dict[str, Any]]] = deque(maxlen=self.PIECES)

    @property
    def name(self) -> str:
        return self._table.name

    def pieces(self, columns: tuple[str, ...] | None, size: int) -> Iterator[Piece]:
        wanted = None if columns is None else tuple(dict.fromkeys([*columns, *self._index]))
        for piece in self._table.pieces(wanted, size):
            if not isinstance(piece, Columns):
                piece = list(piece)  # it is read here and by whoever asked for it
            self._recent.append(_index_columns(piece, self._index, self.name))
            yield piece

    def of_rows(self, rows: Sequence[int]) -> pa.Array:
        """The index columns' values at these rows of the table, each row's as a JSON object."""
        start, columns = next(
            (start, columns)
            for start, length, columns in reversed(self._recent)
            if start <= rows[0] < start + length
        )
        values = [{name: column[row - start] for name, column in columns.items()} for row in rows]
        return pa.array([json.dumps(value, default=str) for value in values], pa.string())


def _index_columns(
    piece: Columns | list[Row], index: tuple[str, ...], table: str
) -> tuple[int, int, dict[str, Any]]:
    """A piece's first row, its number of rows, and its index columns as sequences by name."""
    if isinstance(piece, Columns):
        batch = piece.batch
        names = batch.schema.names
        if missing := sorted(set(index) - set(names)):
            raise InputError(f"{table}: no index column {missing}; columns: {names}")
        return piece.start, batch.num_rows, {n: batch.column(n).to_pylist() for n in index}
    values = [value if isinstance(value, dict) else {} for _, _, value, _ in piece]
    first = piece[0][1] if piece else 0
    return first, len(piece), {name: [value.get(name) for value in values] for name in index}
