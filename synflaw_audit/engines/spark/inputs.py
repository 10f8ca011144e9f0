"""What a caller names as a corpus, as Spark DataFrames: files where they lie, tables, DataFrames.

Files are read by Spark, split as it splits them. With every row comes its place in its file, so
that rows have the numbers that they have on one machine.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from synflaw_audit.engines.partitions import (
    BROKEN,
    FILE,
    LINE,
    START,
    CellFiles,
    LineFiles,
    OneTable,
    TableFiles,
    file_name,
)
from synflaw_audit.engines.spark.session import spark_errors
from synflaw_audit.engines.tasks import RowReader
from synflaw_audit.errors import InputError, NoRowsError
from synflaw_audit.findings.accounts import Skipped
from synflaw_audit.reading.index import require_columns
from synflaw_audit.reading.json_values import parse_json
from synflaw_audit.reading.rows import fields_of, require_unique
from synflaw_audit.reading.schemas import Schema, find_schema, unread_columns
from synflaw_audit.settings import Reading

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

SAMPLE_ROWS = 256
_PACKED = ("", ".gz", ".bz2", ".zst")
_TABLE_NAME = re.compile(r"`?[\w-]+`?(\.`?[\w-]+`?){0,2}")


@dataclass(frozen=True)
class SparkInput:
    """Rows that are read in one way.

    Attributes:
        files: What they are read from, named as in the records.
        frame: All their columns, and those of ``rows.layout``.
        rows: How executors read them.
        skipped: What was found beside them and is not read.
    """

    files: tuple[str, ...]
    frame: DataFrame
    rows: RowReader
    skipped: tuple[Skipped, ...] = ()

    def selected(self, index: Sequence[str] = ()) -> DataFrame:
        """The columns that the records need, those of the layout, and an index's.

        Raises:
            InputError: There is no such index column.
        """
        if isinstance(self.rows.layout, LineFiles):  # a line holds all of its row
            return self.frame
        columns = self.frame.columns
        require_columns(self.rows.name, index, columns)
        places = [name for name in (FILE, START, BROKEN) if name in columns]
        chosen = dict.fromkeys([*self.rows.schema.columns, *index, *places])
        return self.frame.select(*map(quoted, chosen))


def frame_input(frame: DataFrame, name: str, reading: Reading) -> SparkInput:
    """A DataFrame or a table of this name.

    Raises:
        InputError: It has no rows, or its columns cannot be understood.
    """
    require_unique(name, frame.columns)
    with spark_errors(name):
        sample = [row.asDict(recursive=True) for row in frame.take(SAMPLE_ROWS)]
    schema, unread = _schema(name, sample, reading)
    return SparkInput((name,), frame, RowReader(name, schema, OneTable(name), unread))


def named_inputs(
    session: SparkSession, names: Sequence[str | os.PathLike[str]], reading: Reading
) -> tuple[SparkInput, ...]:
    """What paths, URIs and names of tables stand for.

    Args:
        session: Reads them.
        names: Files, folders (with everything below them), patterns, as paths or URIs that Spark
            understands: Parquet, JSON lines and CSV; or tables.
        reading: What the caller says of the columns.

    Raises:
        InputError: There is no such thing, nothing readable in it, or its columns cannot be
            understood.
    """
    if not names:
        raise InputError("no input: give at least one file, folder, pattern or table")
    seen: set[str] = set()
    return tuple(
        found for name in names for found in _named(session, os.fspath(name), reading, seen)
    )


def quoted(column: str) -> str:
    """A column's name as Spark takes it, dots and backticks included."""
    return f"`{column.replace('`', '``')}`"


def _named(
    session: SparkSession, name: str, reading: Reading, seen: set[str]
) -> Iterator[SparkInput]:
    """What one name stands for, but for what was seen before: no row is read twice."""
    with spark_errors(name):
        if _is_table(session, name):
            if name not in seen:
                yield frame_input(session.table(name), name, reading)
            seen.add(name)
            return
        listed = session.read.format("binaryFile").option("recursiveFileLookup", "true")
        uris = sorted(listed.load(name).inputFiles())
    readers = [(reader, [u for u in uris if _is(u, endings)]) for endings, reader in _READERS]
    if not any(found for _, found in readers):
        shown = ", ".join(map(file_name, uris[:10])) or "no files"
        known = ", ".join(ending for endings, _ in _READERS for ending in endings)
        raise InputError(f"{name}: nothing that Spark reads here: {shown}; readable are {known}")
    read = {uri for _, found in readers for uri in found}
    reason = "its ending is none that Spark reads here"
    skipped = tuple(Skipped(file_name(uri), reason) for uri in uris if uri not in read)
    for reader, found in readers:
        if new := tuple(uri for uri in found if uri not in seen):
            seen.update(new)
            with spark_errors(name):
                yield replace(reader(_Files(session, name, new), reading), skipped=skipped)


def _is_table(session: SparkSession, name: str) -> bool:
    likely = _TABLE_NAME.fullmatch(name) and not Path(name).exists()
    return bool(likely and session.catalog.tableExists(name))


@dataclass(frozen=True)
class _Files:
    """Files of one format.

    Attributes:
        session: Reads them.
        name: What the caller named.
        uris: Of each, percent-encoded.
    """

    session: SparkSession
    name: str
    uris: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """Their names in the records."""
        return tuple(map(file_name, self.uris))

    def paths(self) -> list[str]:
        """Them as Spark takes them: in these, unlike in its answers, nothing is encoded."""
        return [_pattern(unquote(uri)) for uri in self.uris]

    def input(
        self, frame: DataFrame, schema: Schema, layout: Any, unread: tuple[str, ...]
    ) -> SparkInput:
        """Them as an input."""
        return SparkInput(self.files, frame, RowReader(self.name, schema, layout, unread))


def _parquet(files: _Files, reading: Reading) -> SparkInput:
    frame = files.session.read.parquet(*files.paths())
    require_unique(files.name, frame.columns)
    sample = [row.asDict(recursive=True) for row in frame.take(SAMPLE_ROWS)]
    schema, unread = _schema(files.name, sample, reading)
    placed = frame.select("*", _metadata("file_path", FILE), _metadata("row_index", START))
    return files.input(placed, schema, TableFiles(), unread)


def _json_lines(files: _Files, reading: Reading) -> SparkInput:
    from pyspark.sql import functions as f

    # Only a line feed ends a line, as for every reader of JSON lines.
    text = files.session.read.text(files.paths(), lineSep="\n")
    start = _metadata("file_block_start", START)
    lines = text.select(f.col(LINE).cast("binary").alias(LINE), _metadata("file_path", FILE), start)
    sample = [bytes(row[0]).strip() for row in lines.select(LINE).take(SAMPLE_ROWS)]
    values = (fields_of(parse_json(line)) for line in filter(None, sample))
    rows = [value for value in values if value is not None]
    if any(sample) and (not rows or sample[0] == b"["):
        raise InputError(
            f"{files.name}: is no file of JSON lines, which is the JSON that Spark reads here: an "
            f"object a line. It begins with {_shown(sample)}"
        )
    schema, unread = _schema(files.name, rows, reading)
    blank = f.col(LINE).rlike(r"^\s*$").cast("long")
    counted = text.select(LINE, _metadata("file_path", FILE), start).groupBy(FILE, START)
    counts = counted.agg(f.count("*"), f.sum(1 - blank)).collect()
    return files.input(lines, schema, LineFiles(_before(map(tuple, counts))), unread)


def _csv(files: _Files, reading: Reading) -> SparkInput:
    from pyspark.sql import functions as f

    header = files.session.read.text(files.paths()[:1], lineSep="\n").first()
    names, delimiter = _header(files, "" if header is None else header[0])
    cells = files.session.read.csv(
        files.paths(),
        schema=", ".join(f"{quoted(name)} string" for name in [*names, BROKEN]),
        header=True,
        enforceSchema=False,  # the header of each file must be the same
        sep=delimiter,
        escape='"',
        multiLine=True,
        columnNameOfCorruptRecord=BROKEN,
    )
    text = [f.coalesce(f.col(quoted(n)), f.lit("")).alias(n) for n in names]  # CSV has no null
    frame = cells.select(*text, BROKEN, _metadata("file_path", FILE))
    whole = frame.where(f.col(BROKEN).isNull()).drop(BROKEN, FILE)
    schema, unread = _schema(files.name, [row.asDict() for row in whole.take(SAMPLE_ROWS)], reading)
    return files.input(frame, schema, CellFiles(), unread)


_READERS: tuple[tuple[tuple[str, ...], Callable[[_Files, Reading], SparkInput]], ...] = (
    ((".parquet",), _parquet),
    ((".jsonl", ".ndjson", ".json"), _json_lines),
    ((".csv",), _csv),
    ((".tsv",), _csv),
)


def _shown(lines: Sequence[bytes]) -> str:
    first = next(filter(None, lines))
    return repr(first[:80].decode("utf-8", "backslashreplace"))


def _header(files: _Files, line: str) -> tuple[list[str], str]:
    line = line.lstrip("\ufeff").rstrip("\r")
    delimiter = "\t" if _is(files.uris[0], (".tsv",)) else ","
    if delimiter not in line:
        delimiter = next((other for other in ";\t" if other in line), delimiter)
    names = next(csv.reader([line], delimiter=delimiter), [])
    require_unique(files.name, names)
    return names, delimiter


def _schema(
    name: str, sample: Sequence[dict[str, Any]], reading: Reading
) -> tuple[Schema, tuple[str, ...]]:
    """The schema of some rows, and the columns with text that it does not read."""
    if not sample:
        raise NoRowsError(f"{name}: there are no rows to audit")
    schema = find_schema(name, sample, reading)
    return schema, unread_columns(sample, schema)


def _before(counts: Iterable[tuple[Any, ...]]) -> dict[tuple[str, int], tuple[int, int]]:
    """The lines and rows before each split of a file, from those in each; not for the first."""
    before: dict[tuple[str, int], tuple[int, int]] = {}
    for file, splits in groupby(sorted(counts), key=lambda count: count[0]):
        lines = rows = 0
        for _, start, in_lines, in_rows in splits:
            if lines:
                before[file, start] = (lines, rows)
            lines, rows = lines + in_lines, rows + in_rows
    return before


def _metadata(field: str, name: str) -> Column:
    """What Spark tells of the file that a row comes from."""
    from pyspark.sql import functions as f

    return f.col(f"_metadata.{field}").alias(name)


def _pattern(path: str) -> str:
    """A path in which nothing is a pattern."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", path)


def _is(uri: str, endings: tuple[str, ...]) -> bool:
    path = uri.lower()
    return any(path.endswith(ending + packed) for ending in endings for packed in _PACKED)
