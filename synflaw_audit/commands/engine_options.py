"""The commands' options that say where the two passes run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from synflaw_audit.errors import InputError

if TYPE_CHECKING:
    from synflaw_audit.engines.base import Engine


class EngineName(StrEnum):
    """What runs the passes."""

    LOCAL = "local"
    SPARK = "spark"


Engines = Annotated[
    EngineName, typer.Option("--engine", help="What reads the corpus: this machine, or Spark.")
]
Master = Annotated[
    str | None,
    typer.Option(
        "--master",
        help="Spark's master, such as local[2]; what spark-submit says if not given.",
    ),
]
Partitions = Annotated[
    int | None,
    typer.Option("--partitions", min=1, help="Spark: into how many tasks, at most, a pass goes."),
]
Rows = Annotated[
    str | None,
    typer.Option(
        "--rows",
        metavar="URI",
        help="Spark: the folder for the rows, if not --out; one that all executors write to.",
    ),
]


@dataclass(frozen=True)
class Where:
    """The options' values."""

    engine: EngineName
    master: str | None
    partitions: int | None
    rows: str | None

    def corpus(
        self, paths: list[str], question: str | None, answer: str | None
    ) -> list[str] | Engine:
        """What ``synflaw_audit.audit`` is to read.

        Raises:
            InputError: An option for Spark was given without it.
            MissingExtraError: pyspark is not installed.
            EngineError: Spark does not start.
        """
        if self.engine is EngineName.LOCAL:
            for option in ("master", "partitions", "rows"):
                if getattr(self, option) is not None:
                    raise InputError(f"--{option} is for Spark: give --engine spark with it")
            return paths
        from synflaw_audit.engines.spark.session import start

        session = start(self.master, self.partitions)
        from synflaw_audit.engines.spark.engine import SparkEngine

        return SparkEngine(
            paths,
            session,
            question=question,
            answer=answer,
            partitions=self.partitions,
            rows=self.rows,
        )
