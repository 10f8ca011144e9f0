"""The two passes over rows that a cluster holds; Spark and Ray each say how theirs runs a task.

Executors sketch their partitions, and merge the sketches a few at a time until one is left, which
comes to the driver (a tree reduction). Rows never do: executors write them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from synflaw_audit.engines import tasks
from synflaw_audit.engines.base import (
    Engine,
    FirstPass,
    Outputs,
    Progress,
    SecondPass,
)
from synflaw_audit.engines.contents import changed
from synflaw_audit.engines.folders import write_folders
from synflaw_audit.engines.passes import PassCounts
from synflaw_audit.errors import InputError
from synflaw_audit.findings.accounts import Accounts, Skipped
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.flagging.sinks import FlaggedWriter, closing
from synflaw_audit.outputs.names import (
    CLEAN_FILE,
    FLAGGED_FILE,
    QUARANTINED_FILE,
    REJECTED_FILE,
)
from synflaw_audit.records import RECORDS
from synflaw_audit.sample.sketch import EMPTY, Sketch

# Partial results that are merged at once: few enough that they fit into a task's memory together.
FAN_IN = 8

# Called as task(batches=..., rows=..., partition=...), on an executor.
Task = Callable[..., Iterator[pa.RecordBatch]]
Part = TypeVar("Part")


@dataclass(frozen=True)
class Selection:
    """Some of the rows that tasks yielded.

    Attributes:
        schema: Of the columns that are taken.
        present: The column that is not null in them.
        absent: The column that is.
    """

    schema: pa.Schema
    present: str
    absent: str | None = None

    @property
    def columns(self) -> list[str]:
        """Their names."""
        return list(self.schema.names)


PARTIALS = Selection(tasks.PARTIAL, "partial")
REJECTED = Selection(tasks.REJECTED, "reason")
QUARANTINED = Selection(RECORDS, "quarantined")
CLEAN = Selection(RECORDS, "file", absent="quarantined")


class Yielded(Protocol):
    """What tasks yielded, which the cluster keeps for a while."""

    def merged(self, nothing: Part) -> Part:
        """The partial results as one, merged ``FAN_IN`` at a time; ``nothing`` if none."""

    def writer(self, rows: Selection, form: str) -> Callable[[str], object]:
        """Writes rows to a folder, in place of what is there, as "parquet" or "json"."""

    def batches(self, rows: Selection) -> Iterator[pa.RecordBatch | pa.Table]:
        """Rows, on the driver, a part at a time."""


class DistributedEngine(Engine):
    """An ``Engine`` but for how a cluster runs tasks."""

    def __init__(self, rows: str | None) -> None:
        self._content: int | None = None
        self._rows = None if rows is None else rows.rstrip("/")

    @abstractmethod
    def run(
        self, task: Task, schema: pa.Schema, index: tuple[str, ...] = ()
    ) -> AbstractContextManager[Yielded]:
        """Runs a task on every partition.

        Args:
            task: Yields batches of the schema.
            schema: Of these.
            index: Columns that the task needs besides those of the records.

        Raises:
            InputError: The corpus cannot be read, or has no such index column.
            EngineError: The cluster cannot go on.
        """

    @abstractmethod
    def read(self, folder: str, schema: pa.Schema) -> pa.Table:
        """Reads a folder of Parquet that was written, of this schema."""

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What was found beside the corpus and is not read."""
        return ()

    @abstractmethod
    def cluster(self) -> str | None:
        """The name of the cluster; None if it is this machine alone."""

    def first_pass(self, outputs: Outputs, progress: Progress, empty: Sketch = EMPTY) -> FirstPass:
        """See ``Engine.first_pass``."""
        progress("reading", 0)
        folder = self._folder(outputs)
        task = partial(tasks.sketch_partition, folder is not None, empty, outputs.allowed)
        with self.run(task, tasks.SKETCHED) as yielded:
            sketched = yielded.merged(tasks.Sketched(FirstPass(empty)))
            sketched.require_records()
            if folder is not None:
                write_folders({f"{folder}/{REJECTED_FILE}": yielded.writer(REJECTED, "json")})
        found = sketched.found
        self._content = found.content
        return replace(found, accounts=found.accounts.merged(Accounts(skipped=self.skipped)))

    def second_pass(self, flagger: Flagger, outputs: Outputs, progress: Progress) -> SecondPass:
        """See ``Engine.second_pass``."""
        progress("flagging", 0)
        chosen = Selection(outputs.flagged, "checks")
        if outputs.fetched and outputs.folder is not None:
            return self._fetched(flagger, outputs, chosen, outputs.folder / FLAGGED_FILE)
        folder = self._folder(outputs)
        kept = "none" if folder is None else "all" if outputs.split else "flagged"
        with self._marked(flagger, kept, outputs) as yielded:
            counts = self._counted(yielded)
            if folder is not None:
                files = {FLAGGED_FILE: chosen}
                if outputs.split:
                    files |= {CLEAN_FILE: CLEAN, QUARANTINED_FILE: QUARANTINED}
                write_folders(
                    {f"{folder}/{n}": yielded.writer(rows, "parquet") for n, rows in files.items()}
                )
        rows: Callable[[], pa.Table] = partial(self._flagged, flagger, outputs, chosen)
        if folder is not None:
            rows = partial(self._written, outputs)
        return _second_pass(counts, rows)

    def _fetched(
        self, flagger: Flagger, outputs: Outputs, chosen: Selection, path: Path
    ) -> SecondPass:
        """The second pass, its flagged rows in a file of this machine."""
        writer = FlaggedWriter(path, outputs.flagged)
        with self._marked(flagger, "flagged", outputs) as yielded, closing([writer]):
            counts = self._counted(yielded)
            for part in yielded.batches(chosen):
                for batch in part.to_batches() if isinstance(part, pa.Table) else [part]:
                    writer.add(batch)
        rows = partial(pq.read_table, path)
        return _second_pass(counts, rows)

    def _counted(self, yielded: Yielded) -> PassCounts:
        """What all partitions count, of the very records that the first pass saw.

        Raises:
            InputError: The corpus is not what it was.
        """
        counts = yielded.merged(PassCounts())
        if self._content is not None and counts.content != self._content:
            raise changed(", ".join(self.files[:3]))
        return counts

    def _marked(
        self, flagger: Flagger, kept: str, outputs: Outputs
    ) -> AbstractContextManager[Yielded]:
        task = partial(tasks.mark_partition, flagger, kept, outputs.index, outputs.by)
        return self.run(task, tasks.MARKED, outputs.columns)

    def _folder(self, outputs: Outputs) -> str | None:
        """Where executors write rows, as a URI in which nothing is encoded; None if nowhere."""
        if outputs.folder is None:
            return None
        if self._rows is not None:
            return self._rows
        if (cluster := self.cluster()) is not None:
            raise InputError(
                f"{outputs.published or outputs.folder}: a folder of this machine, which the "
                f"executors of {cluster!r} do not write to; name one for the rows that they all "
                "see, as a URI: --rows "
                "hdfs://... (rows= in Python)"
            )
        return _uri(outputs.folder)

    def _flagged(self, flagger: Flagger, outputs: Outputs, chosen: Selection) -> pa.Table:
        """The flagged rows where none were written: that takes another pass."""
        with self._marked(flagger, "flagged", replace(outputs, by=None)) as yielded:
            self._counted(yielded)
            return _in_order(concatenated(list(yielded.batches(chosen)), chosen.schema))

    def _written(self, outputs: Outputs) -> pa.Table:
        folder = f"{self._rows}/{FLAGGED_FILE}"
        if self._rows is None:
            folder = _uri(outputs.located(FLAGGED_FILE))
        return _in_order(self.read(folder, outputs.flagged))


def _second_pass(counts: PassCounts, rows: Callable[[], pa.Table]) -> SecondPass:
    return SecondPass(
        counts.tokens, counts.flagged, rows, counts.tally, counts.groups, counts.quarantined
    )


def concatenated(batches: Sequence[pa.RecordBatch | pa.Table], schema: pa.Schema) -> pa.Table:
    """Batches as one table of this schema."""
    tables = [b if isinstance(b, pa.Table) else pa.Table.from_batches([b]) for b in batches]
    return pa.concat_tables([schema.empty_table(), *(table.cast(schema) for table in tables)])


def _uri(path: Path) -> str:
    """A path of this machine as a URI in which nothing is encoded."""
    return f"file://{path.absolute()}"


def _in_order(flagged: pa.Table) -> pa.Table:
    return flagged.sort_by([(name, "ascending") for name in ("file", "row", "turn")])
