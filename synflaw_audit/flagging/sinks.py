"""Where an audit's rows go: files that grow batch by batch and appear whole or not at all.

The second pass hands every batch to each sink. A sink writes beside its target under a temporary
name and moves the file into place in ``close``; after an error ``discard`` leaves whatever stood at
the target before. Files are opened when the first row comes, so that a sink which is never used
leaves nothing to clean up.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from synflaw_audit.records import FLAGGED, RECORDS

if TYPE_CHECKING:
    from synflaw_audit.reading import Rejected


class Output(Protocol):
    """What appears whole or not at all."""

    def close(self) -> None:
        """Finish: the output appears under its name."""

    def discard(self) -> None:
        """Give up: nothing appears, and what was there before stays. Harmless after ``close``."""


class Sink(Output, Protocol):
    """Takes the second pass's batches, in the corpus's order."""

    def write(
        self, records: pa.RecordBatch, mask: npt.NDArray[np.bool_], flagged: pa.RecordBatch
    ) -> None:
        """Take one batch.

        Args:
            records: Schema ``RECORDS``.
            mask: Which of ``records`` are flagged, shape (records,).
            flagged: Those rows with what was found in them, schema ``FLAGGED``.
        """


@contextmanager
def closing(outputs: Sequence[Output]) -> Iterator[None]:
    """Close all outputs in the end, or discard all of them when an error leaves the block."""
    try:
        yield
        for output in outputs:
            output.close()
    except BaseException:
        with ExitStack() as stack:  # every one of them, even if one cannot be discarded
            for output in outputs:
                stack.callback(output.discard)
        raise


class FlaggedWriter:
    """Writes ``flagged.parquet``: the flagged rows."""

    def __init__(self, path: Path, schema: pa.Schema = FLAGGED) -> None:
        self._out = _ParquetFile(path, schema)

    def write(
        self, records: pa.RecordBatch, mask: npt.NDArray[np.bool_], flagged: pa.RecordBatch
    ) -> None:
        """See ``Sink.write``."""
        self.add(flagged)

    def add(self, flagged: pa.RecordBatch) -> None:
        """Write some flagged rows."""
        self._out.write(flagged)

    def close(self) -> None:
        """See ``Output.close``."""
        self._out.close()

    def discard(self) -> None:
        """See ``Output.discard``."""
        self._out.discard()


class SplitWriter:
    """Writes every record once, to ``quarantined`` or to ``clean``.

    Args:
        clean: A file.
        quarantined: Another.
        chosen: Which of some flagged rows are quarantined; all if not given.
    """

    def __init__(
        self,
        clean: Path,
        quarantined: Path,
        chosen: Callable[[pa.RecordBatch], npt.NDArray[np.bool_]] | None = None,
    ) -> None:
        self._chosen = chosen
        self._clean = _ParquetFile(clean, RECORDS)
        self._quarantined = _ParquetFile(quarantined, RECORDS)

    def write(
        self, records: pa.RecordBatch, mask: npt.NDArray[np.bool_], flagged: pa.RecordBatch
    ) -> None:
        """See ``Sink.write``."""
        if self._chosen is not None:
            mask = mask.copy()
            mask[mask] = self._chosen(flagged)
        self._clean.write(records.filter(pa.array(~mask)))
        self._quarantined.write(records.filter(pa.array(mask)))

    def close(self) -> None:
        """See ``Output.close``."""
        self._clean.close()
        self._quarantined.close()

    def discard(self) -> None:
        """See ``Output.discard``."""
        self._clean.discard()
        self._quarantined.discard()


class RejectedWriter:
    """Writes ``rejected.jsonl``: one JSON object for each row that could not be read.

    Call it with each row; it is what ``Source.batches`` takes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = _temporary(path)
        self._file: IO[bytes] | None = None

    def __call__(self, rejected: Rejected) -> None:
        """Write one row."""
        self._open().write(orjson.dumps(asdict(rejected), option=orjson.OPT_APPEND_NEWLINE))

    def _open(self) -> IO[bytes]:
        if self._file is None:
            self._file = self._temporary.open("wb")
        return self._file

    def close(self) -> None:
        """See ``Output.close``."""
        self._open().close()
        self._temporary.replace(self._path)

    def discard(self) -> None:
        """See ``Output.discard``."""
        if self._file is not None:
            self._file.close()
            self._temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole file at once, so that a reader never sees half of it."""
    with written(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A name to write a file under, which takes the place of ``path`` when all went well."""
    temporary = _temporary(path)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class _ParquetFile:
    """One Parquet file, written a batch at a time."""

    # Small batches (a corpus that is nearly clean flags a row here and there) would make one tiny
    # row group each; they are gathered up to this many rows.
    ROWS = 16_384

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._schema = schema
        self._temporary = _temporary(path)
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._waiting.append(batch.cast(self._schema))
            self._rows += batch.num_rows
        if self._rows >= self.ROWS:
            self._flush()

    def _open(self) -> pq.ParquetWriter:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._temporary, self._schema, compression="zstd")
        return self._writer

    def _flush(self) -> None:
        if self._waiting:
            self._open().write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._waiting, self._rows = [], 0

    def close(self) -> None:
        self._flush()
        self._open().close()
        self._temporary.replace(self._path)

    def discard(self) -> None:
        self._waiting = []
        if self._writer is not None:
            self._writer.close()
            self._temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """A name beside ``path``, on the same file system, that no other run uses."""
    return path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part")
