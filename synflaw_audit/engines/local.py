"""The two passes over files and tables that this machine reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

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
from synflaw_audit.flags import Flagger
from synflaw_audit.readers import Rejected, Source
from synflaw_audit.readers.source import OnReject
from synflaw_audit.records import FLAGGED
from synflaw_audit.sinks import FlaggedWriter, RejectedWriter, Sink, SplitWriter, closing
from synflaw_audit.sketch import Sketcher
from synflaw_audit.tally import Tally
from synflaw_audit.tokens import Mask


@dataclass(frozen=True)
class LocalEngine:
    """Reads a corpus of files or tables, twice.

    Attributes:
        source: The corpus.
    """

    source: Source

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

    def first_pass(self, outputs: Outputs, tell: Progress) -> FirstPass:
        """See ``Engine.first_pass``."""
        if outputs.folder is None:
            return sketched(self.source, tell)
        outputs.folder.mkdir(parents=True, exist_ok=True)
        rejects = RejectedWriter(outputs.folder / REJECTED_FILE)
        with closing([rejects]):
            return sketched(self.source, tell, rejects)

    def second_pass(self, flagger: Flagger, outputs: Outputs, tell: Progress) -> SecondPass:
        """See ``Engine.second_pass``."""
        kept, tally = _Kept(), Tally()
        sinks = [tally, *(_sinks(outputs) or [kept])]
        tokens = flagged = done = 0
        with closing(sinks):
            for batch in self.source.batches():
                mask, rows, count = flagger.flag(batch)
                for sink in sinks:
                    sink.write(batch, mask, rows)
                tokens += count
                flagged += rows.num_rows
                done += batch.num_rows
                tell("flagging", done)
        rows = kept.table
        if outputs.folder is not None:
            rows = partial(pq.read_table, outputs.folder / FLAGGED_FILE)
        return SecondPass(tokens, flagged, rows, tally)


def sketched(source: Source, tell: Progress, on_reject: OnReject | None = None) -> FirstPass:
    """Sketches a corpus."""
    rejected, first = 0, ""

    def reject(row: Rejected) -> None:
        nonlocal rejected, first
        rejected += 1
        first = first or f"row {row.row}: {row.reason}"
        if on_reject is not None:
            on_reject(row)

    sketcher = Sketcher()
    for batch in source.batches(reject):
        sketcher.add(batch)
        tell("reading", sketcher.records)
    return FirstPass(sketcher.sketch(), rejected, first)


def _sinks(outputs: Outputs) -> list[Sink]:
    if outputs.folder is None:
        return []
    sinks: list[Sink] = [FlaggedWriter(outputs.folder / FLAGGED_FILE)]
    if outputs.split:
        clean, quarantined = (outputs.folder / name for name in (CLEAN_FILE, QUARANTINED_FILE))
        sinks.append(SplitWriter(clean, quarantined))
    return sinks


class _Kept:
    """Keeps the flagged rows in memory, for an audit that writes no files."""

    def __init__(self) -> None:
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
        return pa.Table.from_batches(self._batches, schema=FLAGGED)
