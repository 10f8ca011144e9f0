"""What the driver does with Spark DataFrames: merges partial results, writes, receives bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from synflaw_audit.engines import distributed, tasks

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

Part = TypeVar("Part")


def mapped(frame: DataFrame, task: distributed.Task, schema: pa.Schema) -> DataFrame:
    """What a task yields for every partition, given its batches and its number."""
    from pyspark.sql.pandas.types import from_arrow_schema

    # mapInArrow takes no column whose name has a dot or a backtick: they travel by number.
    numbered = frame.toDF(*[f"column{number}" for number in range(len(frame.columns))])
    named = partial(_on_partition, task, tuple(frame.columns))
    return numbered.mapInArrow(named, from_arrow_schema(schema))


@contextmanager
def persisted(frame: DataFrame) -> Iterator[YieldedFrame]:
    """Keeps what tasks yield on the executors' disks: rows are not read for each use of it."""
    from pyspark import StorageLevel

    kept = frame.persist(StorageLevel.DISK_ONLY)
    try:
        yield YieldedFrame(kept)
    finally:
        kept.unpersist()


@dataclass(frozen=True)
class YieldedFrame:
    """What tasks yielded, as a DataFrame; see ``distributed.Yielded``."""

    frame: DataFrame

    def merged(self, nothing: Part) -> Part:
        """See ``Yielded.merged``."""
        from pyspark.sql import functions as f
        from pyspark.sql.pandas.types import from_arrow_schema

        schema = from_arrow_schema(tasks.PARTIAL)
        partials = self._of(distributed.PARTIALS)
        last = partials.agg(f.max("place")).collect()[0][0]
        while last:
            group = f.expr(f"cast(place div {distributed.FAN_IN} as int)")
            grouped = partials.withColumn("group", group).groupBy("group")
            partials = grouped.applyInPandas(_merged_group, schema)
            last //= distributed.FAN_IN
        rows = partials.collect()
        if not rows:
            return nothing
        found: Part = tasks.unpacked(rows[0]["partial"])
        return found

    def writer(self, rows: distributed.Selection, form: str) -> Callable[[str], object]:
        """See ``Yielded.writer``."""
        writer = self._of(rows).write.format(form).mode("overwrite")
        if form == "parquet":
            writer = writer.option("compression", "zstd")
        save: Callable[[str], object] = writer.save
        return save

    def batches(self, rows: distributed.Selection) -> Iterator[pa.RecordBatch | pa.Table]:
        """See ``Yielded.batches``."""
        for batch in received(mapped(self._of(rows), _as_bytes, tasks.BYTES)):
            yield distributed.concatenated([batch], rows.schema)

    def _of(self, rows: distributed.Selection) -> DataFrame:
        chosen = self.frame.where(f"{rows.present} is not null")
        if rows.absent is not None:
            chosen = chosen.where(f"{rows.absent} is null")
        return chosen.select(*rows.columns)


def collected(frame: DataFrame, schema: pa.Schema) -> pa.Table:
    """A DataFrame's rows on the driver."""
    batches = mapped(frame.select(*schema.names), _as_bytes, tasks.BYTES)
    return distributed.concatenated(list(received(batches)), schema)


def received(frame: DataFrame) -> Iterator[pa.RecordBatch]:
    """The batches that tasks sent as bytes (``tasks.as_bytes``), a partition at a time."""
    for row in frame.toLocalIterator():
        with pa.ipc.open_stream(bytes(row[0])) as stream:
            yield from stream


def _on_partition(
    task: distributed.Task, names: tuple[str, ...], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    from pyspark import TaskContext

    context = TaskContext.get()
    named = (batch.rename_columns(list(names)) for batch in batches)
    return task(batches=named, partition=context.partitionId() if context is not None else 0)


def _merged_group(group: pd.DataFrame) -> pd.DataFrame:
    """Some partial results in the order of their places, as one; its place is in ``group``."""
    one = group[["group"]].head(1).rename(columns={"group": "place"})
    return one.assign(partial=[tasks.merged(group.sort_values("place")["partial"])])


def _as_bytes(batches: Iterator[pa.RecordBatch], partition: int) -> Iterator[pa.RecordBatch]:
    return tasks.as_bytes(batches)
