"""The rows of one file or table as Arrow batches of records, each row accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import pyarrow as pa

from synflaw_audit.reading import limits
from synflaw_audit.reading.base import Input
from synflaw_audit.reading.columns import (
    bounded,
    python_rows,
    records_of_columns,
    sample_of_columns,
    takes_columns,
)
from synflaw_audit.reading.json_columns import length
from synflaw_audit.reading.ledger import Ledger
from synflaw_audit.reading.rows import (
    Columns,
    Damage,
    NoAnswerError,
    NumberedRow,
    RowError,
    Unreadable,
    fields_of,
    not_utf8,
)
from synflaw_audit.reading.schemas import Exchange, Pair, Schema
from synflaw_audit.records import record_batch

# A batch ends here even if it has few records, so that memory is bounded by text, not by rows.
_BATCH_CHARACTERS = 2 << 20


def first_rows(item: Input) -> list[dict[str, object]]:
    """A file's first rows that have fields; fewer where they are wide or long."""
    rows: list[dict[str, object]] = []
    fields, characters = limits.SAMPLE_FIELDS, limits.SAMPLE_BYTES
    for row in islice(_values(item), limits.SAMPLE_ROWS):
        rows.append(row)
        fields -= len(row)
        characters -= length(row)
        if fields <= 0 or characters <= 0:
            break
    return rows


def _values(item: Input) -> Iterator[dict[str, object]]:
    for piece in item.pieces(None, limits.SAMPLE_ROWS):
        if isinstance(piece, Columns):
            yield from sample_of_columns(piece, item.name)
        else:
            rows = (fields_of(value) for _, _, value, _ in piece)
            yield from (row for row in rows if row is not None)


def records_of(
    item: Input, schema: Schema | None, size: int, ledger: Ledger
) -> Iterator[pa.RecordBatch]:
    """Yields the records of one file or table, or of a part of one, whose schema is known.

    Args:
        item: The file or table.
        schema: Which columns hold what; None if no row has fields.
        size: Rows read at once.
        ledger: Counts every row, and is given those that cannot be read.

    Raises:
        InputError: It cannot be opened.
    """
    for batch in _batches(item, schema, size, ledger):
        ledger.records += batch.num_rows
        yield batch


def _batches(
    item: Input, schema: Schema | None, size: int, ledger: Ledger
) -> Iterator[pa.RecordBatch]:
    columns = None if schema is None else schema.columns
    for piece in item.pieces(columns, size):
        if not isinstance(piece, Columns):
            yield from _records_of_rows(schema, piece, size, ledger)
        elif isinstance(schema, Pair) and takes_columns(schema, piece.batch):
            ledger.rows += piece.batch.num_rows
            for part in bounded(piece, schema.columns):
                yield from records_of_columns(schema, part, ledger)
        else:
            yield from _records_of_rows(schema, python_rows(piece), size, ledger)


def _records_of_rows(
    schema: Schema | None, rows: Iterable[NumberedRow], size: int, ledger: Ledger
) -> Iterator[pa.RecordBatch]:
    records = _Records(ledger.file)
    plain = schema.plain if isinstance(schema, Pair) else None
    for line, number, value, raw in rows:
        # As nearly all rows are; what it costs for each of them decides what an audit costs.
        pair = plain(value) if plain is not None and type(value) is dict else None
        if pair is not None and _is_whole(*pair):
            ledger.rows += 1
            records.add_pair(number, *pair)
        else:
            _take(schema, (line, number, value, raw), records, ledger)
        if len(records.rows) >= size or records.characters >= _BATCH_CHARACTERS:
            yield records.batch()
            records = _Records(ledger.file)
    if records.rows:
        yield records.batch()


def _is_whole(question: str, answer: str) -> bool:
    """Whether two texts make a record; why not, ``_looked_at`` says."""
    if not answer.strip(" \t\r\n") or len(question) + len(answer) > limits.LONGEST_ROW:
        return False
    ascii_alone = question.isascii() and answer.isascii()
    return ascii_alone or not (_encoding_fault(question) or _encoding_fault(answer))


def _take(schema: Schema | None, numbered: NumberedRow, records: _Records, ledger: Ledger) -> None:
    """Takes what a row holds into the records, and rejects what makes none."""
    line, number, value, raw = numbered
    fields = fields_of(value)
    if fields is None or schema is None:
        _take_down(ledger, line, number, value, raw)
        return
    ledger.rows += 1
    try:
        found = schema.records(fields)
    except NoAnswerError as error:
        ledger.unanswer(number, str(error))
        return
    except RowError as error:
        ledger.reject(line, number, str(error), value, raw)
        return
    if isinstance(schema, Pair) and isinstance(fields.get(schema.answer), bool | int | float):
        ledger.numbers += 1
    faults = 0
    for exchange in found:
        characters, reason = _looked_at(exchange)
        if reason:
            where = f"turn {exchange.turn}: " if len(found) > 1 else ""
            ledger.reject_turn(line, number, where + reason, value, raw)
            faults += 1
        else:
            records.add(number, exchange, characters)
    if faults == len(found):
        ledger.rejected += 1


def _take_down(ledger: Ledger, line: int, row: int, value: object, raw: bytes) -> None:
    """Rejects what stands in a row's place and is none."""
    if isinstance(value, Damage):
        ledger.damaged(value)
        return
    ledger.rows += 1
    if isinstance(value, Unreadable):
        ledger.reject(line, row, value.reason, "", raw)
    else:
        ledger.reject(line, row, _no_fields(value), value, raw)


class _Records:
    """Records on their way into a batch."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.rows: list[int] = []
        self.characters = 0
        # Lists of texts rather than of exchanges, which the garbage collector would look through
        # again and again.
        self._columns: tuple[list[object], ...] = tuple([] for _ in _COLUMNS)

    def add(self, row: int, exchange: Exchange, characters: int) -> None:
        self.rows.append(row)
        self.characters += characters
        for column, value in zip(self._columns, exchange, strict=False):
            column.append(value)

    def add_pair(self, row: int, question: str, answer: str) -> None:
        """Adds a record of two texts."""
        self.rows.append(row)
        self.characters += len(question) + len(answer)
        turns, questions, answers, *beside = self._columns
        turns.append(0)
        questions.append(question)
        answers.append(answer)
        for column in beside:
            column.append(None)

    def batch(self) -> pa.RecordBatch:
        places = {"file": pa.repeat(self.file, len(self.rows)), "row": self.rows}
        return record_batch(places | dict(zip(_COLUMNS, self._columns, strict=True)))


# All but the segments, which say where in a row an answer stands.
_COLUMNS = Exchange._fields[:-1]
_TEXTS = _COLUMNS[1:]


def _looked_at(exchange: Exchange) -> tuple[int, str]:
    """The characters of an exchange, and why it makes no record; "" if it does."""
    characters = 0
    beyond_ascii = []
    for name, text in zip(_TEXTS, exchange[1:-1], strict=True):
        if text:
            characters += len(text)
            # Asking for ASCII costs nothing, encoding a little.
            if not text.isascii():
                beyond_ascii.append((name, text))
    if not exchange.answer.strip(" \t\r\n"):
        only = ": there is only reasoning" if exchange.reasoning else ""
        return characters, f"answer is empty{only}"
    if characters > limits.LONGEST_ROW:
        return characters, limits.too_long()
    for name, text in beyond_ascii:
        if fault := _encoding_fault(text):
            return characters, f"{name} {fault}"
    return characters, ""


def _encoding_fault(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        pass
    else:
        return ""
    try:
        return f"is {not_utf8(text.encode('utf-8', 'surrogateescape'))}"
    except UnicodeEncodeError:
        return "holds a lone surrogate"


def _no_fields(value: object) -> str:
    return f"a row must be an object with named fields, not {type(value).__name__}"
