"""The rows that an audit flagged, on disk until nobody needs them any more."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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

    def rows(
        self, checks: Sequence[str], most: int | None, columns: Sequence[str] = FLAGGED.names
    ) -> list[dict[str, Any]]:
        """The first rows that any of these checks flagged, all of them if ``most`` is None.

        Each has the columns of ``records.FLAGGED`` that were asked for, and ``index``, the values
        of the index columns.
        """
        found: list[dict[str, Any]] = []
        for batch in self._matching(checks, columns):
            left = batch.num_rows if most is None else most - len(found)
            found.extend(_python(batch.slice(0, left)))
            if most is not None and len(found) >= most:
                break
        return found

    def worst(self, checks: Sequence[str], most: int) -> list[dict[str, Any]]:
        """The rows that these checks flagged with the highest scores, the first of equals."""
        kept = pa.Table.from_batches([], schema=self._schema)
        for batch in self._matching(checks, FLAGGED.names):
            both = pa.concat_tables([kept, pa.Table.from_batches([batch]).cast(self._schema)])
            order = np.argsort(-both.column("score").to_numpy(), kind="stable")[:most]
            kept = both.take(np.sort(order))
        order = np.argsort(-kept.column("score").to_numpy(), kind="stable")
        return [row for batch in kept.take(order).to_batches() for row in _python(batch)]

    def table(self) -> pa.Table:
        """All of them, schema ``records.FLAGGED``."""
        return pq.read_table(self.path, columns=FLAGGED.names).cast(FLAGGED)

    @cached_property
    def _schema(self) -> pa.Schema:
        return pq.read_schema(self.path)

    def _matching(self, checks: Sequence[str], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        names = [name for name in self._schema.names if name in (*columns, "checks", "index")]
        wanted = pa.array(list(checks), pa.string())
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(batch_size=4096, columns=names):
                lists = batch.column("checks")
                hit = pc.is_in(lists.flatten(), wanted)
                mask = np.zeros(batch.num_rows, dtype=bool)
                mask[np.asarray(pc.list_parent_indices(lists).filter(hit))] = True
                kept = batch if "checks" in columns else batch.drop_columns(["checks"])
                yield kept.filter(pa.array(mask))


def _python(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = batch.to_pylist()
    for row in rows:
        row["index"] = json.loads(row["index"]) if "index" in row else {}
    return rows


def write(path: Path, subset: Subset | None) -> int:
    """Write the rows of a subset, schema ``records.FLAGGED``, its index columns after it.

    An index column that is called like one of the schema's has "index_" before its name.

    Returns:
        The number of rows written.
    """
    if subset is None:
        pq.write_table(FLAGGED.empty_table(), path, compression="zstd")
        return 0
    with pq.ParquetFile(subset.path) as file:
        if "index" not in file.schema_arrow.names:
            shutil.copyfile(subset.path, path)
            return subset.records
        keys = _index_schema(file)
        schema = pa.schema([*FLAGGED, *keys])
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in file.iter_batches():
                flagged = pa.Table.from_batches([batch.select(FLAGGED.names)]).cast(FLAGGED)
                values = _values(batch, keys)
                writer.write_table(pa.table([*flagged.columns, *values], schema=schema))
    return subset.records


def _index_schema(file: pq.ParquetFile) -> pa.Schema:
    """The index columns: text, but for numbers and truth values where a column has only these."""
    kinds: dict[str, set[type]] = {}
    for batch in file.iter_batches(columns=["index"]):
        for text in batch.column("index").to_pylist():
            for name, value in json.loads(text).items():
                kind = str if type(value) is int and abs(value) >= 1 << 63 else type(value)
                kinds.setdefault(name, set()).add(kind)
    return pa.schema(
        [
            pa.field(
                f"index_{name}" if name in FLAGGED.names else name, _type(found - {type(None)})
            )
            for name, found in kinds.items()
        ]
    )


def _type(kinds: set[type]) -> pa.DataType:
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds and kinds <= {int, float} else pa.string()


def _values(batch: pa.RecordBatch, schema: pa.Schema) -> list[pa.Array]:
    rows = [list(json.loads(text).values()) for text in batch.column("index").to_pylist()]
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return [
        pa.array(
            [v if v is None or field.type != pa.string() else _text(v) for v in column], field.type
        )
        for column, field in zip(columns, schema, strict=True)
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
