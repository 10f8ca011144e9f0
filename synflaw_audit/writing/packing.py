"""Files written packed as their names say; the counterpart of ``reading.containers``."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

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
def packed(path: Path) -> Iterator[IO[bytes]]:
    """A new file, whose bytes are packed as its last suffix says."""
    pack = PACKERS.get(path.suffix.lower())
    with ExitStack() as stack:
        file = stack.enter_context(path.open("xb"))
        if pack is None:
            yield file
            return
        packing = stack.enter_context(pack(file))
        with io.BufferedWriter(packing, _BUFFER) as buffered:
            yield buffered
