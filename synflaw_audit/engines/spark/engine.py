"""The two passes on Spark. Nothing here needs more than its DataFrames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial, reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from synflaw_audit.engines.base import only
from synflaw_audit.engines.distributed import DistributedEngine, Task
from synflaw_audit.engines.spark.frames import YieldedFrame, collected, mapped, persisted
from synflaw_audit.engines.spark.inputs import (
    SparkInput,
    frame_input,
    named_inputs,
)
from synflaw_audit.engines.spark.session import spark_errors, start
from synflaw_audit.errors import InputError, MissingExtraError
from synflaw_audit.findings.accounts import Skipped
from synflaw_audit.settings import AuditSettings, Reading

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class SparkEngine(DistributedEngine):
    """Reads a corpus on Spark, twice.

    Args:
        source: A Spark DataFrame; or paths, URIs and names of tables, see ``named_inputs``.
        session: Reads what is named; the DataFrame's or this process's if not given.
        name: How records and messages name a DataFrame.
        question: The column of the questions, where it cannot be told.
        answer: The column of the answers.
        reading: All that is said of the columns, in place of these two.
        partitions: At most so many tasks in a pass; as Spark splits the rows if None.
        rows: A folder, as a URI, that all executors can write to, for the rows that the passes
            write. Where Spark runs on this machine alone that can be the outputs' folder, which it
            is if None.
    """

    def __init__(
        self,
        source: DataFrame | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        session: SparkSession | None = None,
        *,
        name: str = "<DataFrame>",
        question: str | None = None,
        answer: str | None = None,
        reading: Reading | None = None,
        partitions: int | None = None,
        rows: str | None = None,
    ) -> None:
        try:
            import pyspark  # noqa: F401
        except ImportError as missing:
            raise MissingExtraError("auditing on Spark", "spark") from missing
        super().__init__(rows)
        self._source: Any = [source] if isinstance(source, str | os.PathLike) else source
        if not isinstance(self._source, Sequence) and not hasattr(source, "sparkSession"):
            raise InputError(
                "a corpus on Spark is a DataFrame of pyspark.sql, or names of files and tables, "
                f"not {type(source).__name__}"
            )
        if session is None:
            session = getattr(source, "sparkSession", None) or start()
        self._session: SparkSession = session
        self._frame_name = name
        self._reading = reading or Reading(question=question, answer=answer)
        self._partitions = partitions

    @classmethod
    def is_native(cls, source: object) -> bool:
        """See ``Engine.is_native``."""
        return type(source).__module__.partition(".")[0] == "pyspark"

    @classmethod
    def opened(cls, source: Any, settings: AuditSettings) -> SparkEngine:
        """See ``Engine.opened``.

        Raises:
            MissingExtraError: pyspark is not installed.
            EngineError: Spark does not start.
        """
        only(settings, "master", "partitions", "rows", engine="spark")
        if settings.encoding is not None:
            raise InputError("--encoding (encoding= in Python) is not for the engine spark")
        return cls(
            source,
            None if cls.is_native(source) else start(settings.master, settings.partitions),
            reading=settings,
            partitions=settings.partitions,
            rows=settings.rows,
        )

    @property
    def name(self) -> str:
        """See ``Engine.name``."""
        return "spark"

    @property
    def files(self) -> tuple[str, ...]:
        """See ``Engine.files``."""
        return tuple(file for found in self.inputs for file in found.files)

    @property
    def named(self) -> tuple[str, ...]:
        """See ``Engine.named``."""
        named = self._source if isinstance(self._source, Sequence) else self._source.inputFiles()
        return tuple(map(os.fspath, named))

    def schemas(self) -> dict[str, str]:
        """See ``Engine.schemas``."""
        return {file: str(found.rows.schema) for found in self.inputs for file in found.files}

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """See ``DistributedEngine.skipped``."""
        return tuple(dict.fromkeys(one for found in self.inputs for one in found.skipped))

    @contextmanager
    def run(
        self, task: Task, schema: pa.Schema, index: tuple[str, ...] = ()
    ) -> Iterator[YieldedFrame]:
        """See ``DistributedEngine.run``."""
        with spark_errors(self._name):
            frames = [self._task(found, task, schema, index) for found in self.inputs]
            with persisted(reduce(lambda above, below: above.unionAll(below), frames)) as kept:
                yield kept

    def read(self, folder: str, schema: pa.Schema) -> pa.Table:
        """See ``DistributedEngine.read``."""
        with spark_errors(folder):
            return collected(self._session.read.parquet(folder), schema)

    def cluster(self) -> str | None:
        """See ``DistributedEngine.cluster``."""
        master = str(self._session.conf.get("spark.master", ""))
        return None if master.startswith("local") else master

    @cached_property
    def inputs(self) -> tuple[SparkInput, ...]:
        """What is read.

        Raises:
            InputError: It cannot be found, or its columns cannot be understood.
        """
        if isinstance(self._source, Sequence):
            return named_inputs(self._session, self._source, self._reading)
        return (frame_input(self._source, self._frame_name, self._reading),)

    @property
    def _name(self) -> str:
        return ", ".join(dict.fromkeys(found.rows.name for found in self.inputs))

    def _task(
        self, found: SparkInput, task: Task, schema: pa.Schema, index: tuple[str, ...]
    ) -> DataFrame:
        frame = found.selected(index)
        if self._partitions is not None:
            frame = frame.coalesce(self._partitions)
        return mapped(frame, partial(task, rows=found.rows), schema)
