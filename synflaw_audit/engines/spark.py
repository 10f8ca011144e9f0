"""The two passes on Spark.

Each partition is sketched by itself, and the sketches are merged on the executors, a few at a time,
until one is left, which comes to the driver (a tree reduction). Rows never do: the executors write
them, as Parquet and JSON where they lie. Nothing here needs more than Spark's DataFrames.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial, reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from synflaw_audit.engines import spark_tasks as tasks
from synflaw_audit.engines.base import (
    CLEAN_FILE,
    FLAGGED_FILE,
    QUARANTINED_FILE,
    REJECTED_FILE,
    FirstPass,
    Outputs,
    Progress,
    SecondPass,
)
from synflaw_audit.engines.partitions import OneTable
from synflaw_audit.engines.passes import Counts
from synflaw_audit.engines.spark_frames import merged, persisted, received, write
from synflaw_audit.engines.spark_inputs import (
    Columns,
    SparkInput,
    frame_input,
    named_inputs,
    quoted,
)
from synflaw_audit.engines.spark_session import told
from synflaw_audit.errors import InputError, MissingExtraError
from synflaw_audit.flags import Flagger
from synflaw_audit.readers.schemas import Schema
from synflaw_audit.records import FLAGGED, RECORDS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameWriter, SparkSession


class SparkEngine:
    """Reads a corpus on Spark, twice.

    Args:
        source: A Spark DataFrame; or paths, URIs and names of tables, see ``named_inputs``.
        session: Reads what is named; that of the DataFrame if there is one.
        question: The column of the questions, where it cannot be told.
        answer: The column of the answers.
        partitions: At most so many tasks in a pass; as Spark splits the rows if None.
        rows: A folder, as a URI, that all executors can write to, for the rows that the passes
            write. Where Spark runs on this machine alone that can be the outputs' folder, which it
            is if None.
    """

    def __init__(
        self,
        source: DataFrame | Sequence[str | os.PathLike[str]],
        session: SparkSession | None = None,
        *,
        question: str | None = None,
        answer: str | None = None,
        partitions: int | None = None,
        rows: str | None = None,
    ) -> None:
        try:
            import pyspark  # noqa: F401
        except ImportError as missing:
            raise MissingExtraError("auditing on Spark", "spark") from missing
        given: Any = source
        self._source = given
        self._session: SparkSession = session or given.sparkSession
        self._columns = Columns(question, answer)
        self._partitions = partitions
        self._rows = rows

    @property
    def name(self) -> str:
        """See ``Engine.name``."""
        return "spark"

    @property
    def files(self) -> tuple[str, ...]:
        """See ``Engine.files``."""
        return tuple(file for found in self._inputs for file in found.files)

    def schemas(self) -> dict[str, str]:
        """See ``Engine.schemas``."""
        return {file: str(found.rows.schema) for found in self._inputs for file in found.files}

    def first_pass(self, outputs: Outputs, tell: Progress) -> FirstPass:
        """See ``Engine.first_pass``."""
        tell("reading", 0)
        folder = self._folder(outputs)
        task = partial(tasks.sketch_partition, folder is not None)
        with told(self._name), persisted(self._mapped(task, tasks.SKETCHED)) as mapped:
            _require_records(mapped)
            found = merged(mapped, FirstPass())
            if folder is not None:
                rejected = mapped.where("partial is null").select(*tasks.REJECTED_COLUMNS)
                write({f"{folder}/{REJECTED_FILE}": rejected.write.format("json")})
        return found

    def second_pass(self, flagger: Flagger, outputs: Outputs, tell: Progress) -> SecondPass:
        """See ``Engine.second_pass``."""
        tell("flagging", 0)
        folder = self._folder(outputs)
        if folder is None:
            task = partial(tasks.count_partition, flagger)
            with told(self._name), persisted(self._mapped(task, tasks.PARTIAL)) as counting:
                counts = merged(counting, Counts())
            rows = partial(self._flagged, flagger)
        else:
            marking = self._marked(flagger, flagged_only=not outputs.split)
            with told(self._name), persisted(marking) as marked:
                counts = merged(marked, Counts())
                write(_outputs(marked, folder, outputs.split))
            rows = partial(self._written, f"{folder}/{FLAGGED_FILE}")
        return SecondPass(counts.tokens, counts.flagged, rows, counts.tally)

    @cached_property
    def _inputs(self) -> tuple[SparkInput, ...]:
        if isinstance(self._source, Sequence):
            return named_inputs(self._session, self._source, self._columns)
        return (frame_input(self._source, "<DataFrame>", self._columns),)

    @property
    def _name(self) -> str:
        return ", ".join(dict.fromkeys(found.rows.name for found in self._inputs))

    def _folder(self, outputs: Outputs) -> str | None:
        """Where executors write rows, as a URI; None if nowhere."""
        if outputs.folder is None:
            return None
        if self._rows is not None:
            return self._rows.rstrip("/")
        master = str(self._session.conf.get("spark.master", ""))
        if not master.startswith("local"):
            raise InputError(
                f"{outputs.folder}: a folder of this machine, which the executors of {master!r} "
                "do not write to; name one for the rows that they all see, as a URI: --rows "
                "hdfs://... (SparkEngine(..., rows=...) in Python)"
            )
        return f"file://{outputs.folder.absolute()}"

    def _mapped(self, task: Callable[..., Any], columns: str) -> DataFrame:
        """What a task, given how rows are read, yields for every partition of the corpus."""
        frames = []
        for found in self._inputs:
            frame = found.frame
            if self._partitions is not None:
                frame = frame.coalesce(self._partitions)
            frames.append(frame.mapInArrow(partial(task, rows=found.rows), columns))
        return reduce(lambda above, below: above.unionAll(below), frames)

    def _marked(self, flagger: Flagger, flagged_only: bool) -> DataFrame:
        task = partial(tasks.mark_partition, flagger, flagged_only)
        return self._mapped(task, tasks.MARKED)

    def _flagged(self, flagger: Flagger) -> pa.Table:
        """The flagged rows of a pass that wrote none: another pass."""
        with told(self._name):
            marked = self._marked(flagger, flagged_only=True)
            return _collected(marked.where("partial is null"))

    def _written(self, target: str) -> pa.Table:
        with told(target):
            return _collected(self._session.read.parquet(target))


def sketch(frame: DataFrame, schema: Schema, name: str) -> FirstPass:
    """The first pass over a DataFrame whose schema is known."""
    chosen = frame.select(*[quoted(column) for column in schema.columns])
    task = partial(tasks.sketch_partition, False, rows=tasks.Rows(name, schema, OneTable(name)))
    with persisted(chosen.mapInArrow(task, tasks.SKETCHED)) as mapped:
        return merged(mapped, FirstPass())


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
    chosen = frame.select(*[quoted(column) for column in columns])
    rows = tasks.Rows(name, schema, OneTable(name))
    task = partial(tasks.flag_partition, flagger, tuple(index), rows=rows)
    yield from received(chosen.mapInArrow(task, tasks.BYTES))


def _outputs(marked: DataFrame, folder: str, split: bool) -> dict[str, DataFrameWriter]:
    """What is written of the rows that ``mark_partition`` yields, by where."""
    rows = marked.where("partial is null")
    flagged, clean = rows.where("checks is not null"), rows.where("checks is null")
    files = {FLAGGED_FILE: flagged.select(*FLAGGED.names)}
    if split:
        files[CLEAN_FILE] = clean.select(*RECORDS.names)
        files[QUARANTINED_FILE] = flagged.select(*RECORDS.names)
    return {
        f"{folder}/{name}": frame.write.format("parquet").option("compression", "zstd")
        for name, frame in files.items()
    }


def _require_records(mapped: DataFrame) -> None:
    """Refuses inputs of which no row can be read.

    Raises:
        InputError: Names the first of them.
    """
    from pyspark.sql import functions as f

    first = f.min_by("first", f.when(f.col("rejected") > 0, f.col("place")))
    counted = mapped.where("partial is not null").groupBy("input")
    found = counted.agg(f.sum("records"), f.sum("rejected"), first).collect()
    for name, records, rejected, reason in found:
        if not records:
            raise InputError(
                f"{name}: none of its {rejected} rows can be read; the first, {reason}"
            )


def _collected(frame: DataFrame) -> pa.Table:
    """Flagged rows on the driver, schema ``FLAGGED``, by file and row."""
    frame = frame.select(*FLAGGED.names)
    batches = list(received(frame.mapInArrow(tasks.as_bytes, tasks.BYTES)))
    parts = [pa.Table.from_batches([batch]).cast(FLAGGED) for batch in batches]
    table = pa.concat_tables([FLAGGED.empty_table(), *parts])
    return table.sort_by([(name, "ascending") for name in ("file", "row", "turn")])
