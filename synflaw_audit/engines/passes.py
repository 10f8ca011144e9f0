"""The two passes over one table of rows, each as a function of a stream of Arrow pieces.

A table is anything that yields its rows in pieces (``readers.rows.Input``): a DataFrame, a query, a
partition of a Spark DataFrame. Executors run these functions, so this module imports neither
pyspark nor great_expectations.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from synflaw_audit.engines.base import FirstPass
from synflaw_audit.errors import InputError
from synflaw_audit.flags import Flagger
from synflaw_audit.readers.rows import Columns, Input, Piece, Rejected, Row
from synflaw_audit.readers.schemas import Schema
from synflaw_audit.readers.source import OnReject, Rejections, Source
from synflaw_audit.records import FLAGGED
from synflaw_audit.sketch import Sketch

BATCH_RECORDS = 8192

# A flagged row and, as a JSON object, the values of the columns that identify it in its table.
FLAGGED_AND_INDEX = pa.schema([*FLAGGED, pa.field("index", pa.string(), nullable=False)])


def sketch_rows(table: Input, schema: Schema) -> FirstPass:
    """Sketch a table, or a part of one; a part without a readable row gives an empty sketch."""
    rejected: list[int] = [0]
    first: list[str] = []

    def reject(row: Rejected) -> None:
        rejected[0] += 1
        if not first:
            first.append(f"row {row.row}: {row.reason}")

    sketch = Sketch()
    for batch in _KnownSource(table, schema).readable(reject):
        sketch = sketch.added(batch)
    return FirstPass(sketch, rejected[0], first[0] if first else "")


def flag_rows(
    table: Input, schema: Schema, flagger: Flagger, index: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Flag a table's rows.

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
    for batch in _KnownSource(indexed, schema).readable(None):
        _, flagged, _ = flagger.flag(batch)
        if flagged.num_rows:
            places = indexed.of_rows(flagged.column("row").to_pylist())
            yield pa.RecordBatch.from_arrays([*flagged.columns, places], schema=FLAGGED_AND_INDEX)


class _KnownSource(Source):
    """A table whose schema was found before, so that a part of it can be read by itself.

    A whole table in which nothing can be read is an error; a part of one is not.
    """

    def __init__(self, table: Input, schema: Schema) -> None:
        super().__init__((table,), None, None, BATCH_RECORDS)
        self._schemas = {table.name: schema}

    def readable(self, on_reject: OnReject | None) -> Iterator[pa.RecordBatch]:
        """Yields what can be read, which may be nothing."""
        for table in self._inputs:
            yield from self._records(table, Rejections(table.name, on_reject))


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
