"""What passes between the readers: pieces of a file, rows that cannot be read, and why not."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from synflaw_audit.errors import InputError
from synflaw_audit.reading import limits

PREVIEW_CHARACTERS = 200

# A row by the names of its fields.
Fields: TypeAlias = Mapping[str, object]

# A row as a format's reader found it: its line, its number, its value (a dict, or anything else
# that a file may hold in a row's place; ``Damage`` where there is no row) and, in formats made of
# lines, its bytes. A plain tuple, because one is made for every line of a corpus.
NumberedRow: TypeAlias = tuple[int, int, object, bytes]


@dataclass(frozen=True)
class Rejected:
    """A row, or one turn of a conversation, that could not be read.

    Attributes:
        file: The file, named as in the records.
        line: Where the row starts: its line, from 1, in JSONL, JSON and CSV; in formats without
            lines the same as ``row``.
        row: The row's number in its file, from 0; unreadable rows count, blank lines do not.
        reason: What is wrong with it.
        preview: Its beginning, at most 200 characters, with everything unprintable escaped.
    """

    file: str
    line: int
    row: int
    reason: str
    preview: str


@dataclass(frozen=True)
class Unreadable:
    """Stands in a row's place when not even its fields can be told apart."""

    reason: str


@dataclass(frozen=True)
class Damage:
    """Stands where a damaged file no longer gives its rows; it is no row itself.

    Attributes:
        reason: Where the file is damaged, and what that takes.
        lost: How many rows that are; None where nothing tells.
    """

    reason: str
    lost: int | None = None


def fields_of(value: object) -> dict[str, object] | None:
    """A row's fields by name; None if it has none.

    A list of messages is a conversation, and one of two texts a question and its answer.
    """
    if isinstance(value, dict):
        return value
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(item, dict) for item in value):
        return {"messages": value}
    if len(value) == 2 and all(isinstance(item, str) for item in value):
        return {"question": value[0], "answer": value[1]}
    return None


class RowError(Exception):
    """A row whose fields are there but do not make a question and an answer."""


class NoAnswerError(RowError):
    """A row in which nothing is answered that could be learned: it is whole, and says nothing."""


@dataclass(frozen=True)
class Columns:
    """A piece of a table; ``start`` is the number of its first row in the file."""

    start: int
    batch: pa.RecordBatch


# Rows may be a generator: what is held of them is then for the receiver to bound.
Piece: TypeAlias = Columns | Iterable[NumberedRow]


def require_unique(file: str, columns: Sequence[str]) -> None:
    """Refuses columns of which two have one name, which is meant being unknown, and too many.

    Raises:
        InputError: Names them.
    """
    if len(columns) > limits.MOST_COLUMNS:
        most = f"{limits.MOST_COLUMNS:,}"
        raise InputError(f"{file}: {len(columns):,} columns; at most {most} are read")
    if twice := sorted(n for n, count in Counter(columns).items() if n and count > 1):
        shown = ", ".join(map(repr, twice[:10])) + (", ..." if len(twice) > 10 else "")
        raise InputError(f"{file}: columns named more than once: {shown}")


def not_utf8(raw: bytes) -> str:
    """What is wrong with bytes that are not UTF-8, and what else they look like."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"not valid UTF-8 at byte {error.start}{_looks_like(raw)}"
    return "not valid UTF-8"


def _looks_like(raw: bytes) -> str:
    high = [c for c in raw.decode("utf-8", "surrogateescape") if not c.isascii()]
    if not all("\udc80" <= character <= "\udcff" for character in high):
        return ""  # some of it is UTF-8
    try:
        text = "".join(high).encode("ascii", "surrogateescape").decode("cp1252")
    except UnicodeDecodeError:
        return ""
    return "; looks like Windows-1252 (--encoding cp1252)" if text.isprintable() else ""


class _Preview(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 60
        self.maxdict = 8
        self.maxlist = 3
        self.maxlevel = 4


_PREVIEW = _Preview()


def preview(value: object, raw: bytes) -> str:
    """The beginning of a rejected row: its bytes as text where known, else its value."""
    if raw:
        text = raw[: PREVIEW_CHARACTERS * 4].decode("utf-8", "backslashreplace")
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    else:
        text = _PREVIEW.repr(value)
    return text[:PREVIEW_CHARACTERS]
