"""JSONL, JSON and CSV files, plain or compressed, as pieces of rows.

Whatever is wrong with one row stands in that row's place as ``Unreadable``; a compressed file that
ends early or is damaged ends in ``Damage``. Only rows in hand are held, never the file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from synflaw_audit.errors import InputError
from synflaw_audit.reading.json_documents import rows_of_document
from synflaw_audit.reading.rows import Damage, Row, Unreadable, require_unique

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_BUFFER = 1 << 18
_BOM = b"\xef\xbb\xbf"
# One line or cell may be this long; a forgotten quote would otherwise swallow the file.
_LONGEST = 1 << 28
# To tell a document from lines, so much of the first line is looked at.
_LONGEST_HEAD = 1 << 25
# A truncated or corrupt stream, as pyarrow, and an unreadable disk, as Python, report it.
_DAMAGED = (OSError, EOFError, pa.ArrowInvalid)


@dataclass(frozen=True)
class TextFile:
    """A file of one of the text formats; ``format`` is "jsonl", "json", "csv" or "tsv"."""

    name: str
    path: Path
    format: str

    def pieces(self, columns: tuple[str, ...] | None, size: int) -> Iterator[Iterator[Row]]:
        """Yields all rows in order; ``columns`` cannot save work here.

        Raises:
            InputError: The file cannot be opened, is not UTF-8 at all, or is no JSON document.
        """
        yield _FORMATS[self.format](self)


def open_bytes(file: TextFile) -> io.BufferedReader[Any]:
    """Opens a file for reading, decompressed by its last suffix.

    Raises:
        InputError: It cannot be opened, is UTF-16 or UTF-32, or is not compressed as it says.
    """
    compression = COMPRESSIONS.get(file.path.suffix.lower())
    try:
        if compression is None:
            stream: io.BufferedReader[Any] = io.BufferedReader(io.FileIO(file.path), _BUFFER)
        else:
            source = pa.OSFile(str(file.path), "rb")
            stream = io.BufferedReader(pa.CompressedInputStream(source, compression), _BUFFER)
        start = stream.peek(4)[:4]
    except _DAMAGED as error:
        raise InputError(f"{file.name}: cannot be read: {error}") from error
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or start == b"\x00\x00\xfe\xff":
        stream.close()
        raise InputError(f"{file.name}: is UTF-16 or UTF-32 text; convert it to UTF-8")
    if start.startswith(_BOM):
        stream.read(len(_BOM))
    return stream


def damaged(line: int, error: Exception) -> Damage:
    """What stands in place of the rows that a damaged stream no longer gives."""
    reason = f"damaged or ends early at line {line}; nothing after it can be read: {error}"
    return Damage(reason)


def parse_json(line: bytes) -> object:
    """One line of JSON as a value, or why it is none.

    orjson refuses NaN, Infinity and lone surrogates, which Python's own json writes; a line that
    it refuses gets a second chance, since those may stand in a field that nobody asks for.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError as error:
        return Unreadable(f"not valid UTF-8 at byte {error.start}")
    except json.JSONDecodeError as error:
        return Unreadable(f"not valid JSON: {error.msg} at character {error.pos}")
    except RecursionError:
        return Unreadable("not readable JSON: nested too deeply")
    except ValueError as error:  # an integer of more digits than Python converts
        return Unreadable(f"not readable JSON: {error}")


def _jsonl(file: TextFile) -> Iterator[Row]:
    number = row = 0
    with open_bytes(file) as stream:
        try:
            for line in iter(partial(stream.readline, _LONGEST), b""):
                number += 1
                if line.isspace():
                    continue
                value = parse_json(line) if len(line) < _LONGEST else _too_long(stream)
                yield number, row, value, line
                row += 1
        except _DAMAGED as error:
            yield number + 1, row, damaged(number + 1, error), b""


def _too_long(stream: io.BufferedReader[Any]) -> Unreadable:
    """Passes over the rest of a line that is too long to be held."""
    while (part := stream.readline(_BUFFER)) and not part.endswith(b"\n"):
        pass
    return Unreadable(f"the line is longer than {_LONGEST >> 20} MiB")


def _json(file: TextFile) -> Iterator[Row]:
    """One JSON document, or an object a line: both stand under both names."""
    if not _is_document(file):
        yield from _jsonl(file)
        return
    with open_bytes(file) as stream:
        yield from rows_of_document(file.name, stream, _DAMAGED)


def _is_document(file: TextFile) -> bool:
    """Whether the file is one array or one object around its rows, judged by its first line."""
    start = first = b"\n"
    with open_bytes(file) as stream:
        try:
            while start.isspace():
                start = first = stream.read(1)
            first += stream.readline(_LONGEST_HEAD)
            more = any(not line.isspace() for line in iter(partial(stream.readline, _BUFFER), b""))
        except _DAMAGED:
            more = True
    value = parse_json(first)
    if start == b"[":
        return isinstance(value, Unreadable) or not more
    if isinstance(value, dict):
        return not more and any(_are_rows(inner) for inner in value.values())
    return file.format == "json" and start == b"{"


def _are_rows(value: object) -> bool:
    """Whether a field holds a file's rows rather than the messages of one conversation."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and "role" not in first and "from" not in first


def _csv(file: TextFile) -> Iterator[Row]:
    # Raised for the whole process, never lowered: the module has no limit of one reader's own.
    csv.field_size_limit(max(_LONGEST, csv.field_size_limit()))
    with open_bytes(file) as stream:
        # Invalid bytes become lone surrogates, which mapping a row to a record rejects.
        text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
        reader = csv.reader(text, delimiter=_delimiter(file, stream), strict=True)
        row = 0
        header: list[str] | None = None
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if header is None:
                    raise InputError(f"{file.name}: the header cannot be read: {error}") from error
                yield line, row, Unreadable(f"not valid CSV: {error}"), b""
                row += 1
                continue
            except _DAMAGED as error:
                yield line, row, damaged(line, error), b""
                return
            if not cells:
                continue
            if header is None:
                require_unique(file.name, cells)
                header = cells
                continue
            yield line, row, _fields(header, cells), b""
            row += 1


def _fields(header: list[str], cells: list[str]) -> object:
    if len(cells) != len(header):
        return Unreadable(f"{len(cells)} cells where the header names {len(header)}")
    return dict(zip(header, cells, strict=True))


def _delimiter(file: TextFile, stream: io.BufferedReader[Any]) -> str:
    """Tab in ``.tsv``; elsewhere the comma, or what a header without commas is divided by."""
    if file.format == "tsv":
        return "\t"
    header = stream.peek(_BUFFER).partition(b"\n")[0]
    if b"," not in header:
        for other in (b";", b"\t"):
            if other in header:
                return other.decode()
    return ","


_FORMATS: dict[str, Callable[[TextFile], Iterator[Row]]] = {
    "jsonl": _json,
    "json": _json,
    "csv": _csv,
    "tsv": _csv,
}
