"""A batch of Great Expectations as a table that the audit can read twice, on each engine.

The row condition is applied by the engine itself. Nothing is collected: a DataFrame is read where
it lies, a query is streamed from the server piece by piece, a Spark DataFrame stays on its
executors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from synflaw_audit.engines import passes
from synflaw_audit.engines.base import FirstPass
from synflaw_audit.errors import InputError, MissingExtraError
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.reading.rows import Columns, Input, Piece, Row
from synflaw_audit.reading.schemas import Schema, find_schema
from synflaw_audit.reading.tables import Frame

SAMPLE_ROWS = 256


class Rows(Protocol):
    """The rows of one batch."""

    @property
    def name(self) -> str:
        """How records and messages name the batch."""

    def schema(self, question: str | None, answer: str | None) -> Schema:
        """Which columns hold what, from the first rows.

        Raises:
            InputError: It cannot be told, or there are no rows.
        """

    def sketch(self, schema: Schema) -> FirstPass:
        """The first pass over all rows."""

    def flag(
        self, schema: Schema, flagger: Flagger, index: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """The second pass; see ``engines.passes.flag_rows``."""


@dataclass(frozen=True)
class LocalRows:
    """Rows that this process reads: a DataFrame or a query."""

    table: Input

    @property
    def name(self) -> str:
        """See ``Rows.name``."""
        return self.table.name

    def schema(self, question: str | None, answer: str | None) -> Schema:
        """See ``Rows.schema``."""
        return _find_schema(self.name, _first_rows(self.table), question, answer)

    def sketch(self, schema: Schema) -> FirstPass:
        """See ``Rows.sketch``."""
        return passes.sketch_rows([self.table], schema)

    def flag(
        self, schema: Schema, flagger: Flagger, index: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """See ``Rows.flag``."""
        return passes.flag_rows(self.table, schema, flagger, index)


@dataclass(frozen=True)
class SparkRows:
    """Rows of a Spark DataFrame."""

    name: str
    frame: Any

    def schema(self, question: str | None, answer: str | None) -> Schema:
        """See ``Rows.schema``."""
        sample = [row.asDict(recursive=True) for row in self.frame.take(SAMPLE_ROWS)]
        return _find_schema(self.name, sample, question, answer)

    def sketch(self, schema: Schema) -> FirstPass:
        """See ``Rows.sketch``."""
        from synflaw_audit.engines.spark import engine as spark

        return spark.sketch(self.frame, schema, self.name)

    def flag(
        self, schema: Schema, flagger: Flagger, index: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """See ``Rows.flag``."""
        from synflaw_audit.engines.spark import engine as spark

        return spark.flag(self.frame, schema, self.name, flagger, index)


@dataclass(frozen=True)
class Query:
    """A query on a database, streamed; runs anew for every pass.

    Attributes:
        name: How records and messages name it.
        engine: Great Expectations' SqlAlchemyExecutionEngine.
        selectable: What to select from.
        names: The columns of the result, in order.
    """

    name: str
    engine: Any
    selectable: Any
    names: tuple[str, ...] = field(default=())

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
                _require_distinct(self.name, names)
                while rows := result.fetchmany(size):
                    yield _piece(start, names, rows, columns)
                    start += len(rows)
            finally:
                result.close()


def from_pandas(engine: Any, domain: dict[str, Any]) -> LocalRows:
    """The batch's DataFrame."""
    frame: pd.DataFrame = engine.get_domain_records(domain)
    return LocalRows(Frame(_name(domain), frame))


def from_sql(engine: Any, domain: dict[str, Any]) -> LocalRows:
    """The batch's table or query."""
    selectable = engine.get_domain_records(domain)
    if not hasattr(selectable, "c") or hasattr(selectable, "subquery"):
        selectable = selectable.subquery()
    return LocalRows(Query(_name(domain), engine, selectable))


def from_spark(engine: Any, domain: dict[str, Any]) -> SparkRows:
    """The batch's Spark DataFrame."""
    try:
        import pyspark  # noqa: F401
    except ImportError as missing:
        raise MissingExtraError("auditing a Spark DataFrame", "spark") from missing
    return SparkRows(_name(domain), engine.get_domain_records(domain))


def _name(domain: dict[str, Any]) -> str:
    """The batch's name in the records: its id says data source and asset."""
    return str(domain.get("batch_id") or "batch")


def _find_schema(
    name: str, sample: list[dict[str, Any]], question: str | None, answer: str | None
) -> Schema:
    if not sample:
        raise InputError(f"{name}: there are no rows to audit")
    return find_schema(name, sample, question, answer)


def _first_rows(table: Input) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    pieces = table.pieces(None, SAMPLE_ROWS)
    for piece in islice(pieces, 1):
        if isinstance(piece, Columns):
            rows.extend(piece.batch.to_pylist())
        else:
            rows.extend(value for _, _, value, _ in piece if isinstance(value, dict))
    pieces.close()  # type: ignore[attr-defined]
    return rows


def _piece(
    start: int, names: tuple[str, ...], rows: Sequence[Any], wanted: tuple[str, ...] | None
) -> Piece:
    kept = [(place, name) for place, name in enumerate(names) if wanted is None or name in wanted]
    try:
        arrays = [pa.array([row[place] for row in rows]) for place, _ in kept]
    except (pa.ArrowException, UnicodeEncodeError, OverflowError):
        # A column of mixed types, as SQLite allows, or text that is no Unicode: row by row.
        values = ({name: row[place] for place, name in kept} for row in rows)
        loose: list[Row] = [(n, n, value, b"") for n, value in enumerate(values, start)]
        return loose
    return Columns(start, pa.RecordBatch.from_arrays(arrays, names=[name for _, name in kept]))


def _require_distinct(name: str, columns: tuple[str, ...]) -> None:
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise InputError(f"{name}: columns named more than once: {twice}")
