"""A batch of Great Expectations as a corpus that an engine of the audit reads.

The row condition is applied by the engine of Great Expectations. Nothing is collected: a DataFrame
is read where it lies, a query is streamed from the server piece by piece, a Spark DataFrame stays
on its executors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from synflaw_audit.engines.base import Engine
from synflaw_audit.engines.local.engine import LocalEngine
from synflaw_audit.engines.local.memory import BATCH_RECORDS
from synflaw_audit.engines.spark.engine import SparkEngine
from synflaw_audit.reading import Source
from synflaw_audit.reading.base import Input
from synflaw_audit.reading.rows import Columns, NumberedRow, Piece, require_unique
from synflaw_audit.reading.schemas import Schema
from synflaw_audit.reading.tables import DataFrameInput
from synflaw_audit.settings import Reading

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class OpenedBatch:
    """A batch.

    Attributes:
        engine: Reads it.
        schema: Tells which of its columns hold what; None if it holds no rows.
        frame: The batch itself, where it is a DataFrame of pandas.
        table: What rows are selected from, where it is a table or a query.
    """

    engine: Engine
    schema: Callable[[], Schema | None]
    frame: pd.DataFrame | None = None
    table: Query | None = None


@dataclass(frozen=True)
class Query:
    """A query on a database, streamed; runs anew for every pass.

    Attributes:
        name: How records and messages name it.
        engine: Great Expectations' SqlAlchemyExecutionEngine.
        selectable: What to select from.
    """

    name: str
    engine: Any
    selectable: Any

    def selecting(self, keys: Sequence[dict[str, Any]]) -> str:
        """The statement that selects the rows with these values of index columns, as text.

        Args:
            keys: At least one; each has the same columns.
        """
        import sqlalchemy

        columns: dict[str, Any] = {name: sqlalchemy.column(name) for name in keys[0]}
        chosen: Any
        if len(columns) == 1 and not any(None in key.values() for key in keys):
            ((name, column),) = columns.items()
            chosen = column.in_([key[name] for key in keys])
        else:  # equality with None is written as IS NULL
            same = ([columns[name] == value for name, value in key.items()] for key in keys)
            chosen = sqlalchemy.or_(*(sqlalchemy.and_(*row) for row in same))
        statement = sqlalchemy.select(sqlalchemy.text("*")).select_from(self.selectable)
        compiled = statement.where(chosen).compile(
            dialect=_typed(self.engine.engine.dialect), compile_kwargs={"literal_binds": True}
        )
        return str(compiled)

    def pieces(self, columns: tuple[str, ...] | None, size: int) -> Iterator[Piece]:
        """Yields all rows in the order in which the server gives them."""
        import sqlalchemy

        statement = sqlalchemy.select(sqlalchemy.text("*")).select_from(self.selectable)
        start = 0
        with self.engine.get_connection() as connection:
            # A server-side cursor where the driver has one. Options of this statement alone: Great
            # Expectations may keep the connection for others.
            options = {"stream_results": True, "max_row_buffer": size}
            result = connection.execute(statement, execution_options=options)
            try:
                names = tuple(result.keys())
                require_unique(self.name, names)
                while rows := result.fetchmany(size):
                    yield _piece(start, names, rows, columns)
                    start += len(rows)
            finally:
                result.close()


def _typed(dialect: Any) -> Any:
    """The dialect as a person types it: a driver whose parameters are %s has every % doubled."""
    typed = copy(dialect)
    typed.paramstyle, typed.positional = "named", False
    typed.identifier_preparer = typed.preparer(typed)
    return typed


def from_pandas(engine: Any, domain: dict[str, Any], reading: Reading) -> OpenedBatch:
    """The batch's DataFrame."""
    frame = engine.get_domain_records(domain)
    return replace(_local(DataFrameInput(_name(domain), frame), reading), frame=frame)


def from_sql(engine: Any, domain: dict[str, Any], reading: Reading) -> OpenedBatch:
    """The batch's table or query."""
    selectable = engine.get_domain_records(domain)
    if not hasattr(selectable, "c") or hasattr(selectable, "subquery"):
        selectable = selectable.subquery()
    query = Query(_name(domain), engine, selectable)
    return replace(_local(query, reading), table=query)


def from_spark(engine: Any, domain: dict[str, Any], reading: Reading) -> OpenedBatch:
    """The batch's Spark DataFrame."""
    frame = engine.get_domain_records(domain)
    spark = SparkEngine(frame, name=_name(domain), reading=reading)
    return OpenedBatch(spark, lambda: spark.inputs[0].rows.schema)


def _local(table: Input, reading: Reading) -> OpenedBatch:
    source = Source((table,), reading, BATCH_RECORDS)
    return OpenedBatch(LocalEngine(source), lambda: source.schema(table.name))


def _name(domain: dict[str, Any]) -> str:
    """The batch's name in the records: its id says data source and asset."""
    return str(domain.get("batch_id") or "batch")


def _piece(
    start: int, names: tuple[str, ...], rows: Sequence[Any], wanted: tuple[str, ...] | None
) -> Piece:
    kept = [(place, name) for place, name in enumerate(names) if wanted is None or name in wanted]
    try:
        arrays = [pa.array([row[place] for row in rows]) for place, _ in kept]
    except (pa.ArrowException, UnicodeEncodeError, OverflowError):
        # A column of mixed types, as SQLite allows, or text that is no Unicode: row by row.
        values = ({name: row[place] for place, name in kept} for row in rows)
        loose: list[NumberedRow] = [(n, n, value, b"") for n, value in enumerate(values, start)]
        return loose
    return Columns(start, pa.RecordBatch.from_arrays(arrays, names=[name for _, name in kept]))
