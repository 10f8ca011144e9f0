"""JSONL, JSON and CSV files, plain or packed, as pieces of rows.

Whatever is wrong with one row stands in that row's place as ``Unreadable``, and what damage took
from a file as ``Damage``. Only rows in hand are held, never the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from synflaw_audit.reading import limits
from synflaw_audit.reading.containers import (
    BUFFER,
    Stream,
    open_stream,
    pass_blank_lines,
    pass_line,
)
from synflaw_audit.reading.csv_rows import rows_of_csv
from synflaw_audit.reading.json_columns import is_columnar
from synflaw_audit.reading.json_documents import rows_of_document
from synflaw_audit.reading.json_values import parse_json
from synflaw_audit.reading.rows import Damage, NumberedRow, Unreadable
from synflaw_audit.reading.schemas import names_answer
from synflaw_audit.reading.schemas.vocabulary import ROLE_KEYS, named
from synflaw_audit.remote import FilePath

# To tell a document from lines, so much of the first line is looked at.
_LONGEST_HEAD = 1 << 25
# So many blank lines in a row are passed over one by one, more of them at once.
_FEW_BLANK = 64


@dataclass(frozen=True)
class TextFile:
    """A file of a text format: "jsonl", "ndjson", "json", "csv" or "tsv"."""

    packed: ClassVar[bool] = True

    name: str
    path: FilePath
    format: str
    encoding: str | None = None

    def pieces(self, columns: tuple[str, ...] | None, size: int) -> Iterator[Iterator[NumberedRow]]:
        """Yields all rows in order; only CSV has ``columns`` to skip.

        Raises:
            InputError: The file cannot be opened, is not UTF-8 at all, or is no JSON document.
        """
        if self.format in ("csv", "tsv"):
            yield self._csv(columns)
        else:
            yield self._json()

    def _csv(self, columns: tuple[str, ...] | None) -> Iterator[NumberedRow]:
        with open_stream(self.name, self.path, self.encoding) as stream:
            yield from rows_of_csv(self.name, stream, columns, tabs=self.format == "tsv")

    def _json(self) -> Iterator[NumberedRow]:
        """One JSON document, or an object a line: both stand under both names."""
        with open_stream(self.name, self.path, self.encoding) as stream:
            document = is_document(stream, self.format)
        with open_stream(self.name, self.path, self.encoding) as stream:
            yield from rows_of_document(self.name, stream) if document else _lines(stream)


def _lines(stream: Stream) -> Iterator[NumberedRow]:
    number = row = blank = 0
    for line in iter(partial(stream.readline, limits.LONGEST_ROW + 1), b""):
        number += 1
        if line.isspace():
            blank += 1
            if blank > _FEW_BLANK:
                number += pass_blank_lines(stream)
            continue
        blank = 0
        if len(line) > limits.LONGEST_ROW and not line.endswith(b"\n"):
            pass_line(stream)
            fault = Unreadable(f"the line is {limits.too_long()}")
            yield number, row, fault, line[:BUFFER]
        else:
            value = parse_json(line)
            if isinstance(value, Unreadable) and not line.endswith(b"\n") and stream.damage:
                break  # where the file is cut off
            yield number, row, value, line
        row += 1
    if stream.damage:
        yield number, row, Damage(f"damaged after line {number}: {stream.damage}"), b""


def is_document(stream: Stream, form: str) -> bool:
    """Whether the file is one array or one object around its rows, judged by its first line."""
    while (line := stream.readline(_LONGEST_HEAD)).isspace():
        pass_blank_lines(stream)
    first = line.lstrip()
    value = parse_json(first)
    if first.startswith(b"["):
        return isinstance(value, Unreadable) or _are_rows(value) or not _more(stream)
    if isinstance(value, dict):
        holds_rows = any(map(_are_rows, value.values())) and not names_answer(value)
        return (holds_rows or is_columnar(value)) and not _more(stream)
    return form == "json" and first.startswith(b"{")


def _more(stream: Stream) -> bool:
    """Whether anything but blank lines follows."""
    while (line := stream.readline(BUFFER)).isspace():
        pass_blank_lines(stream)
    return bool(line)


def _are_rows(value: object) -> bool:
    """Whether a field holds a file's rows rather than the messages of one conversation."""
    if not isinstance(value, list):
        return False
    first = next((item for item in value if isinstance(item, dict)), None)
    return first is not None and (named(first, ROLE_KEYS) is None or names_answer(first))
