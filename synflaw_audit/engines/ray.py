"""The two passes on Ray Data: all that is Ray's own about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from synflaw_audit.engines import distributed, tasks
from synflaw_audit.engines.base import only
from synflaw_audit.engines.partitions import START, NumberedTable
from synflaw_audit.errors import InputError, NoRowsError
from synflaw_audit.reading.index import require_columns
from synflaw_audit.reading.schemas import find_schema, unread_columns
from synflaw_audit.settings import AuditSettings, Reading

if TYPE_CHECKING:
    from ray.data import Dataset

_NAME = "<Dataset>"


class RayEngine(distributed.DistributedEngine):
    """Reads a Ray data set, twice; its columns are found and named as those of a DataFrame."""

    name, files = "ray", (_NAME,)

    def __init__(
        self,
        data: Dataset,
        *,
        question: str | None = None,
        answer: str | None = None,
        reading: Reading | None = None,
        rows: str | None = None,
    ) -> None:
        super().__init__(rows)
        self._data = data
        self._reading = reading or Reading(question=question, answer=answer)

    @classmethod
    def is_native(cls, source: object) -> bool:
        """See ``Engine.is_native``."""
        return type(source).__module__.partition(".")[0] == "ray"

    @classmethod
    def opened(cls, source: Any, settings: AuditSettings) -> RayEngine:
        """See ``Engine.opened``."""
        only(settings, "rows", engine="ray")
        if not cls.is_native(source):
            raise InputError(
                "the engine ray reads data sets of Ray, in Python; --engine spark reads files"
            )
        if settings.encoding is not None:
            raise InputError("--encoding (encoding= in Python) is not for the engine ray")
        return cls(source, reading=settings, rows=settings.rows)

    def schemas(self) -> dict[str, str]:
        """See ``Engine.schemas``."""
        return {_NAME: str(self._rows_read.schema)}

    @cached_property
    def _rows_read(self) -> tasks.RowReader:
        if not (sample := self._data.take(256)):
            raise NoRowsError(f"{_NAME}: there are no rows to audit")
        schema = find_schema(_NAME, sample, self._reading)
        return tasks.RowReader(_NAME, schema, NumberedTable(_NAME), unread_columns(sample, schema))

    @contextmanager
    def run(
        self, task: distributed.Task, schema: pa.Schema, index: tuple[str, ...] = ()
    ) -> Iterator[_Blocks]:
        """See ``DistributedEngine.run``."""
        from ray.data.expressions import monotonically_increasing_id

        rows = self._rows_read
        if index:
            require_columns(_NAME, index, self._data.columns())
        columns = list(dict.fromkeys([*rows.schema.columns, *index]))
        chosen = self._data.select_columns(columns)
        numbered = chosen.with_column(START, monotonically_increasing_id())
        yield _Blocks(_each(numbered, partial(_done, partial(task, rows=rows))).materialize())

    def read(self, folder: str, schema: pa.Schema) -> pa.Table:
        """See ``DistributedEngine.read``."""
        return pyarrow.dataset.dataset(_place(folder)).to_table().cast(schema)

    def cluster(self) -> str | None:
        """See ``DistributedEngine.cluster``."""
        import ray

        return "Ray's nodes" if len(ray.nodes()) > 1 else None


@dataclass(frozen=True)
class _Blocks:
    """What tasks yielded; see ``distributed.Yielded``."""

    data: Dataset

    def merged(self, nothing: Any) -> Any:
        import ray

        merge = ray.remote(_merged)
        blocks = self._of(distributed.PARTIALS).to_arrow_refs()
        while len(blocks) > 1:
            step = distributed.FAN_IN
            blocks = [merge.remote(*blocks[n : n + step]) for n in range(0, len(blocks), step)]
        found = _merged(*ray.get(blocks))["partial"].to_pylist()
        return tasks.unpacked(found[0]) if found else nothing

    def writer(self, rows: distributed.Selection, form: str) -> Callable[[str], object]:
        chosen, empty = self._of(rows), pa.Table.from_batches([], rows.schema)
        if not chosen.count():  # Ray writes no file where there is no row
            return lambda folder: pyarrow.dataset.write_dataset(empty, _place(folder), format=form)
        write = chosen.write_parquet if form == "parquet" else chosen.write_json
        return lambda folder: write(_place(folder), mode="overwrite")

    def batches(self, rows: distributed.Selection) -> Iterator[pa.Table]:
        import ray

        for block in self._of(rows).to_arrow_refs():
            yield distributed.concatenated([ray.get(block)], rows.schema)

    def _of(self, rows: distributed.Selection) -> Dataset:
        return _each(self.data, partial(_chosen, rows))


def _each(data: Dataset, made: Callable[[pa.Table], pa.Table]) -> Dataset:
    return data.map_batches(made, batch_size=None, batch_format="pyarrow")


def _done(task: distributed.Task, block: pa.Table) -> pa.Table:
    return pa.Table.from_batches(list(task(batches=block.to_batches(), partition=0)))


def _chosen(rows: distributed.Selection, block: pa.Table) -> pa.Table:
    kept = block.filter(pc.is_valid(block[rows.present]))
    kept = kept if rows.absent is None else kept.filter(pc.is_null(kept[rows.absent]))
    return kept.select(rows.columns)


def _merged(*blocks: pa.Table) -> pa.Table:
    partials = [value for block in blocks for value in block["partial"].to_pylist()]
    return pa.table({"partial": [tasks.merged(partials)] if partials else pa.array([], "binary")})


def _place(folder: str) -> str:
    return folder.removeprefix("file://")
