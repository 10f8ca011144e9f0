"""What Spark's executors do with a partition: sketch it, flag it, merge what others made.

Executors import this module by name, so it imports nothing that a worker need not have: no
great_expectations, and pyspark only inside functions.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import zstandard

from synflaw_audit.engines.base import FirstPass
from synflaw_audit.engines.partitions import Layout, partition_number
from synflaw_audit.engines.passes import Counts, flag_rows, mark_rows, sketch_rows
from synflaw_audit.flags import Flagger
from synflaw_audit.readers.rows import Rejected
from synflaw_audit.readers.schemas import Schema
from synflaw_audit.records import FLAGGED, RECORDS
from synflaw_audit.tokens import Mask

if TYPE_CHECKING:
    import pandas as pd

BYTES = "batch binary"

# A partial result and its place in the order of all. What else a task yields stands beside it.
PARTIAL = "place int, partial binary"
_PARTIAL = pa.schema([("place", pa.int32()), ("partial", pa.binary())])

REJECTED_COLUMNS = tuple(f.name for f in fields(Rejected))
SKETCHED = (
    f"{PARTIAL}, input string, records bigint, rejected bigint, first string, "
    "file string, line bigint, row bigint, reason string, preview string"
)
_COUNTED = pa.schema(
    [
        *_PARTIAL,
        ("input", pa.string()),
        ("records", pa.int64()),
        ("rejected", pa.int64()),
        ("first", pa.string()),
    ]
)
_REJECTED = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("row", pa.int64()),
        ("reason", pa.string()),
        ("preview", pa.string()),
    ]
)
_SKETCHED = pa.schema([*_COUNTED, *_REJECTED])

MARKED = (
    f"{PARTIAL}, file string, row bigint, turn int, question string, answer string, "
    "checks array<string>, template string, template_spans array<struct<start: int, end: int>>, "
    "score double, reason string"
)
_MARKED = pa.schema([*_PARTIAL, *(f.with_nullable(True) for f in FLAGGED)])

# Rejected rows are handed on in batches of this many.
_REJECTED_ROWS = 1024


@dataclass(frozen=True)
class Rows:
    """How the rows of an input are read from a partition.

    Attributes:
        name: The input's.
        schema: Which columns hold what.
        layout: Where the rows come from.
    """

    name: str
    schema: Schema
    layout: Layout


def sketch_partition(
    keep_rejected: bool, batches: Iterator[pa.RecordBatch], rows: Rows
) -> Iterator[pa.RecordBatch]:
    """Sketches a partition; yields the rejected rows, if they are kept, and the sketch."""
    rejected: list[Rejected] = []
    on_reject = rejected.append if keep_rejected else None
    found = sketch_rows(rows.layout.tables(batches), rows.schema, on_reject)
    for start in range(0, len(rejected), _REJECTED_ROWS):
        yield _rejected(rejected[start : start + _REJECTED_ROWS])
    counted = [partition_number(), packed(found), rows.name]
    counted += [found.sketch.records, found.rejected, found.first_rejected]
    yield _filled(pa.record_batch([[value] for value in counted], schema=_COUNTED), _SKETCHED)


def mark_partition(
    flagger: Flagger, flagged_only: bool, batches: Iterator[pa.RecordBatch], rows: Rows
) -> Iterator[pa.RecordBatch]:
    """Flags a partition; yields its records, only the flagged ones if asked, and the counts."""
    counts = Counts()
    for records, mask, flagged, tokens in mark_rows(
        rows.layout.tables(batches), rows.schema, flagger
    ):
        counts = counts.added(tokens, flagged)
        found = flagged if flagged_only else _beside(records, mask, flagged)
        if found.num_rows:
            yield _filled(found, _MARKED)
    yield _filled(_partial(counts), _MARKED)


def count_partition(
    flagger: Flagger, batches: Iterator[pa.RecordBatch], rows: Rows
) -> Iterator[pa.RecordBatch]:
    """Flags a partition; yields the counts alone."""
    counts = Counts()
    for _, _, flagged, tokens in mark_rows(rows.layout.tables(batches), rows.schema, flagger):
        counts = counts.added(tokens, flagged)
    yield _partial(counts)


def flag_partition(
    flagger: Flagger, index: tuple[str, ...], batches: Iterator[pa.RecordBatch], rows: Rows
) -> Iterator[pa.RecordBatch]:
    """Flags a partition; yields what ``passes.flag_rows`` does, as bytes."""
    for table in rows.layout.tables(batches):
        yield from as_bytes(flag_rows(table, rows.schema, flagger, index))


def as_bytes(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Arrow batches, each as one value: whatever their types, Spark needs none for them."""
    for batch in batches:
        out = pa.BufferOutputStream()
        with pa.ipc.new_stream(out, batch.schema) as stream:
            stream.write_batch(batch)
        yield pa.record_batch([pa.array([out.getvalue().to_pybytes()], pa.binary())], ["batch"])


def merge_partials(group: pd.DataFrame) -> pd.DataFrame:
    """Merges some partial results in the order of their places; theirs is in ``group``."""
    parts = (unpacked(partial) for partial in group.sort_values("place")["partial"])
    merged = reduce(lambda left, right: left.merged(right), parts)
    one = group[["group"]].head(1).rename(columns={"group": "place"})
    return one.assign(partial=[packed(merged)])


def packed(part: FirstPass | Counts) -> bytes:
    """A partial result as it travels."""
    return zstandard.compress(pickle.dumps(part), 1)


def unpacked(partial: bytes) -> Any:
    """What ``packed`` made, on an executor of this very job."""
    return pickle.loads(zstandard.decompress(bytes(partial)))  # noqa: S301 - see above


def _partial(part: FirstPass | Counts) -> pa.RecordBatch:
    return pa.record_batch([[partition_number()], [packed(part)]], schema=_PARTIAL)


def _rejected(rows: list[Rejected]) -> pa.RecordBatch:
    columns = list(zip(*map(astuple, rows), strict=True))
    return _filled(pa.record_batch([list(c) for c in columns], schema=_REJECTED), _SKETCHED)


def _beside(records: pa.RecordBatch, mask: Mask, flagged: pa.RecordBatch) -> pa.RecordBatch:
    """All records, with what was found in the flagged ones; null in the others."""
    places = pa.array(np.cumsum(mask) - 1, mask=~mask)
    found = [flagged.column(f.name).take(places) for f in list(FLAGGED)[len(RECORDS) :]]
    schema = pa.schema([f.with_nullable(True) for f in FLAGGED])
    return pa.RecordBatch.from_arrays([*records.columns, *found], schema=schema)


def _filled(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch with null in the columns of the schema that it lacks."""
    known = set(batch.schema.names)
    columns = [
        batch.column(f.name).cast(f.type) if f.name in known else pa.nulls(batch.num_rows, f.type)
        for f in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
