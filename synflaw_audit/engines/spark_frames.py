"""What the driver does with Spark DataFrames: merges partial results, writes, receives bytes."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from synflaw_audit.engines import spark_tasks as tasks

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameWriter

# Partial results that one task merges: few enough that they fit into its memory together.
FAN_IN = 8

Part = TypeVar("Part")


@contextmanager
def persisted(frame: DataFrame) -> Iterator[DataFrame]:
    """Keeps what tasks yield on the executors' disks: rows are not read for each use of it."""
    from pyspark import StorageLevel

    kept = frame.persist(StorageLevel.DISK_ONLY)
    try:
        yield kept
    finally:
        kept.unpersist()


def merged(mapped: DataFrame, nothing: Part) -> Part:
    """Merges partial results on the executors, ``FAN_IN`` at a time, until one is left.

    Args:
        mapped: Its columns ``place`` and ``partial`` are those of ``spark_tasks.PARTIAL``; rows
            without a partial result are passed over. Persisted: it is read twice.
        nothing: The result for no rows.
    """
    from pyspark.sql import functions as f

    partials = mapped.where("partial is not null").select("place", "partial")
    last = partials.agg(f.max("place")).collect()[0][0]
    while last:
        grouped = partials.withColumn("group", f.expr(f"cast(place div {FAN_IN} as int)"))
        partials = grouped.groupBy("group").applyInPandas(tasks.merge_partials, tasks.PARTIAL)
        last //= FAN_IN
    rows = partials.collect()
    if not rows:
        return nothing
    found: Part = tasks.unpacked(rows[0]["partial"])
    return found


def received(frame: DataFrame) -> Iterator[pa.RecordBatch]:
    """The batches that tasks sent as bytes (``spark_tasks.as_bytes``), a partition at a time."""
    for row in frame.toLocalIterator():
        with pa.ipc.open_stream(bytes(row[0])) as stream:
            yield from stream


def write(writers: Mapping[str, DataFrameWriter]) -> None:
    """Writes folders, in place of what is there.

    In this machine's file system ("file:") they appear when all of them are complete. Elsewhere
    each appears as Spark's committer has it: whole, with ``_SUCCESS`` in it, when its job is done,
    while what was there before is gone when it starts.

    Args:
        writers: By target, a URI in which nothing is encoded.
    """
    staged: dict[Path, Path] = {}
    try:
        for target, writer in writers.items():
            if not target.startswith("file:"):
                writer.mode("overwrite").save(target)
                continue
            path = Path(re.sub("^file:(//)?", "", target))
            staged[path] = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
            writer.save(f"file://{staged[path]}")
        for path, staging in staged.items():
            _replace(path, staging)
    finally:
        for staging in staged.values():
            shutil.rmtree(staging, ignore_errors=True)


def _replace(path: Path, staging: Path) -> None:
    old = staging.with_suffix(".old")
    if path.exists():
        path.rename(old)
    staging.rename(path)
    if old.is_dir():
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)
