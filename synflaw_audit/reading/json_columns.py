"""A JSON document that holds its columns one after another, as pandas writes a table.

``{"question": ["a", "b"], "answer": [...]}`` (lists), ``{"question": {"0": "a", "1": "b"}, ...}``
(columns) and ``{"columns": [...], "index": [...], "data": [[...], ...]}`` (split) are read. No row
is known before the last column has begun, so they are held, up to ``limits.HELD_COLUMNS``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from synflaw_audit.errors import InputError
from synflaw_audit.reading import limits
from synflaw_audit.reading.schemas.vocabulary import ROLE_KEYS, named


class JsonColumns:
    """The columns of a document, as they are met."""

    def __init__(self, name: str) -> None:
        """Of the file of this name."""
        self._name = name
        self._columns: dict[str, list[Any]] = {}
        self._room = limits.HELD_COLUMNS

    def take(self, column: str, value: object) -> None:
        """Takes the next value of a column.

        Raises:
            InputError: They are more than is held.
        """
        self._columns.setdefault(column, []).append(value)
        self._room -= 16 + length(value)
        if self._room < 0:
            raise InputError(
                f"{self._name}: holds its columns one after another, and more than "
                f"{limits.HELD_COLUMNS >> 20} MiB of them; write it as JSON lines, an object a row"
            )

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows; none where the columns are not of one length."""
        columns = self._columns
        names, data = columns.get("columns"), columns.get("data")
        if names and data and all(isinstance(name, str) for name in names):
            for row in data:
                if isinstance(row, list) and len(row) == len(names):
                    yield dict(zip(names, row, strict=True))
            return
        if len({len(values) for values in columns.values()}) == 1:
            for row in zip(*columns.values(), strict=True):
                yield dict(zip(columns, row, strict=True))


def length(value: object) -> int:
    """Of all text in a value."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(length, value.values()))
    return sum(map(length, value)) if isinstance(value, list) else 0


def is_columnar(value: Mapping[str, object]) -> bool:
    """Whether an object that stands alone in a file holds columns, and not one row."""
    columns = list(value.values())
    if columns and all(key.isdigit() and isinstance(value[key], Mapping) for key in value):
        return True
    if len(columns) < 2 or any(map(_is_conversation, columns)):
        return False
    if all(isinstance(column, Mapping) and column for column in columns):
        return all(key.isdigit() for column in columns for key in column)  # type: ignore[attr-defined]
    lists = [column for column in columns if isinstance(column, list)]
    if {"columns", "data"} <= set(value) and len(lists) == len(columns):
        return True
    return len(lists) == len(columns) and len({len(column) for column in lists}) == 1


def _is_conversation(column: object) -> bool:
    first = column[0] if isinstance(column, list) and column else None
    return isinstance(first, Mapping) and named(first, ROLE_KEYS) is not None
