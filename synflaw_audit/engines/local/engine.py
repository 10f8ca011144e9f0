"""The two passes over files and tables that this machine reads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from synflaw_audit.allowed import Allowances, Remainder
from synflaw_audit.engines.base import (
    Engine,
    FirstPass,
    Outputs,
    Progress,
    SecondPass,
    only,
)
from synflaw_audit.engines.contents import Contents, changed, require_same
from synflaw_audit.engines.local.journal import SHARD_RECORDS, AuditJournal, FlaggedBatch
from synflaw_audit.engines.local.memory import memory_plan, parsed
from synflaw_audit.errors import InputError
from synflaw_audit.findings.accounts import Accounts
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.flagging.groups import Grouper
from synflaw_audit.flagging.sinks import (
    FlaggedWriter,
    RejectedWriter,
    Sink,
    SplitWriter,
    closing,
)
from synflaw_audit.flagging.tally import Tally
from synflaw_audit.outputs.names import (
    CLEAN_FILE,
    FLAGGED_FILE,
    QUARANTINED_FILE,
    REJECTED_FILE,
)
from synflaw_audit.reading import Rejected, Source
from synflaw_audit.reading.index import Index
from synflaw_audit.reading.ledger import OnReject
from synflaw_audit.reading.source import source_of
from synflaw_audit.records import FLAGGED_AND_INDEX
from synflaw_audit.sample.fields import FieldSketcher
from synflaw_audit.sample.repeats import RepeatsSketcher
from synflaw_audit.sample.sketch import EMPTY, Sketch, Sketcher
from synflaw_audit.settings import AuditSettings
from synflaw_audit.text.tokens import Mask

Item = TypeVar("Item")
Result = TypeVar("Result")


def _threads() -> int:
    """As many as this process may use cores."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass
class LocalEngine(Engine):
    """Reads a corpus of files or tables, twice.

    Attributes:
        source: The corpus.
        resume: Go on where an interrupted audit into the same folder stopped.
        threads: That flag rows while this one reads them.
    """

    source: Source
    resume: bool = False
    threads: int = field(default_factory=_threads)
    _journal: AuditJournal | None = field(default=None, init=False, repr=False)
    _contents: Mapping[str, str] | None = field(default=None, init=False, repr=False)

    @classmethod
    def opened(cls, source: Any, settings: AuditSettings) -> LocalEngine:
        """See ``Engine.opened``."""
        only(settings, "resume", "memory_limit", engine="local")
        limit = settings.memory_limit
        memory = memory_plan(None if limit is None else parsed(limit))
        size = memory.batch_records
        return cls(source_of(source, settings, size), settings.resume)

    @property
    def name(self) -> str:
        """See ``Engine.name``."""
        return "local"

    @property
    def files(self) -> tuple[str, ...]:
        """See ``Engine.files``."""
        return self.source.files

    def schemas(self) -> dict[str, str]:
        """See ``Engine.schemas``."""
        return self.source.schemas()

    def first_pass(self, outputs: Outputs, progress: Progress, empty: Sketch = EMPTY) -> FirstPass:
        """See ``Engine.first_pass``.

        Raises:
            InputError: Also if it is to resume and cannot, or a column that the outputs need is
                not there.
        """
        if outputs.columns:
            self.source.require_columns(outputs.columns)
        if outputs.folder is None:
            first = sketched(self.source, progress, empty, allowed=outputs.allowed)
        else:
            outputs.folder.mkdir(parents=True, exist_ok=True)
            self._journal = self._opened(outputs)
            rejects = RejectedWriter(outputs.folder / REJECTED_FILE)
            with closing([rejects]):
                first = sketched(
                    self.source, progress, empty, rejects, self._journal, outputs.allowed
                )
        self._contents = first.contents
        return first

    def second_pass(self, flagger: Flagger, outputs: Outputs, progress: Progress) -> SecondPass:
        """See ``Engine.second_pass``.

        Raises:
            InputError: Also if a file is not what it was in the first pass.
        """
        kept, tally = _Kept(outputs.flagged), Tally()
        sinks = [tally, *(_sinks(outputs, flagger) or [kept])]
        grouper = None if outputs.by is None else Grouper(outputs.by)
        tokens = flagged = quarantined = done = 0
        contents = Contents(ordered=self.source.of_files)
        with closing(sinks):
            for batch, index, found in self._found(flagger, outputs.columns):
                contents.add(batch)
                if len(found.mask) != batch.num_rows:
                    raise changed(batch.column("file")[0].as_py())
                rows = found.flagged
                if index is not None and outputs.index:
                    rows = _with_index(found, index, outputs.index)
                if grouper is not None:
                    grouper.add(flagger.remainder(batch), index, found.mask)
                for sink in sinks:
                    sink.write(batch, found.mask, rows)
                tokens += found.tokens
                flagged += rows.num_rows
                quarantined += int(flagger.quarantined(rows).sum())
                done += batch.num_rows
                progress("flagging", done)
            if self._contents is not None:
                require_same(self._contents, contents.digests())
        written: Callable[[], pa.Table] = kept.table
        if outputs.folder is not None:
            written = partial(_flagged_rows, outputs)
        groups = None if grouper is None else grouper.groups()
        return SecondPass(tokens, flagged, written, tally, groups, quarantined)

    def _found(
        self, flagger: Flagger, names: tuple[str, ...]
    ) -> Iterator[tuple[pa.RecordBatch, Index | None, FlaggedBatch]]:
        """Every batch and what is found in it; what an interrupted run found is not sought anew."""
        batches: Iterator[tuple[pa.RecordBatch, Index | None]]
        if names:
            batches = self.source.indexed_batches(names)
        else:
            batches = ((batch, None) for batch in self.source.batches())
        known = self._journal.second_pass() if self._journal is not None else iter(())
        for found in known:
            pair = next(batches, None)
            if pair is None:
                raise changed(self.files[-1])
            yield *pair, found
        for pair, found in ordered(
            lambda p: FlaggedBatch(*flagger.flag(p[0])), batches, self.threads
        ):
            if self._journal is not None:
                self._journal.add(found)
            yield *pair, found

    def _opened(self, outputs: Outputs) -> AuditJournal | None:
        if outputs.journal is None:
            return None
        if not self.source.of_files:
            if self.resume:
                raise InputError("only an audit of files can be resumed, not one of tables")
            return None
        files = [[name, *stamp] for name, stamp in self.source.stamps().items()]
        identity = {"files": files, "schemas": self.schemas(), **outputs.settings}
        return AuditJournal(outputs.journal, identity, resume=self.resume)


def sketched(
    source: Source,
    progress: Progress,
    empty: Sketch = EMPTY,
    on_reject: OnReject | None = None,
    journal: AuditJournal | None = None,
    allowed: Allowances | None = None,
) -> FirstPass:
    """Sketches a corpus, from where the journal has got to, and keeps that up to date."""
    nothing = FirstPass(empty)
    done, before = journal.first_pass(nothing) if journal else (0, nothing)
    sketcher, first = Sketcher(before.sketch), before.first_rejected
    by_field = FieldSketcher(empty, allowed or Allowances(), before.fields)
    remainder = Remainder(allowed or Allowances(), before.allowed)
    repeats = RepeatsSketcher(before.repeats)
    accounts = list(before.accounts.files)
    contents, known_contents = Contents(ordered=source.of_files), dict(before.contents)
    if journal is not None and on_reject is not None and before.rejected:
        for row in journal.rejected():
            on_reject(row)

    def reject(row: Rejected) -> None:
        nonlocal first
        first = first or f"row {row.row}: {row.reason}"
        if journal is not None:
            journal.reject(row)
        if on_reject is not None:
            on_reject(row)

    def found() -> FirstPass:
        return FirstPass(
            sketcher.sketch(),
            Accounts(tuple(accounts), source.skipped),
            first,
            remainder.counts,
            known_contents | contents.digests(),
            fields=by_field.sketches(),
            repeats=repeats.repeats(),
        )

    kept = sketcher.records
    for number in range(done, len(source.files)):
        for batch in source.file_batches(number, reject):
            sketcher.add(remainder.of(batch))
            by_field.add(batch)
            repeats.add(batch)
            contents.add(batch)
            progress("reading", sketcher.records)
        accounts.append(source.account(number))
        if journal is not None and sketcher.records - kept >= SHARD_RECORDS:
            journal.keep_first_pass(number + 1, found())
            kept = sketcher.records
    source.require(sketcher.records)
    return found()


def ordered(
    function: Callable[[Item], Result], items: Iterator[Item], threads: int
) -> Iterator[tuple[Item, Result]]:
    """Each item with what the function makes of it, in order; some are worked on at a time."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[Item, Future[Result]]] = deque()
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > threads:
                first, result = waiting.popleft()
                yield first, result.result()
        for item, result in waiting:
            yield item, result.result()


def _sinks(outputs: Outputs, flagger: Flagger) -> list[Sink]:
    if outputs.folder is None:
        return []
    sinks: list[Sink] = [FlaggedWriter(outputs.folder / FLAGGED_FILE, outputs.flagged)]
    if outputs.split:
        clean, quarantined = (outputs.folder / name for name in (CLEAN_FILE, QUARANTINED_FILE))
        sinks.append(SplitWriter(clean, quarantined, flagger.quarantined))
    return sinks


def _flagged_rows(outputs: Outputs) -> pa.Table:
    return pq.read_table(outputs.located(FLAGGED_FILE))


def _with_index(found: FlaggedBatch, index: Index, names: tuple[str, ...]) -> pa.RecordBatch:
    columns = [*found.flagged.columns, index.to_json(found.mask, names)]
    return pa.RecordBatch.from_arrays(columns, schema=FLAGGED_AND_INDEX)


class _Kept:
    """Keeps the flagged rows in memory, for an audit that writes no files."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._batches: list[pa.RecordBatch] = []

    def write(self, records: pa.RecordBatch, mask: Mask, flagged: pa.RecordBatch) -> None:
        """See ``Sink.write``."""
        self._batches.append(flagged)

    def close(self) -> None:
        """See ``Output.close``."""

    def discard(self) -> None:
        """See ``Output.discard``."""
        self._batches.clear()

    def table(self) -> pa.Table:
        """The flagged rows."""
        return pa.Table.from_batches(self._batches, schema=self._schema)
