"""The rows that an audit flagged, on disk until nobody needs them any more."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synflaw_audit.engines.base import SecondPass
from synflaw_audit.outputs.names import FLAGGED_FILE
from synflaw_audit.records import FLAGGED


class Subset:
    """Flagged rows with what flagged them; memory does not grow with their number.

    Attributes:
        path: A Parquet file, schema ``Outputs.flagged``.
        records: Rows in it.
        found: What the second pass found.
    """

    def __init__(self, flag: Callable[[Path], SecondPass]) -> None:
        """Has the rows flagged.

        Args:
            flag: The second pass; given a folder, writes the rows into it.
        """
        folder = Path(tempfile.mkdtemp(prefix="synflaw-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.path = folder / FLAGGED_FILE
        # The rows are there as long as somebody may ask for them.
        self.found = replace(flag(folder), rows=self.table)
        self.records = self.found.flagged
        self._counts: Counter[tuple[tuple[str, ...], str | None]] = Counter()
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(columns=["checks", "template"]):
                checks = map(tuple, batch.column("checks").to_pylist())
                self._counts.update(zip(checks, batch.column("template").to_pylist(), strict=True))

    def count(self, checks: Sequence[str]) -> int:
        """Rows that any of these checks flagged."""
        return sum(n for (found, _), n in self._counts.items() if not set(found).isdisjoint(checks))

    def templates(self, checks: Sequence[str]) -> Counter[str]:
        """Rows by template among those that any of these checks flagged."""
        counts: Counter[str] = Counter()
        for (found, template), number in self._counts.items():
            if template is not None and not set(found).isdisjoint(checks):
                counts[template] += number
        return counts

    def rows(self, checks: Sequence[str], most: int | None) -> list[dict[str, Any]]:
        """The first rows that any of these checks flagged, all of them if ``most`` is None.

        Each has the columns of ``records.FLAGGED`` and ``index``, the values of the index columns.
        """
        found: list[dict[str, Any]] = []
        for row in self._matching(set(checks)):
            if most is not None and len(found) >= most:
                break
            found.append({**row, "index": json.loads(row.get("index", "{}"))})
        return found

    def table(self) -> pa.Table:
        """All of them, schema ``records.FLAGGED``."""
        return pq.read_table(self.path, columns=FLAGGED.names).cast(FLAGGED)

    def _matching(self, checks: set[str]) -> Iterator[dict[str, Any]]:
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    if not checks.isdisjoint(row["checks"]):
                        yield row


def write(path: Path, subsets: Sequence[Subset]) -> int:
    """Write the rows of several subsets as one file of schema ``records.FLAGGED``.

    Returns:
        The number of rows written.
    """
    written = 0
    with pq.ParquetWriter(path, FLAGGED, compression="zstd") as writer:
        for subset in subsets:
            with pq.ParquetFile(subset.path) as file:
                for batch in file.iter_batches(columns=FLAGGED.names):
                    writer.write_batch(batch.cast(FLAGGED))
                    written += batch.num_rows
    return written
