"""An engine that reads the rows of a table from its end."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from synflaw_audit.engines.base import Engine, only
from synflaw_audit.engines.local.engine import LocalEngine
from synflaw_audit.reading import open_source
from synflaw_audit.settings import AuditSettings


class Backwards:
    """A data set of this engine's own kind."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table


class ReversedEngine(LocalEngine):
    """Reads a JSONL or Parquet file, or ``Backwards``, from its end."""

    @classmethod
    def is_native(cls, source: object) -> bool:
        """Whether it is a ``Backwards``."""
        return isinstance(source, Backwards)

    @classmethod
    def opened(cls, source: Any, settings: AuditSettings) -> Engine:
        """The engine, on what the command line or a caller names."""
        only(settings, engine="reversed")
        columns = {"question": settings.question, "answer": settings.answer}
        if isinstance(source, Backwards):
            table = source.table
        else:
            table = pa.Table.from_batches(open_source(source, **columns).batches())
        table = table.select(["question", "answer"])
        return cls(open_source(table.take(list(range(table.num_rows))[::-1])))

    @property
    def name(self) -> str:
        """What the report calls it."""
        return "reversed"
