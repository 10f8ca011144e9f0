"""The two passes on Spark: each partition by itself, merged on the driver.

Executors import this module by name, so it imports nothing that a worker need not have: no
great_expectations, and pyspark only inside functions that the driver calls.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from synflaw_audit.engines.base import FirstPass
from synflaw_audit.engines.passes import flag_rows, sketch_rows
from synflaw_audit.errors import InputError
from synflaw_audit.flags import Flagger
from synflaw_audit.readers.rows import Columns, Piece
from synflaw_audit.readers.schemas import Schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Rows are numbered as Spark's monotonically_increasing_id does: the partition in the upper bits.
PARTITION_ROWS = 1 << 33

_CARRIED = "partial binary"


def sketch(frame: DataFrame, schema: Schema, name: str) -> FirstPass:
    """The first pass: a partial sketch for each partition, merged as they arrive."""
    columns = frame.select(*[_quoted(column) for column in schema.columns])
    partials = columns.mapInArrow(partial(_sketch_partition, schema, name), _CARRIED)
    merged = FirstPass()
    for row in partials.toLocalIterator():
        merged = merged.merged(pickle.loads(bytes(row.partial)))  # noqa: S301 - made by our own executors
    return merged


def flag(
    frame: DataFrame, schema: Schema, name: str, flagger: Flagger, index: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """The second pass; yields what ``engines.passes.flag_rows`` does, a batch at a time.

    Raises:
        InputError: There is no such index column.
    """
    if missing := sorted(set(index) - set(frame.columns)):
        raise InputError(f"{name}: no index column {missing}; columns: {frame.columns}")
    columns = list(dict.fromkeys([*schema.columns, *index]))
    chosen = frame.select(*[_quoted(column) for column in columns])
    # Flagged rows come to the driver as Arrow, serialised by the executors: whatever types the
    # index columns have, they need no Spark type in the answer.
    task = partial(_flag_partition, schema, name, flagger, tuple(index))
    for row in chosen.mapInArrow(task, _CARRIED).toLocalIterator():
        with pa.ipc.open_stream(bytes(row.partial)) as stream:
            yield from stream


def _sketch_partition(
    schema: Schema, name: str, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    found = sketch_rows(_Partition(name, batches), schema)
    yield _carried(pickle.dumps(found))


def _flag_partition(
    schema: Schema,
    name: str,
    flagger: Flagger,
    index: tuple[str, ...],
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    for flagged in flag_rows(_Partition(name, batches), schema, flagger, index):
        out = pa.BufferOutputStream()
        with pa.ipc.new_stream(out, flagged.schema) as stream:
            stream.write_batch(flagged)
        yield _carried(out.getvalue().to_pybytes())


def _carried(value: bytes) -> pa.RecordBatch:
    return pa.record_batch([pa.array([value], pa.binary())], names=["partial"])


@dataclass(frozen=True)
class _Partition:
    """One partition as a table; it can be read once, which is what a task does."""

    name: str
    batches: Iterator[pa.RecordBatch]

    def pieces(self, columns: tuple[str, ...] | None, size: int) -> Iterator[Piece]:
        start = _partition_number() * PARTITION_ROWS
        for batch in self.batches:
            for offset in range(0, batch.num_rows, size):
                part = batch.slice(offset, size)
                yield Columns(start, part)
                start += part.num_rows


def _partition_number() -> int:
    from pyspark import TaskContext

    context = TaskContext.get()
    return int(context.partitionId()) if context is not None else 0


def _quoted(column: str) -> str:
    """A column's name as Spark takes it, dots and backticks included."""
    return f"`{column.replace('`', '``')}`"
