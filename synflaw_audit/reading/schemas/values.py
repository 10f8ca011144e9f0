"""The values of a row's fields as texts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from synflaw_audit.reading.rows import RowError
from synflaw_audit.reading.schemas.exchange import Path
from synflaw_audit.reading.schemas.vocabulary import named

# Whole numbers up to here are exact as floating-point numbers, which is what a column with a
# missing value makes of them.
_EXACT = 1 << 53
_TEXT_KEYS = (
    *("text", "content", "value", "answer", "response", "completion", "output", "generation"),
    "solution",
)


def present(row: Mapping[str, object], column: str) -> object:
    """A field's value.

    Raises:
        RowError: It is missing or null.
    """
    if column not in row:
        raise RowError(f"field {column!r} is missing")
    if row[column] is None:
        raise RowError(f"{column} is null")
    return row[column]


def text_of(value: object, name: str, *, numbers: bool = False) -> str:
    """A value that is text, or bytes that are.

    Args:
        value: The value.
        name: The field's, for the error messages.
        numbers: Whether numbers are read as texts, too.

    Raises:
        RowError: It is neither.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise RowError(f"{name} is not valid UTF-8") from None
    if numbers and isinstance(value, bool | int | float):
        return number_text(value, name)
    raise RowError(f"{name} is {type(value).__name__}, not text")


def number_text(value: float, name: str) -> str:
    """A number as text: as JSON writes it, whole ones without a fraction.

    Raises:
        RowError: It is no number at all (NaN).
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            raise RowError(f"{name} is null")
        if value.is_integer() and abs(value) < _EXACT:
            return str(int(value))
        return repr(value)
    try:
        return str(value)
    except ValueError:  # more digits than Python writes
        raise RowError(f"{name} is a number of too many digits") from None


# What holds an answer in what a service answers: OpenAI's choices, Gemini's candidates.
_WRAPPERS = (
    *("body", "choices", "candidates", "message", "messages", "content", "parts", "outputs"),
    *("generations", "result", "results", "data"),
)


def texts_in(value: Any, path: Path) -> Iterator[tuple[str, Path]]:
    """Each answer of a value that holds several, and where it stands.

    Args:
        value: A list of texts, or of objects that hold one; an object with such a list ("text"), or
            with what holds an answer ("choices", "message").
        path: Where the value stands.

    Raises:
        RowError: It is none of these, or empty.
    """
    name = ".".join(map(str, path))
    if isinstance(value, Mapping):
        filled = [key for key, inner in value.items() if inner is not None]
        if (key := named(filled, _TEXT_KEYS) or named(filled, _WRAPPERS)) is None:
            raise RowError(f"{name} is an object, not text")
        inner = value[key]
        if isinstance(inner, str):
            yield inner, (*path, key)
        else:
            yield from texts_in(inner, (*path, key))
        return
    if not isinstance(value, list | tuple):
        raise RowError(f"{name} is {type(value).__name__}, not text")
    if not value:
        raise RowError(f"{name} is an empty list")
    for number, item in enumerate(value):
        if isinstance(item, str):
            yield item, (*path, number)
        elif isinstance(item, Mapping):
            yield from texts_in(item, (*path, number))
        elif item is not None:
            raise RowError(f"{name}[{number}] is {type(item).__name__}, not text")
