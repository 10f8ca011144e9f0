"""Parquet, Arrow and Feather files, and tables in memory, as pieces of columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synflaw_audit.errors import InputError
from synflaw_audit.reading.rows import Columns, Damage, Piece, Row, require_unique

if TYPE_CHECKING:
    import pandas as pd

# As in the text formats: a piece of large rows has fewer of them.
PIECE_BYTES = 2 << 20
# A column of a row group is read as it is decoded, not as a whole beforehand.
READ_BYTES = 1 << 20
_DAMAGED = (OSError, EOFError, pa.ArrowException)


@dataclass(frozen=True)
class TableFile:
    """A file of one of the columnar formats; ``format`` is "parquet" or "arrow"."""

    name: str
    path: Path
    format: str

    def pieces(self, columns: tuple[str, ...] | None, size: int) -> Iterator[Piece]:
        """Yields all rows in order; a damaged file ends in ``Damage``.

        Raises:
            InputError: The file cannot be opened, or is not of its format.
        """
        batches = _parquet if self.format == "parquet" else _arrow
        start = 0
        try:
            for batch in batches(self, columns, size):
                yield Columns(start, batch)
                start += batch.num_rows
        except _DAMAGED as error:
            reason = f"damaged from row {start} on; nothing after it can be read: {error}"
            yield [(start, start, Damage(reason), b"")]


@dataclass(frozen=True)
class Table:
    """A pyarrow Table, or a Dataset or IterableDataset of the ``datasets`` library."""

    name: str
    data: Any

    def pieces(self, columns: tuple[str, ...] | None, size: int) -> Iterator[Piece]:
        """Yields all rows in order."""
        tables = [self.data]
        if not isinstance(self.data, pa.Table):
            tables = self.data.with_format("arrow").iter(batch_size=size)
        start = 0
        for table in tables:
            kept = table if columns is None else _select(table, columns)
            for batch in _sized(kept.to_batches(), size):
                yield Columns(start, batch)
                start += batch.num_rows


@dataclass(frozen=True)
class Frame:
    """A pandas DataFrame."""

    name: str
    frame: pd.DataFrame

    def pieces(self, columns: tuple[str, ...] | None, size: int) -> Iterator[Piece]:
        """Yields all rows in order, as objects where a column mixes types that Arrow does not.

        Raises:
            InputError: Two columns have one name.
        """
        names = [str(column) for column in self.frame.columns]
        require_unique(self.name, names)
        frame = self.frame.set_axis(names, axis=1)
        if columns is not None:
            frame = frame[[name for name in names if name in columns]]
        for start in range(0, len(frame), size):
            part = frame.iloc[start : start + size]
            try:
                batch = pa.RecordBatch.from_pandas(part, preserve_index=False)
            except (pa.ArrowException, UnicodeEncodeError, TypeError, ValueError, OverflowError):
                yield _python_rows(part, start)
            else:
                yield Columns(start, batch)


def _python_rows(part: pd.DataFrame, start: int) -> list[Row]:
    columns = [
        [
            None if null else value.tolist() if isinstance(value, np.ndarray) else value
            for null, value in zip(part[name].isna(), part[name], strict=True)
        ]
        for name in part.columns
    ]
    rows = zip(*columns, strict=True)
    return [
        (number, number, dict(zip(part.columns, row, strict=True)), b"")
        for number, row in enumerate(rows, start)
    ]


def _parquet(
    file: TableFile, columns: tuple[str, ...] | None, size: int
) -> Iterator[pa.RecordBatch]:
    try:
        parquet = pq.ParquetFile(file.path, pre_buffer=False, buffer_size=READ_BYTES)
    except (*_DAMAGED, UnicodeDecodeError) as error:  # names of columns may be damaged too
        raise InputError(f"{file.name}: is not a readable Parquet file: {error}") from error
    with parquet:
        rows = max(1, parquet.metadata.num_rows)
        groups = range(parquet.metadata.num_row_groups)
        held = sum(parquet.metadata.row_group(g).total_byte_size for g in groups)
        size = max(1, min(size, PIECE_BYTES * rows // max(1, held)))
        chosen = None if columns is None else list(columns)
        # Group by group, so that one that is damaged takes no rows of others with it.
        for group in groups:
            yield from parquet.iter_batches(size, row_groups=[group], columns=chosen)


def _arrow(file: TableFile, columns: tuple[str, ...] | None, size: int) -> Iterator[pa.RecordBatch]:
    """Reads the file form (Feather version 2) and the stream form (what ``datasets`` saves)."""
    try:
        source = pa.memory_map(str(file.path))
        reader = _ipc_reader(source)
    except (*_DAMAGED, UnicodeDecodeError) as error:
        raise InputError(f"{file.name}: is not a readable Arrow file: {error}") from error
    with source:
        yield from _sized(_sound(reader, columns), size)


def _sound(
    batches: Iterator[pa.RecordBatch], columns: tuple[str, ...] | None
) -> Iterator[pa.RecordBatch]:
    """Passes on the batches that hold together, raising ``ArrowInvalid`` at the first other.

    Arrow trusts the offsets in a file, and a wrong one reads foreign memory. Text is checked as
    bytes here: that it is no UTF-8 makes one row unreadable, not the file.
    """
    for batch in batches:
        kept = batch if columns is None else _select(batch, columns)
        for column in kept.columns:
            column.view(_as_bytes(column.type)).validate(full=True)
        yield kept


def _as_bytes(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string(kind):
        return pa.binary()
    if pa.types.is_large_string(kind):
        return pa.large_binary()
    if pa.types.is_string_view(kind):
        return pa.binary_view()
    if pa.types.is_list(kind):
        return pa.list_(_as_bytes(kind.value_type))
    if pa.types.is_large_list(kind):
        return pa.large_list(_as_bytes(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_as_bytes(field.type)) for field in kind])
    return kind


def _ipc_reader(source: pa.MemoryMappedFile) -> Iterator[pa.RecordBatch]:
    try:
        stream = pa.ipc.open_stream(source)
    except pa.ArrowInvalid:
        source.seek(0)
        file = pa.ipc.open_file(source)
        file.schema.names  # noqa: B018 - decodes them
        return (file.get_batch(number) for number in range(file.num_record_batches))
    stream.schema.names  # noqa: B018 - decodes them
    return iter(stream)


def _sized(batches: Any, size: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = max(1, batch.num_rows)
        step = max(1, min(size, PIECE_BYTES * rows // max(1, batch.nbytes)))
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)


def _select(table: Any, columns: tuple[str, ...]) -> Any:
    return table.select([name for name in table.schema.names if name in columns])
