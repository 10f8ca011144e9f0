"""What comes in through standard input, as a file that can be read as often as one likes."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from synflaw_audit.errors import InputError
from synflaw_audit.reading.containers import open_stream
from synflaw_audit.reading.signatures import PACKED, TABLES, ending_of

NAME = "<stdin>"
_HEAD = 1 << 16
# Kept as long as the process, which removes them at its end.
_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def spooled(stream: BinaryIO | None = None) -> Path:
    """Keeps all that comes in a temporary file until this process ends; gives its path.

    The file's ending says what was recognised: JSON by its bracket, Parquet and Arrow, and what is
    packed, by their signatures; anything else is CSV.

    Args:
        stream: Standard input if not given.

    Raises:
        InputError: It is a terminal, or nothing comes.
    """
    source = sys.stdin.buffer if stream is None else stream
    if source.isatty():
        raise InputError("-: standard input is a terminal; pipe the corpus into it")
    _KEPT.append(tempfile.TemporaryDirectory(prefix="synflaw-"))
    path = Path(_KEPT[-1].name) / "stdin"
    with path.open("wb") as file:
        shutil.copyfileobj(source, file)
    with path.open("rb") as file:
        start = file.read(8)
    if not start:
        raise InputError("-: nothing came in through standard input")
    if table := ending_of(start, TABLES):
        return path.rename(path.with_suffix(table))
    packed = path.rename(path.with_name(f"stdin{ending_of(start, PACKED)}"))
    with open_stream(NAME, packed) as unpacked:
        first = unpacked.peek(_HEAD).lstrip()[:1]
    text = ".jsonl" if first in (b"{", b"[") else ".csv"
    return packed.rename(path.with_name(f"stdin{text}{packed.suffix}"))
