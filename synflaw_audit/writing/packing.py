"""Files written packed as their names say; the counterpart of ``reading.containers``."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, cast

import zstandard

_BUFFER = 1 << 18

# By ending: what packs the bytes that are written to it, into a file that stays open.
PACKERS: dict[str, Callable[[IO[bytes]], Any]] = {
    # Without name and time, so that the same rows make the same file.
    ".gz": lambda file: gzip.GzipFile("", "wb", fileobj=file, mtime=0),
    ".bz2": lambda file: bz2.BZ2File(file, "wb"),
    ".xz": lambda file: lzma.LZMAFile(file, "wb"),  # noqa: SIM115 - whoever calls it does
    ".zst": lambda file: zstandard.ZstdCompressor().stream_writer(file, closefd=False),
}


@contextmanager
def packed(path: Path, encoding: str | None = None) -> Iterator[IO[bytes]]:
    """A new file, whose bytes are packed as its last suffix says.

    Args:
        path: The file.
        encoding: Of its text; what is written to it is UTF-8 nevertheless.
    """
    pack = PACKERS.get(path.suffix.lower())
    with ExitStack() as stack:
        file = stack.enter_context(path.open("xb"))
        if pack is not None:
            packing = stack.enter_context(pack(file))
            file = stack.enter_context(io.BufferedWriter(packing, _BUFFER))
        yield cast("IO[bytes]", file if encoding is None else _Encoded(file, encoding))


class _Encoded(io.RawIOBase):
    """Takes UTF-8, and writes it in another encoding."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._encode = codecs.getincrementalencoder(encoding)("surrogateescape").encode

    def write(self, data: Any) -> int:
        self._file.write(self._encode(self._decode(bytes(data))))
        return len(data)
