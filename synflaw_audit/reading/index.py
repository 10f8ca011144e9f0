"""What identifies rows in their table, beside the records that are made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from synflaw_audit.errors import InputError
from synflaw_audit.reading.base import Input
from synflaw_audit.reading.rows import Columns, NumberedRow, Piece

# What JSON does not know is written as Python shows it.
_PLAIN = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


@dataclass(frozen=True)
class Index:
    """The index columns of some records, by name, each with a value a record."""

    columns: Mapping[str, pa.Array | Sequence[Any]]

    def to_json(self, mask: npt.NDArray[np.bool_], names: Sequence[str]) -> pa.Array:
        """The values of the records in a mask, each record's as a JSON object: string array.

        Args:
            mask: bool [records].
            names: The columns whose values are meant.
        """
        rows = np.flatnonzero(mask).tolist()
        chosen = [
            column.take(pa.array(rows)).to_pylist()
            if isinstance(column, pa.Array)
            else [column[row] for row in rows]
            for column in (self.columns[name] for name in names)
        ]
        values = (dict(zip(names, row, strict=True)) for row in zip(*chosen, strict=True))
        return pa.array(list(map(_json, values)), pa.string())


class Indexed:
    """An input that knows the index columns of the rows that it gave last."""

    def __init__(self, item: Input, names: tuple[str, ...]) -> None:
        self._item = item
        self._names = names
        self._piece: Columns | None = None
        self._rows: dict[int, list[Any]] = {}

    @property
    def name(self) -> str:
        """See ``Input.name``."""
        return self._item.name

    def pieces(self, columns: tuple[str, ...] | None, size: int) -> Iterator[Piece]:
        """See ``Input.pieces``; the index columns come with the others.

        Raises:
            InputError: There is no such column.
        """
        wanted = None if columns is None else tuple(dict.fromkeys([*columns, *self._names]))
        for piece in self._item.pieces(wanted, size):
            if isinstance(piece, Columns):
                require_columns(self.name, self._names, piece.batch.schema.names)
                self._piece = piece
                yield piece
            else:
                self._piece = None
                yield self._noting(piece)

    def of(self, records: pa.RecordBatch) -> Index:
        """The index of records, which must be made of the piece that was given last.

        Args:
            records: Schema ``records.RECORDS``; asked about once, and in order.
        """
        if self._piece is not None:
            place = pa.array(np.asarray(records.column("row")) - self._piece.start)
            batch = self._piece.batch
            return Index({name: batch.column(name).take(place) for name in self._names})
        rows, self._rows = self._rows, {}
        values = [rows[row] for row in records.column("row").to_pylist()]
        return Index(dict(zip(self._names, zip(*values, strict=True), strict=True)))

    def _noting(self, rows: Iterable[NumberedRow]) -> Iterator[NumberedRow]:
        """Passes rows on, and remembers what identifies each until somebody has asked."""
        for row in rows:
            _, number, value, _ = row
            fields = value if isinstance(value, dict) else {}
            self._rows[number] = [fields.get(name) for name in self._names]
            yield row


def _json(value: dict[str, Any]) -> str:
    try:
        return orjson.dumps(value, default=str, option=_PLAIN).decode()
    except orjson.JSONEncodeError:  # a number of more than 64 bits, or text that is no Unicode
        return json.dumps(value, default=str)


def require_columns(name: str, index: Sequence[str], columns: Sequence[str]) -> None:
    """Refuses columns that a table does not have.

    Raises:
        InputError: Names them and the columns that there are.
    """
    if missing := sorted(set(index) - set(columns)):
        listed = ", ".join(map(repr, columns))
        raise InputError(f"{name}: no column {', '.join(map(repr, missing))}; columns: {listed}")
