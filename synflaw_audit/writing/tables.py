"""Parquet and Arrow files in two: schema, metadata, row groups and compression stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synflaw_audit.errors import InputError
from synflaw_audit.reading.rows import Columns
from synflaw_audit.reading.tables import TableFile, opened_arrow, opened_parquet
from synflaw_audit.remote import FilePath
from synflaw_audit.text.tokens import Mask
from synflaw_audit.writing.edits import Editor, replaced
from synflaw_audit.writing.rows import RowSet
from synflaw_audit.writing.sides import Counts

_BATCH_ROWS = 8192
# How a compressed buffer of Arrow's begins, behind the eight bytes of its length.
_LZ4, _ZSTD = b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd"
_MOST_LOOKED_AT = 1 << 16
# A row group is written when it is as large as the original's, or holds so many bytes.
_GROUP_BYTES = 64 << 20


class _Writer(Protocol):
    """A file that grows batch by batch."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Appends a batch."""

    def close(self) -> None:
        """Ends the file."""


def split_table(
    item: TableFile, kept: Path, dropped: Path, rows: RowSet, editor: Editor | None = None
) -> Counts:
    """Copies each row of a file to one of two.

    Args:
        item: The file.
        kept: Gets the rows that are not dropped.
        dropped: Gets the others.
        rows: Those that are dropped.
        editor: Edits some of the others; one that it cannot edit is dropped, too.

    Returns:
        How many rows each side got; rows of damaged pieces are on neither.

    Raises:
        InputError: It cannot be opened, or holds what cannot be written again.
        OSError: A side cannot be written.
    """
    counts = Counts()
    form = _Parquet(item.path) if item.format == "parquet" else _Arrow(item.path)
    try:
        with ExitStack() as stack:
            sides = [stack.enter_context(closing(form.opened(path))) for path in (kept, dropped)]
            for piece in item.pieces(None, _BATCH_ROWS):
                if not isinstance(piece, Columns):
                    continue  # damage
                batch = piece.batch
                if batch.num_columns < len(form.schema):
                    continue  # some column is damaged
                mask = rows.mask(piece.start, piece.start + batch.num_rows)
                if editor is not None:
                    batch = _edited(batch, piece.start, mask, editor)
                for side, chosen in zip(sides, (~mask, mask), strict=True):
                    for part in _chosen(batch, chosen):
                        side.write(part)
                counts.dropped += int(mask.sum())
                counts.kept += int((~mask).sum())
    except pa.ArrowException as error:
        raise InputError(f"{item.name}: cannot be written again: {error}") from error
    return counts


def _edited(batch: pa.RecordBatch, start: int, mask: Mask, editor: Editor) -> pa.RecordBatch:
    """A batch with its edited rows; those that cannot be edited are added to the mask."""
    new: dict[int, Mapping[str, Any]] = {}
    for place in range(batch.num_rows):
        if mask[place] or not editor.of(start + place):
            continue
        row = batch.slice(place, 1).to_pylist()[0]
        edited = editor.value(start + place, row)
        if edited is None:
            mask[place] = True
        else:
            new[place] = {name: edited[name] for name in row if edited[name] is not row[name]}
    return replaced(batch, new) if new else batch


def _chosen(batch: pa.RecordBatch, mask: Mask) -> Iterator[pa.RecordBatch]:
    """The rows of a batch that are in a mask; in one piece where Arrow can."""
    if mask.all():
        yield batch
    elif mask.any():
        try:
            yield batch.filter(pa.array(mask))
        except pa.ArrowNotImplementedError:  # of a column's type
            for start, stop in _runs(mask):
                yield batch.slice(start, stop - start)


def _runs(mask: Mask) -> Iterator[tuple[int, int]]:
    """From where to where a mask is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.view(np.int8), [0]))))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


class _Parquet:
    """Writes Parquet files as one was written."""

    def __init__(self, like: FilePath) -> None:
        with opened_parquet(like) as file:
            metadata = file.metadata
            self.schema: pa.Schema = file.schema_arrow
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        columns = [groups[0].column(n) for n in range(metadata.num_columns)] if groups else []
        self._group_rows = max((group.num_rows for group in groups), default=1)
        self._compression: str | dict[str, str] = {
            column.path_in_schema: _codec(column.compression) for column in columns
        } or "snappy"
        self._version = metadata.format_version

    def opened(self, path: Path) -> _Writer:
        """Opens a file for writing."""
        writer = pq.ParquetWriter(
            path, self.schema, compression=self._compression, version=self._version
        )
        return _RowGroups(writer, self._group_rows)


class _RowGroups:
    """A Parquet file with row groups of a size; a batch alone would make one of its own."""

    def __init__(self, writer: pq.ParquetWriter, rows: int) -> None:
        self._writer = writer
        self._size = max(1, rows)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """See ``_Writer.write``."""
        while self._rows + batch.num_rows > self._size:
            room = self._size - self._rows
            self._take(batch.slice(0, room))
            batch = batch.slice(room)
            self._flush()
        self._take(batch)
        if self._rows == self._size or self._bytes >= _GROUP_BYTES:
            self._flush()

    def _take(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._waiting.append(batch)
            self._rows += batch.num_rows
            self._bytes += batch.nbytes

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting), self._size)
        self._waiting, self._rows, self._bytes = [], 0, 0

    def close(self) -> None:
        """See ``_Writer.close``."""
        self._flush()
        self._writer.close()


def _codec(name: str) -> str:
    return "none" if name == "UNCOMPRESSED" else name.lower()


class _Arrow:
    """Writes Arrow files as one was written: the stream form or the file form."""

    def __init__(self, like: FilePath) -> None:
        with opened_arrow(like) as source:
            try:
                reader = pa.ipc.open_stream(source)
                self._open: Any = pa.ipc.new_stream
            except pa.ArrowInvalid:
                source.seek(0)
                reader = pa.ipc.open_file(source)
                self._open = pa.ipc.new_file
            self.schema: pa.Schema = reader.schema
            compression = _buffers_packed(source)
        self._options = pa.ipc.IpcWriteOptions(
            compression=compression, emit_dictionary_deltas=self._open is pa.ipc.new_stream
        )

    def opened(self, path: Path) -> _Writer:
        """Opens a file for writing."""
        writer: _Writer = self._open(str(path), self.schema, options=self._options)
        return writer


def _buffers_packed(source: pa.NativeFile) -> str | None:
    """The compression of the buffers in an Arrow file, which no reader tells."""
    source.seek(0)
    if source.read(6) != b"ARROW1":  # the file form is a stream behind eight bytes
        source.seek(0)
    else:
        source.seek(8)
    try:
        for message in pa.ipc.MessageReader.open_stream(source):
            if message.type == "schema" or message.body is None:
                continue
            start = message.body.slice(0, min(message.body.size, _MOST_LOOKED_AT)).to_pybytes()
            for name, magic in (("lz4", _LZ4), ("zstd", _ZSTD)):
                if any(start[at : at + 4] == magic for at in range(8, len(start), 8)):
                    return name
            return None
    except (pa.ArrowException, OSError, EOFError):
        pass
    return None
