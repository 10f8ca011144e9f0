"""CSV, row by row, without inventing rows where quotes are not as they should be.

Python's reader, when it meets a fault, takes up again at the next line; where a quoted cell spans
lines, that is in the middle of a row, and pieces of a cell would come out as rows. So the lines
that a row is made of are kept while it is read: of a faulty row it is found out where it ends.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple, TypeAlias

from synflaw_audit.errors import InputError
from synflaw_audit.reading import limits
from synflaw_audit.reading.containers import BUFFER, Stream, pass_blank_lines, pass_line
from synflaw_audit.reading.rows import Damage, NumberedRow, Unreadable, require_unique

# What follows a quote that is never closed are rows nevertheless if there are so many lines of it
# and the first of them, up to so many, all have as many cells as the header.
_FEWEST_ROWS, _MOST_ROWS = 3, 100
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")

# What stands in a row's place: its cells, or why there are none.
Found: TypeAlias = list[str] | Unreadable | Damage


def rows_of_csv(
    name: str, stream: Stream, columns: tuple[str, ...] | None, *, tabs: bool
) -> Iterator[NumberedRow]:
    """Yields the rows of a CSV file, of each the ``columns``, or all if None.

    Raises:
        InputError: The header cannot be read, or names two columns alike.
    """
    table = _table(stream, tabs=tabs)
    wanted: list[tuple[int, str]] = []
    row = 0
    for line, found in table.rows():
        if not table.width:
            header = _header(name, found)
            wanted = [(n, c) for n, c in enumerate(header) if columns is None or c in columns]
            table.width = len(header)
            continue
        if isinstance(found, list):
            if len(found) == table.width:
                yield line, row, {column: found[n] for n, column in wanted}, b""
            else:
                fault = f"{len(found)} cells where the header names {table.width}"
                yield line, row, Unreadable(fault), b""
        else:
            yield line, row, found, b""
        row += not isinstance(found, Damage)


class CsvText(NamedTuple):
    """What a CSV file says of one row, or of the header, or between two rows.

    Attributes:
        text: As it stands there; invalid bytes are lone surrogates. None of a row that is longer
            than any may be.
        row: The row's number; None of the header and of blank lines.
        lost: It holds what damage took: no row can be told there.
    """

    text: str | None
    row: int | None = None
    lost: bool = False


def texts_of_csv(stream: Stream, *, tabs: bool) -> tuple[str, Iterator[CsvText]]:
    """The delimiter of a CSV file, and its text in the pieces that ``rows_of_csv`` makes rows of.

    A file without damage is the texts one after another, but for blank lines in great numbers.
    """
    table = _table(stream, tabs=tabs)
    return table.delimiter, _texts(table)


def _texts(table: _Table) -> Iterator[CsvText]:
    row = 0
    for _, found in table.rows(blank=True):
        text = table.text()
        if isinstance(found, Damage):
            yield CsvText(text, lost=True)
        elif found == [] or not table.width:
            table.width = table.width or len(found if isinstance(found, list) else ())
            yield CsvText(text)
        else:
            yield CsvText(text, row)
            row += 1


def _table(stream: Stream, *, tabs: bool) -> _Table:
    # Raised for the whole process, never lowered: the module has no limit of one reader's own.
    csv.field_size_limit(max(2 * limits.LONGEST_ROW, csv.field_size_limit()))
    return _Table(stream, "\t" if tabs else _delimiter(stream))


def _header(name: str, found: Found) -> list[str]:
    if not isinstance(found, list):
        raise InputError(f"{name}: the header cannot be read: {found.reason}")
    require_unique(name, found)
    return found


def _delimiter(stream: Stream) -> str:
    """The comma, or what a header without commas is divided by."""
    header = stream.peek(BUFFER).partition(b"\n")[0]
    if b"," not in header:
        for other in (b";", b"\t"):
            if other in header:
                return other.decode()
    return ","


class _TooLongError(Exception):
    """A row is larger than any may be."""


class _Table:
    """The rows of a file as cells.

    Attributes:
        width: Of the header, once it is known.
        delimiter: Of the cells.
    """

    def __init__(self, stream: Stream, delimiter: str) -> None:
        self.width = 0
        self._stream = stream
        self.delimiter = delimiter
        self._lines = _Lines(stream)

    def text(self) -> str | None:
        """What the row in hand is made of; None if it is longer than any may be."""
        return "".join(self._lines.taken) if self._lines.taken else None

    def rows(self, *, blank: bool = False) -> Iterator[tuple[int, Found]]:
        """Yields the line in which each row starts, and the row; of a blank line, if asked, []."""
        lines = self._lines
        reader = self._reader(lines, strict=True)
        while True:
            start = lines.begin_row()
            try:
                cells = next(reader)
            except StopIteration:
                break
            except (csv.Error, _TooLongError) as error:
                found = self._faulty(start, error)
                if found is not None:
                    yield start, found
                if lines.ended:
                    break
                continue
            if not cells:
                if blank:
                    yield start, cells
                continue
            if not lines.taken[-1].endswith(("\n", "\r")) and self._stream.damage:
                break  # the row is where the file is cut off
            yield start, cells
        if self._stream.damage:
            yield lines.number, Damage(f"damaged after line {lines.number}: {self._stream.damage}")

    def _reader(self, lines: Iterable[str], *, strict: bool) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self.delimiter, strict=strict)

    def _faulty(self, start: int, error: Exception) -> Unreadable | Damage | None:
        """What stands in place of a row that is none; the lines go on behind it."""
        lines = self._lines
        if not lines.taken:
            return Unreadable(f"the line is {limits.too_long()}")
        if not lines.ended and isinstance(error, csv.Error):
            # Read forgivingly, the row ends where its quotes say, whatever stands between them.
            row = self._reader(chain(list(lines.taken), lines), strict=False)
            try:
                next(row)
            except (csv.Error, _TooLongError):
                pass
            else:
                if not lines.ended and len(lines.taken) == 1:
                    return Unreadable(f"not valid CSV: {error}")
                if not lines.ended:
                    return Damage(
                        f"lines {start} to {lines.number} are not valid CSV, and what rows they "
                        f"hold cannot be told: {error}"
                    )
        if self._are_rows(lines.taken[1:]):
            lines.go_back_to(start)
            return Damage(f"a quote in line {start} is never closed, and its row is lost", 1)
        if self._stream.damage:
            return None  # which says it all
        if lines.ended:
            return Damage(f"a quote in line {start} is never closed; nothing after it can be read")
        lines.ended = True
        return Damage(
            f"the row that begins in line {start} is {limits.too_long()}, in truth or by a quote "
            "that is never closed; nothing after it can be read"
        )

    def _are_rows(self, lines: list[str]) -> bool:
        """Whether lines that were taken for one cell are rows, beyond doubt."""
        first = [line for line in lines[:_MOST_ROWS] if line.strip()]
        if len(first) < _FEWEST_ROWS or self.width < 2:
            return False
        try:
            return all(len(next(self._reader([line], strict=True))) == self.width for line in first)
        except csv.Error:
            return False


class _Lines:
    """The lines of a file, and those that were taken for the row in hand.

    Attributes:
        taken: The lines of this row.
        number: Of the last line taken, from 1.
        ended: Whether more lines were asked for than there are.
    """

    # So many blank lines in a row are passed over one by one, more of them at once.
    _FEW_BLANK = 64

    def __init__(self, stream: Stream) -> None:
        self.taken: list[str] = []
        self.number = 0
        self.ended = False
        self._stream = stream
        self._again: deque[str] = deque()
        self._room = limits.LONGEST_ROW
        self._blank = 0

    def begin_row(self) -> int:
        """Begins a row, and tells the number of its first line."""
        self.taken = []
        self._room = limits.LONGEST_ROW
        return self.number + 1

    def go_back_to(self, line: int) -> None:
        """Gives the lines after this one, of the row in hand, once more."""
        self._again.extendleft(reversed(self.taken[1:]))
        self.number = line
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        if not line:
            self.ended = True
            raise StopIteration
        self.number += 1
        self._room -= len(line)
        if self._room < 0:
            raise _TooLongError
        self.taken.append(line)
        return line

    def _read(self) -> str:
        data = self._stream.readline(limits.LONGEST_ROW + 1)
        if len(data) > limits.LONGEST_ROW and not data.endswith(b"\n"):
            pass_line(self._stream)
        elif data in (b"\n", b"\r\n"):
            self._blank += 1
            if self._blank > self._FEW_BLANK and not self.taken:
                self.number += pass_blank_lines(self._stream, spaces=False)
        else:
            self._blank = 0
        # Invalid bytes become lone surrogates, which mapping a row to a record rejects.
        line = data.decode("utf-8", "surrogateescape")
        if "\r" in line and "\r" in line.removesuffix("\r\n")[:-1]:  # alone, it ends a line too
            line, *others = _LINE.findall(line)
            self._again.extend(filter(None, others))
        return line
