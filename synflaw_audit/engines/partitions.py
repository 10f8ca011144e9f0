"""The rows of a partition of a distributed data set: which file each comes from, and its number.

Spark and Ray hand a partition to Python as Arrow batches. Where the audit had Spark read files, it
had the place of every row come with it, in the columns ``FILE`` and ``START``, so that rows are
numbered as they are on one machine; a layout says how.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.reading.base import Input
from synflaw_audit.reading.json_values import parse_json
from synflaw_audit.reading.rows import Columns, NumberedRow, Piece, Unreadable

# Columns beside those of the rows: the file's URI, where in it a stretch of rows starts (the layout
# says what that is), and the text of a row that Spark could not take apart.
FILE, START, BROKEN = "_synflaw_file", "_synflaw_start", "_synflaw_broken"
LINE = "value"  # what Spark calls a line of a text file

# Rows that have no place in a file are numbered as by monotonically_increasing_id: the partition
# in the upper bits.
PARTITION_ROWS = 1 << 33

_BOM = b"\xef\xbb\xbf"

Batches: TypeAlias = Iterable[pa.RecordBatch]


class Layout(Protocol):
    """How the batches of a partition are to be understood."""

    def tables(self, batches: Batches, partition: int) -> Iterator[Input]:
        """Yields each stretch of rows of one file, to be read once and before the next.

        Args:
            batches: The partition's.
            partition: Its number.
        """


@dataclass(frozen=True)
class OneTable:
    """Rows that have no file: a DataFrame or a table of this name."""

    name: str

    def tables(self, batches: Batches, partition: int) -> Iterator[Input]:
        """See ``Layout.tables``."""
        yield _Stretch(self.name, _columns(batches, partition * PARTITION_ROWS))


@dataclass(frozen=True)
class TableFiles:
    """Rows of Parquet files; ``START`` is each row's number in its file."""

    def tables(self, batches: Batches, partition: int) -> Iterator[Input]:
        """See ``Layout.tables``."""
        for file, parts in groupby(_stretches(batches, [FILE]), key=_file):
            yield _Stretch(file_name(file), _numbered(parts))


@dataclass(frozen=True)
class NumberedTable:
    """Rows of a data set of this name; ``START`` is each row's number."""

    name: str

    def tables(self, batches: Batches, partition: int) -> Iterator[Input]:
        """See ``Layout.tables``."""
        yield _Stretch(self.name, _numbered(batches))


@dataclass(frozen=True)
class LineFiles:
    """Lines of JSON in the column ``LINE``; ``START`` is the byte where the split starts.

    Attributes:
        before: The lines and the rows of a file before the split that starts at a byte of it; none
            where there is no entry.
    """

    before: Mapping[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def tables(self, batches: Batches, partition: int) -> Iterator[Input]:
        """See ``Layout.tables``."""
        for place, parts in groupby(_stretches(batches, [FILE, START]), key=_split):
            lines, rows = self.before.get(place, (0, 0))
            yield _Stretch(file_name(place[0]), iter([_json_rows(parts, lines, rows)]))


@dataclass(frozen=True)
class CellFiles:
    """Rows of CSV files, which Spark reads whole; ``BROKEN`` is the text of those that are none."""

    def tables(self, batches: Batches, partition: int) -> Iterator[Input]:
        """See ``Layout.tables``."""
        for file, parts in groupby(_stretches(batches, [FILE]), key=_file):
            yield _Stretch(file_name(file), self._pieces(parts))

    @staticmethod
    def _pieces(parts: Iterator[pa.RecordBatch]) -> Iterator[Piece]:
        number = 0
        for part in parts:
            broken = np.asarray(pc.is_valid(part.column(BROKEN)))
            changes = np.flatnonzero(broken[1:] != broken[:-1]) + 1
            for start, end in _bounds(changes, part.num_rows):
                rows = part.slice(start, end - start)
                if broken[start]:
                    yield _broken(rows.column(BROKEN).to_pylist(), number)
                else:
                    yield from _columns([rows], number)
                number += rows.num_rows


@dataclass(frozen=True)
class _Stretch:
    """Some rows of one file or table; it can be read once, which is what a task does."""

    name: str
    rows: Iterator[Piece]

    def pieces(self, columns: tuple[str, ...] | None, size: int) -> Iterator[Piece]:
        return self.rows


def file_name(uri: str) -> str:
    """A file's name in the records: its path if it is of this machine's file system, else its URI.

    Args:
        uri: As Spark tells it: percent-encoded, "file:/..." or "file:///...".
    """
    parts = urlsplit(uri)
    return unquote(parts.path) if parts.scheme == "file" else uri


def _columns(batches: Batches, start: int) -> Iterator[Piece]:
    for batch in batches:
        names = [name for name in batch.schema.names if name not in (FILE, START, BROKEN)]
        yield Columns(start, batch.select(names))
        start += batch.num_rows


def _numbered(batches: Batches) -> Iterator[Piece]:
    for batch in batches:
        number = np.asarray(batch.column(START))
        jumps = np.flatnonzero(np.diff(number) != 1) + 1  # a file's splits, one after another
        for start, end in _bounds(jumps, batch.num_rows):
            yield from _columns([batch.slice(start, end - start)], int(number[start]))


def _json_rows(parts: Iterator[pa.RecordBatch], line: int, row: int) -> Iterator[NumberedRow]:
    for part in parts:
        for text in part.column(LINE).to_pylist():
            line += 1
            if line == 1:
                text = text.removeprefix(_BOM)
            if not text or text.isspace():
                continue
            raw = text + b"\n"  # as a file's reader sees it, for the preview of a rejected row
            yield line, row, parse_json(raw), raw
            row += 1


def _broken(texts: Sequence[str], start: int) -> list[NumberedRow]:
    fault = Unreadable("not a row of this CSV file: its cells are not those that the header names")
    return [(number, number, fault, text.encode()) for number, text in enumerate(texts, start)]


def _stretches(batches: Batches, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The batches, cut wherever the value of one of these columns changes."""
    for batch in batches:
        if not batch.num_rows:
            continue
        changes = np.zeros(batch.num_rows - 1, dtype=bool)
        for name in columns:
            values = batch.column(name)
            changes |= np.asarray(pc.not_equal(values[1:], values[:-1]))
        for start, end in _bounds(np.flatnonzero(changes) + 1, batch.num_rows):
            yield batch.slice(start, end - start)


def _bounds(cuts: Any, rows: int) -> Iterator[tuple[int, int]]:
    return pairwise([0, *cuts.tolist(), rows])


def _file(part: pa.RecordBatch) -> str:
    name: str = part.column(FILE)[0].as_py()
    return name


def _split(part: pa.RecordBatch) -> tuple[str, int]:
    return _file(part), part.column(START)[0].as_py()
