"""What executors do with a partition: sketch it, flag it, merge what others made.

A task takes and yields Arrow batches, and knows neither Spark nor Ray. Executors import this module
by name, so it imports nothing that a worker need not have.
"""

from __future__ import annotations

import io
import pickle
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field, replace
from functools import reduce
from itertools import islice
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import zstandard

from synflaw_audit.allowed import Allowances
from synflaw_audit.engines.base import FirstPass
from synflaw_audit.engines.partitions import Layout
from synflaw_audit.engines.passes import PassCounts, mark_rows, sketch_rows
from synflaw_audit.errors import InputError
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.flagging.groups import Grouper, Grouping
from synflaw_audit.reading.rows import Rejected
from synflaw_audit.reading.schemas import Schema
from synflaw_audit.records import FLAGGED_AND_INDEX, RECORDS
from synflaw_audit.sample.sketch import Sketch
from synflaw_audit.text.tokens import Mask

# A partial result and its place in the order of all. What else a task yields stands beside it,
# null where the partial result is not.
PARTIAL = pa.schema([("place", pa.int32()), ("partial", pa.binary())])
REJECTED = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("row", pa.int64()),
        ("reason", pa.string()),
        ("preview", pa.string()),
    ]
)
SKETCHED = pa.schema([*PARTIAL, *REJECTED])
# Whether a row is quarantined is true, or null.
QUARANTINED = pa.field("quarantined", pa.bool_())
MARKED = pa.schema([*PARTIAL, *(f.with_nullable(True) for f in FLAGGED_AND_INDEX), QUARANTINED])
BYTES = pa.schema([("batch", pa.binary())])

# Rejected rows are handed on in batches of this many.
_REJECTED_ROWS = 1024


@dataclass(frozen=True)
class RowReader:
    """How the rows of an input are read from a partition.

    Attributes:
        name: The input's.
        schema: Which columns hold what.
        layout: Where the rows come from.
        unread: Columns that hold text and are not read.
    """

    name: str
    schema: Schema
    layout: Layout
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sketched:
    """What the first pass makes of a part of a corpus.

    Attributes:
        found: In all of it.
        inputs: Records, rejected rows and why the first of these is, by input.
    """

    found: FirstPass = field(default_factory=FirstPass)
    inputs: Mapping[str, tuple[int, int, str]] = field(default_factory=dict)

    def merged(self, other: Sketched) -> Sketched:
        """Both parts together."""
        inputs = dict(self.inputs)
        for name, (records, rejected, first) in other.inputs.items():
            known = inputs.get(name, (0, 0, ""))
            inputs[name] = (known[0] + records, known[1] + rejected, known[2] or first)
        return Sketched(self.found.merged(other.found), inputs)

    def require_records(self) -> None:
        """Refuses inputs of which no row can be read.

        Raises:
            InputError: Names the first of them.
        """
        for name, (records, rejected, first) in self.inputs.items():
            if not records:
                raise InputError(
                    f"{name}: none of its {rejected} rows can be read; the first, {first}"
                )


def sketch_partition(
    keep_rejected: bool,
    empty: Sketch,
    allowed: Allowances,
    batches: Iterator[pa.RecordBatch],
    rows: RowReader,
    partition: int,
) -> Iterator[pa.RecordBatch]:
    """Sketches a partition; yields the rejected rows, if they are kept, and a ``Sketched``."""
    tables = rows.layout.tables(batches, partition)
    with tempfile.TemporaryFile() as rejected:  # there may be any number of them

        def keep(row: Rejected) -> None:
            rejected.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

        on_reject = keep if keep_rejected else None
        found = sketch_rows(tables, rows.schema, on_reject, rows.unread, empty, allowed)
        rejected.seek(0)
        while some := list(islice(rejected, _REJECTED_ROWS)):
            yield _rejected([Rejected(**orjson.loads(row)) for row in some])
    counted = (found.sketch.records, found.rejected, found.first_rejected)
    yield _filled(_partial(Sketched(found, {rows.name: counted}), partition), SKETCHED)


def mark_partition(
    flagger: Flagger,
    kept: str,
    index: tuple[str, ...],
    by: Grouping | None,
    batches: Iterator[pa.RecordBatch],
    rows: RowReader,
    partition: int,
) -> Iterator[pa.RecordBatch]:
    """Flags a partition.

    Args:
        flagger: Marks the rows.
        kept: Which records are yielded, "all", the "flagged" ones or "none"; ``PassCounts`` always.
        index: Columns whose values are yielded with each flagged row.
        by: What the records are grouped by, if by anything.
        batches: The partition's.
        rows: How they are read.
        partition: Its number.

    Raises:
        InputError: There is no such index column.
    """
    counts, grouper = PassCounts(), Grouper(by) if by else None
    tables = rows.layout.tables(batches, partition)
    for records, mask, flagged, tokens in mark_rows(tables, rows.schema, flagger, index, grouper):
        chosen = flagger.quarantined(flagged)
        counts = counts.added(records, tokens, flagged, int(chosen.sum()))
        found = _beside(records, mask, flagged, chosen) if kept == "all" else flagged
        if kept != "none" and found.num_rows:
            yield _filled(found, MARKED)
    if grouper is not None:
        counts = replace(counts, groups=grouper.groups())
    yield _filled(_partial(counts, partition), MARKED)


def as_bytes(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Arrow batches, each as one value: whatever their types, Spark needs none for them."""
    for batch in batches:
        out = pa.BufferOutputStream()
        with pa.ipc.new_stream(out, batch.schema) as stream:
            stream.write_batch(batch)
        yield pa.record_batch([pa.array([out.getvalue().to_pybytes()], pa.binary())], schema=BYTES)


def merged(partials: Iterable[bytes]) -> bytes:
    """Merges partial results into one."""
    return packed(reduce(lambda left, right: left.merged(right), map(unpacked, partials)))


def packed(part: Sketched | PassCounts) -> bytes:
    """A partial result as it travels."""
    out = io.BytesIO()
    _Pickler(out).dump(part)
    return zstandard.compress(out.getbuffer(), 1)


def unpacked(partial: bytes) -> Any:
    """What ``packed`` made, on an executor of this very job."""
    return pickle.loads(zstandard.decompress(bytes(partial)))  # noqa: S301 - see above


class _Pickler(pickle.Pickler):
    """Pickles of an Arrow array what it shows; a slice would bring all that it was cut from."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, pa.Array):
            return pa.concat_arrays([value]).__reduce__()
        return NotImplemented


def _partial(part: Sketched | PassCounts, partition: int) -> pa.RecordBatch:
    return pa.record_batch([[partition], [packed(part)]], schema=PARTIAL)


def _rejected(rows: list[Rejected]) -> pa.RecordBatch:
    columns = list(zip(*map(astuple, rows), strict=True))
    return _filled(pa.record_batch([list(c) for c in columns], schema=REJECTED), SKETCHED)


def _beside(
    records: pa.RecordBatch, mask: Mask, flagged: pa.RecordBatch, chosen: Mask
) -> pa.RecordBatch:
    """All records, with what was found in the flagged ones; null in the others."""
    places = pa.array(np.cumsum(mask) - 1, mask=~mask)
    found = [column.take(places) for column in flagged.columns[len(RECORDS) :]]
    kept = pa.array(np.ones(len(chosen), dtype=bool), mask=~chosen).take(places)
    schema = pa.schema([*(f.with_nullable(True) for f in flagged.schema), QUARANTINED])
    return pa.RecordBatch.from_arrays([*records.columns, *found, kept], schema=schema)


def _filled(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch with null in the columns of the schema that it lacks."""
    known = set(batch.schema.names)
    columns = [
        batch.column(f.name).cast(f.type) if f.name in known else pa.nulls(batch.num_rows, f.type)
        for f in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
