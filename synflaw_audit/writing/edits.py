"""Answers put back into the rows they came from, with nothing else of a row touched.

Where in a row an answer stands is a schema's matter. So no schema is asked: every string of a row
that holds the answer is tried in its place, and the row is read again; the one that gives the new
answer, and all others as they were, is where it stands. Text is changed there alone, and written as
it was; a row in which no string does is left to the caller.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import pyarrow as pa

from synflaw_audit.reading.json_values import parse_json
from synflaw_audit.reading.rows import RowError, fields_of
from synflaw_audit.reading.schemas import Schema

_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"(?P<key>\s*:)?', re.DOTALL)

_MOST_PLACES = 64  # of an answer in one text that are tried


@dataclass(frozen=True)
class AnswerEdit:
    """A new answer for one turn of a row."""

    turn: int
    before: str
    after: str


class Editor:
    """Edits the rows of one file, in its order.

    Attributes:
        schema: How its rows are read.
        failed: The numbers of rows in which the answers could not be put back.
    """

    def __init__(self, schema: Schema, edits: Iterable[tuple[int, Sequence[AnswerEdit]]]) -> None:
        """Takes the edits by the number of their row, in order."""
        self.schema = schema
        self.failed: list[int] = []
        self._edits = iter(edits)
        self._next = next(self._edits, None)

    def of(self, row: int) -> Sequence[AnswerEdit]:
        """The edits of a row; no earlier one can be asked for after it."""
        while self._next is not None and self._next[0] < row:
            self._next = next(self._edits, None)
        return self._next[1] if self._next is not None and self._next[0] == row else ()

    def json(self, row: int, text: str) -> str | None:
        """The JSON text of a row, edited; None if that cannot be done."""
        edited: str | None = self._edited(row, text, _parsed, _json_trials)
        return edited

    def csv(self, row: int, text: str, header: Sequence[str], delimiter: str) -> str | None:
        """The text of a row of CSV, edited; None if that cannot be done."""

        def parsed(text: str) -> Mapping[str, object]:
            cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
            return dict(zip(header, cells, strict=True))

        trials = partial(_csv_trials, delimiter=delimiter)
        edited: str | None = self._edited(row, text, parsed, trials)
        return edited

    def value(self, row: int, value: Mapping[str, object]) -> Mapping[str, Any] | None:
        """A row by column, edited; None if that cannot be done."""
        edited: Mapping[str, Any] | None = self._edited(row, value, lambda v: v, _value_trials)
        return edited

    def _edited(
        self,
        row: int,
        content: Any,
        parsed: Callable[[Any], Mapping[str, object]],
        trials: Callable[[Any, str, str], Iterator[Any]],
    ) -> Any:
        for edit in self.of(row):
            wanted = [
                (turn, question, edit.after if turn == edit.turn else answer)
                for turn, question, answer in self._read(parsed(content))
            ]
            for trial in trials(content, edit.before, edit.after):
                if self._read(parsed(trial)) == wanted:
                    content = trial
                    break
            else:
                self.failed.append(row)
                return None
        return content

    def _read(self, value: Mapping[str, object]) -> list[tuple[int, str, str]]:
        try:
            return [(found[0], found[1], found[2]) for found in self.schema.records(value)]
        except RowError:
            return []


def replaced(batch: pa.RecordBatch, rows: Mapping[int, Mapping[str, Any]]) -> pa.RecordBatch:
    """A batch with new values in some rows; columns in which nothing is new are not touched.

    Args:
        batch: Some rows.
        rows: By place in the batch, what is new by column.

    Raises:
        pyarrow.ArrowException: A column does not take a value.
    """
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name in {name for new in rows.values() for name in new}:
        column, pieces, done = columns[name], [], 0
        for place in sorted(place for place, new in rows.items() if name in new):
            pieces.append(column.slice(done, place - done))
            pieces.append(pa.array([rows[place][name]], type=column.type))
            done = place + 1
        columns[name] = pa.concat_arrays([*pieces, column.slice(done)])
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)


def _parsed(text: str) -> Mapping[str, object]:
    return fields_of(parse_json(text.encode("utf-8", "surrogateescape"))) or {}


def _json_trials(text: str, before: str, after: str) -> Iterator[str]:
    """The text with the answer replaced in one string of it, one string after another."""
    for found in _LITERAL.finditer(text):
        if found["key"]:
            continue
        literal = found[0]
        try:
            value = json.loads(literal, strict=False)
        except json.JSONDecodeError:
            continue
        for new in _string_trials(value, before, after):
            written = json.dumps(new, ensure_ascii=literal.isascii())
            yield text[: found.start()] + written + text[found.end() :]


def _csv_trials(text: str, before: str, after: str, delimiter: str) -> Iterator[str]:
    for start, end in _cells(text, delimiter):
        cell = text[start:end]
        quoted = cell.startswith('"')
        value = cell[1:-1].replace('""', '"') if quoted else cell
        for new in _string_trials(value, before, after):
            needed = any(character in new for character in (delimiter, '"', "\r", "\n"))
            written = '"' + new.replace('"', '""') + '"' if quoted or needed else new
            yield text[:start] + written + text[end:]


def _cells(text: str, delimiter: str) -> Iterator[tuple[int, int]]:
    """Where each cell of a row of CSV stands, its quotes with it."""
    pattern = re.compile(rf'(?:"(?:[^"]|"")*"|[^{re.escape(delimiter)}\r\n]*)')
    at = 0
    while found := pattern.match(text, at):
        yield found.span()
        at = found.end() + 1
        if text[found.end() : at] != delimiter:
            return


def _value_trials(
    row: Mapping[str, object], before: str, after: str
) -> Iterator[Mapping[str, object]]:
    for name, value in row.items():
        for new in _trials(value, before, after):
            yield {**row, name: new}


def _trials(value: object, before: str, after: str) -> Iterator[object]:
    """A value with the answer replaced in one string of it, one string after another."""
    if isinstance(value, str):
        yield from _string_trials(value, before, after)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from ({**value, key: new} for new in _trials(item, before, after))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            for new in _trials(item, before, after):
                yield [*value[:number], new, *value[number + 1 :]]


def _string_trials(value: str, before: str, after: str) -> Iterator[str]:
    """A string in which the answer stands, alone, among other text, or in JSON."""
    if value == before:
        yield after
    elif before in value:
        for found in islice(re.finditer(re.escape(before), value), _MOST_PLACES):
            yield value[: found.start()] + after + value[found.end() :]
    elif value.lstrip()[:1] in ("[", "{"):
        yield from _json_trials(value, before, after)
