"""Parquet, Arrow and Feather files, and tables in memory, as pieces of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synflaw_audit.errors import InputError
from synflaw_audit.reading.containers import require_regular
from synflaw_audit.reading.rows import Columns, Damage, NumberedRow, Piece, require_unique
from synflaw_audit.remote import FilePath, RemotePath

if TYPE_CHECKING:
    import pandas as pd

# As in the text formats: a piece of large rows has fewer of them.
PIECE_BYTES = 2 << 20
# A column of a row group is read as it is decoded, not as a whole beforehand.
READ_BYTES = 1 << 20
_DAMAGED = (OSError, EOFError, pa.ArrowException)


@dataclass(frozen=True)
class TableFile:
    """A file of one of the columnar formats; a ``format`` other than "parquet" is Arrow's."""

    name: str
    path: FilePath
    format: str

    def pieces(self, columns: tuple[str, ...] | None, size: int) -> Iterator[Piece]:
        """Yields all rows in order, and ``Damage`` where some cannot be read.

        Columns that are not asked for are not decoded. Where all are asked for, and some cannot
        be read, the others are given.

        Raises:
            InputError: The file cannot be opened, or is not of its format.
        """
        require_regular(self.name, self.path)
        yield from (_parquet if self.format == "parquet" else _arrow)(self, columns, size)


@dataclass(frozen=True)
class TableInput:
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
class DataFrameInput:
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


def _python_rows(part: pd.DataFrame, start: int) -> list[NumberedRow]:
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


def opened_parquet(path: FilePath) -> pq.ParquetFile:
    """A Parquet file; one on another machine is asked for all that a row group takes at once."""
    if isinstance(path, RemotePath):
        return pq.ParquetFile(pa.PythonFile(path.open_random(), mode="r"), pre_buffer=True)
    return pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES)


def opened_arrow(path: FilePath) -> pa.NativeFile:
    """An Arrow file's bytes."""
    if isinstance(path, RemotePath):
        return pa.PythonFile(path.open_random(), mode="r")
    return pa.memory_map(str(path))


def _parquet(file: TableFile, columns: tuple[str, ...] | None, size: int) -> Iterator[Piece]:
    try:
        parquet = opened_parquet(file.path)
        names = parquet.schema_arrow.names
        groups = [parquet.metadata.row_group(g) for g in range(parquet.metadata.num_row_groups)]
        counts = [group.num_rows for group in groups]
        held = sum(group.total_byte_size for group in groups)
    except (*_DAMAGED, UnicodeDecodeError) as error:  # names of columns may be damaged too
        raise InputError(f"{file.name}: is not a readable Parquet file: {error}") from error
    if min(counts, default=0) < 0:
        raise InputError(f"{file.name}: is not a readable Parquet file: rows less than none")
    require_unique(file.name, names)
    with parquet:
        size = max(1, min(size, PIECE_BYTES * max(1, sum(counts)) // max(1, held)))
        start = 0
        # Group by group, so that one that is damaged takes no rows of others with it.
        for group, count in enumerate(counts):
            chosen = _readable(parquet, group, names, size) if columns is None else columns
            at = start
            reason = "it gives fewer rows than it names"
            try:
                for batch in parquet.iter_batches(size, row_groups=[group], columns=chosen):
                    yield Columns(at, batch)
                    at += batch.num_rows
            except _DAMAGED as error:
                reason = str(error)
            start = max(at, start + count)
            if at < start:
                reason = f"row group {group} is damaged from row {at} on: {reason}"
                yield [(at, at, Damage(reason, lost=start - at), b"")]


def _readable(parquet: pq.ParquetFile, group: int, names: Sequence[str], size: int) -> list[str]:
    """The columns of which at least the first rows can be read: all, if there is no damage."""

    def read(columns: list[str]) -> bool:
        try:
            next(parquet.iter_batches(size, row_groups=[group], columns=columns), None)
        except _DAMAGED:
            return False
        return True

    return list(names) if read(list(names)) else [name for name in names if read([name])]


def _arrow(file: TableFile, columns: tuple[str, ...] | None, size: int) -> Iterator[Piece]:
    """Reads the file form (Feather version 2) and the stream form (what ``datasets`` saves)."""
    try:
        source = opened_arrow(file.path)
        batches = _ipc_batches(source, columns)
    except (*_DAMAGED, UnicodeDecodeError) as error:
        raise InputError(f"{file.name}: is not a readable Arrow file: {error}") from error
    start = 0
    with source:
        for number, read in enumerate(batches):
            try:
                batch, rows = _sound(read(), columns)
            except StopIteration:
                break
            except _DAMAGED as error:
                # Behind a damaged batch the stream form has no next one; the file form has a list.
                reason = f"batch {number} is damaged from row {start} on: {error}"
                yield [(start, start, Damage(reason), b"")]
                if isinstance(batches, repeat):
                    break
                continue
            if batch is None:
                reason = f"batch {number}, from row {start} on, is damaged"
                yield [(start, start, Damage(reason, lost=rows), b"")]
                start += rows
                continue
            for part in _sized([batch], size):
                yield Columns(start, part)
                start += part.num_rows


def _ipc_batches(
    source: pa.NativeFile, columns: tuple[str, ...] | None
) -> Iterable[Callable[[], pa.RecordBatch]]:
    """What reads each batch; the last, in the stream form, raises ``StopIteration``."""
    try:
        stream = pa.ipc.open_stream(source)
    except pa.ArrowInvalid:
        source.seek(0)
        file = pa.ipc.open_file(source)
        if columns is not None:
            source.seek(0)
            file = pa.ipc.open_file(source, options=_only(file.schema, columns))
        file.schema.names  # noqa: B018 - decodes them
        return [partial(file.get_batch, number) for number in range(file.num_record_batches)]
    if columns is not None:
        source.seek(0)
        stream = pa.ipc.open_stream(source, options=_only(stream.schema, columns))
    stream.schema.names  # noqa: B018 - decodes them
    return repeat(stream.read_next_batch)


def _only(schema: pa.Schema, columns: tuple[str, ...]) -> pa.ipc.IpcReadOptions:
    """Leaves every other column undecoded."""
    chosen = [number for number, name in enumerate(schema.names) if name in columns]
    return pa.ipc.IpcReadOptions(included_fields=chosen)


def _sound(
    batch: pa.RecordBatch, columns: tuple[str, ...] | None
) -> tuple[pa.RecordBatch | None, int]:
    """The batch, or None if it does not hold together, and its rows.

    Arrow trusts the offsets in a file, and a wrong one reads foreign memory. Text is checked as
    bytes here: that it is no UTF-8 makes one row unreadable, not the file. Where all columns are
    asked for, those that do not hold together are left out.
    """
    sound = [name for name in range(batch.num_columns) if _holds_together(batch.column(name))]
    if len(sound) == batch.num_columns:
        return batch, batch.num_rows
    return (batch.select(sound) if columns is None and sound else None), batch.num_rows


def _holds_together(column: pa.Array) -> bool:
    try:
        column.view(_as_bytes(column.type)).validate(full=True)
    except pa.ArrowException:
        return False
    return True


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


def _sized(batches: Any, size: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = max(1, batch.num_rows)
        step = max(1, min(size, PIECE_BYTES * rows // max(1, batch.nbytes)))
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)


def _select(table: Any, columns: tuple[str, ...]) -> Any:
    return table.select([name for name in table.schema.names if name in columns])
