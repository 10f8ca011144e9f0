"""Rows whose question and answer stand in plain text columns: no Python object is made per row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.reading import limits
from synflaw_audit.reading.ledger import Ledger
from synflaw_audit.reading.rows import Columns, NumberedRow, Unreadable, require_unique
from synflaw_audit.reading.schemas import Pair
from synflaw_audit.reading.schemas.reasoning import CLOSINGS, OPENINGS, thought
from synflaw_audit.records import record_batch

_BLANK = " \t\r\n"


def takes_columns(schema: Pair, batch: pa.RecordBatch) -> bool:
    """Whether all columns of the schema are there and hold text, or bytes that may be text."""
    names = batch.schema.names
    if schema.numbers or schema.history in names:
        return False
    return all(c in names and _holds_text(batch.schema.field(c).type) for c in schema.columns)


def records_of_columns(schema: Pair, piece: Columns, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    """Yields the records of a piece whose columns all hold text, if it has any.

    Args:
        schema: Which columns hold what.
        piece: The rows.
        ledger: Of the file; every row with a null, invalid UTF-8 or an empty answer is rejected.
    """
    batch = piece.batch
    count = batch.num_rows
    kept = np.ones(count, dtype=bool)
    reasons: dict[int, str] = {}

    def strike(rows: npt.NDArray[np.bool_], reason: str) -> None:
        for row in np.flatnonzero(rows & kept).tolist():
            reasons[row] = reason
        kept[rows] = False

    def column(name: str, optional: bool = False) -> pa.Array:
        values = _as_text(batch.column(name))
        if values.null_count and not optional:
            strike(_numpy(pc.is_null(values)), f"{name} is null")
        try:
            values.validate(full=True)
        except pa.ArrowInvalid:
            invalid = _invalid_utf8(values)
            strike(invalid, f"{name} is not valid UTF-8")
            values = pc.if_else(pa.array(invalid), pa.scalar(None, values.type), values)
        return pc.fill_null(values, "")

    question = column(schema.question) if schema.question else pa.array([""] * count)
    answer = column(schema.answer)
    beside = {
        name: column(name, optional=True)
        for name in (schema.context, schema.system, schema.reasoning)
        if name is not None and name not in schema.late
    }
    if schema.context in beside:
        question = _joined(question, beside[schema.context])
    answer, reasoning = _thought(answer, beside.get(schema.reasoning or ""))
    for values in (question, answer):
        if values.nbytes > limits.LONGEST_ROW:
            too_long = pc.greater(pc.binary_length(values), limits.LONGEST_ROW)
            strike(_numpy(too_long), limits.too_long())
    strike(_numpy(pc.equal(pc.utf8_trim(answer, _BLANK), "")), "answer is empty")
    for row in sorted(reasons):
        value = {name: _shown(batch.column(name)[row]) for name in schema.columns}
        ledger.reject(piece.start + row, piece.start + row, reasons[row], value)
    columns = {
        "file": pa.repeat(pa.scalar(ledger.file, pa.string()), count),
        "row": pa.array(np.arange(piece.start, piece.start + count, dtype=np.int64)),
        "turn": pa.array(np.zeros(count, dtype=np.int32)),
        "question": question,
        "answer": answer,
    }
    if schema.system in beside:
        columns["system"] = _or_null(beside[schema.system])
    if reasoning is not None:
        columns["reasoning"] = _or_null(reasoning)
    records = record_batch(columns)
    if kept.any():
        yield records.filter(pa.array(kept)) if reasons else records


def bounded(piece: Columns, columns: tuple[str, ...]) -> Iterator[Columns]:
    """A piece in parts whose text is not too large once every row has its own.

    Rows of a dictionary, and views, share text: a small file may stand for any amount of it.
    """
    names = piece.batch.schema.names
    shared = [_shared_lengths(piece.batch.column(name)) for name in columns if name in names]
    lengths = sum((found for found in shared if found is not None), np.zeros(piece.batch.num_rows))
    if lengths.sum() <= limits.LONGEST_ROW:
        yield piece
        return
    part = np.cumsum(lengths) // limits.LONGEST_ROW
    for start, end in pairwise([0, *(np.flatnonzero(np.diff(part)) + 1), piece.batch.num_rows]):
        yield Columns(piece.start + int(start), piece.batch.slice(start, end - start))


def _shared_lengths(values: pa.Array) -> npt.NDArray[np.float64] | None:
    """How long each row's text is, if it may be shared with others."""
    if pa.types.is_dictionary(values.type) and _holds_text(values.type):
        lengths = np.asarray(pc.fill_null(pc.binary_length(values.dictionary), 0), np.float64)
        rows = np.asarray(pc.fill_null(values.indices, 0), np.int64)
        return lengths[rows] if len(lengths) else np.zeros(len(rows))
    if pa.types.is_string_view(values.type):
        views = np.frombuffer(values.buffers()[1], np.int32)  # of 16 bytes, the length first
        return views[::4][values.offset : values.offset + len(values)].astype(np.float64)
    return None


class NoValue:
    """Stands for a value inside a row that Python has none for, such as a date in the year 9999999.

    It is no text, so a row that needs it is rejected, and one that does not is read.
    """

    def __repr__(self) -> str:
        return "<no value>"


def python_rows(piece: Columns) -> list[NumberedRow]:
    """The rows as dicts, for columns of which records cannot be made at once."""
    batch = piece.batch
    try:
        values: list[object] = batch.to_pylist()
    except (*_NO_VALUE, UnicodeDecodeError):
        values = [_python_row(batch.slice(row, 1)) for row in range(batch.num_rows)]
    return [(row, row, value, b"") for row, value in enumerate(values, piece.start)]


# What a value raises for which Python has none: dates far away, time zones that nobody knows,
# two fields of one name.
_NO_VALUE = (ValueError, OverflowError, KeyError, TypeError, pa.ArrowException)


def _python_row(row: pa.RecordBatch) -> object:
    try:
        return {
            name: _python_value(column[0])
            for name, column in zip(row.schema.names, row.columns, strict=True)
        }
    except UnicodeDecodeError:
        return Unreadable("not valid UTF-8")


def _python_value(value: pa.Scalar) -> object:
    """As ``as_py``, with ``NoValue`` wherever that fails."""
    try:
        return value.as_py()
    except UnicodeDecodeError:
        raise
    except _NO_VALUE:
        pass
    if isinstance(value, pa.StructScalar):
        names = [field.name for field in value.type]
        return {
            name: _python_value(value[number]) if names.count(name) == 1 else NoValue()
            for number, name in enumerate(names)
        }
    if isinstance(value, pa.ListScalar) and not isinstance(value, pa.MapScalar):
        return [_python_value(item) for item in value.values]
    return NoValue()


def sample_of_columns(piece: Columns, file: str) -> list[dict[str, object]]:
    """The first rows as dicts, to find a schema from; of what is no text or list, the names.

    Raises:
        InputError: Two columns have one name.
    """
    require_unique(file, piece.batch.schema.names)
    batch = piece.batch.slice(0, max(1, limits.SAMPLE_FIELDS // max(1, piece.batch.num_columns)))
    names = [f.name for f in batch.schema if _holds_text(f.type) or pa.types.is_nested(f.type)]
    blank: dict[str, object] = dict.fromkeys(batch.schema.names, False)
    if not names:
        return [blank] * min(1, batch.num_rows)
    rows = python_rows(Columns(piece.start, batch.select(names)))
    return [blank | value for _, _, value, _ in rows if isinstance(value, dict)]


def _holds_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_null,
    )
    return any(test(kind) for test in tests)


def _as_text(values: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    # Invalid UTF-8 is found later, for each row by itself.
    return pc.cast(values, options=pc.CastOptions(pa.string(), allow_invalid_utf8=True))


def _invalid_utf8(values: pa.Array) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(values), dtype=bool)
    for row, value in enumerate(pc.cast(values, pa.binary()).to_pylist()):
        try:
            (value or b"").decode()
        except UnicodeDecodeError:
            found[row] = True
    return found


def _joined(question: pa.Array, context: pa.Array) -> pa.Array:
    both = pc.binary_join_element_wise(question, context, "\n\n")
    either = pc.if_else(pc.equal(question, ""), context, question)
    one = pc.or_(pc.equal(question, ""), pc.equal(context, ""))
    return pc.if_else(one, either, both)


def _thought(answer: pa.Array, before: pa.Array | None) -> tuple[pa.Array, pa.Array | None]:
    """Answers without the reasoning that some begin with, and all reasoning, if there is any."""
    thinks = pc.match_substring_regex(answer, OPENINGS)
    for mark in CLOSINGS:
        thinks = pc.or_(thinks, pc.match_substring(answer, mark))
    rows = np.flatnonzero(_numpy(thinks)).tolist()
    if not rows:
        return answer, before if before is None else pc.utf8_trim(before, _BLANK)
    texts = answer.to_pylist()
    known = [""] * len(texts) if before is None else before.to_pylist()
    thoughts = [text.strip() for text in known]
    for row in rows:
        parts = thought(texts[row])
        thoughts[row] = "\n\n".join(filter(None, (thoughts[row], parts.reasoning)))
        texts[row] = texts[row][parts.start : parts.end]
    return pa.array(texts, pa.string()), pa.array(thoughts, pa.string())


def _or_null(values: pa.Array) -> pa.Array:
    """Texts, those that are empty as null."""
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, values.type), values)


def _numpy(mask: pa.Array) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = mask.to_numpy(zero_copy_only=False)
    return found


def _shown(value: pa.Scalar) -> object:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return value.cast(pa.binary()).as_py()
