"""The bytes of a file, whatever it is packed in: all that can be had, and why there are no more.

A packed file that is cut short or damaged gives every byte up to there and then ends, like a sound
one; ``Stream.damage`` says that it is not. So a reader meets damage in one place, at the end, and
loses nothing that came before it.
"""

from __future__ import annotations

import bz2
import codecs
import io
import lzma
import re
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import zstandard

from synflaw_audit.errors import InputError
from synflaw_audit.reading import limits
from synflaw_audit.reading.signatures import disguise
from synflaw_audit.remote import FilePath, why

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER = 1 << 18
# Packed bytes are read in blocks, and unpacked in steps so small that no step's output is large:
# Zstandard makes at most 32 MiB of one, gzip 1 MiB.
_BLOCK, _STEP = 1 << 16, 1 << 10
_BLANK_LINES, _EMPTY_LINES = re.compile(rb"\s*\n"), re.compile(rb"[\r\n]*\n")
_BOM = b"\xef\xbb\xbf"


class Decompressor(Protocol):
    """Unpacks one member (gzip) or frame (Zstandard) of a file, as ``zlib.decompressobj`` does."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""

    @property
    def unused_data(self) -> bytes:
        """What was given to it beyond its end."""

    def decompress(self, data: bytes, /) -> bytes:
        """Unpacks some more of it."""


class _Bzip2:
    """A ``Decompressor`` whose error says that the data are broken, not that a file is."""

    def __init__(self) -> None:
        self._member = bz2.BZ2Decompressor()

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, /) -> bytes:
        try:
            return self._member.decompress(data)
        except (OSError, ValueError) as error:
            raise _BrokenError(str(error)) from error


class _BrokenError(Exception):
    """What is packed cannot be unpacked."""


# By ending: what unpacks a member. A step of bzip2 makes at most 25 MB, one of xz 8 MB.
COMPRESSIONS: dict[str, Callable[[], Decompressor]] = {
    ".gz": lambda: zlib.decompressobj(zlib.MAX_WBITS | 16),
    ".zst": lambda: zstandard.ZstdDecompressor().decompressobj(),
    ".bz2": _Bzip2,
    ".xz": lambda: lzma.LZMADecompressor(memlimit=limits.EXPANDS_FREELY),
}
_BROKEN = (zlib.error, zstandard.ZstdError, lzma.LZMAError, _BrokenError)


class Stream(io.BufferedReader):
    """A file's bytes, unpacked.

    Attributes:
        mark: The byte order mark that stood before them, if there was one.
    """

    raw: _Contents
    mark: bytes = b""

    @property
    def damage(self) -> str:
        """Why there are no more bytes than were read; "" if the file ends here, or goes on."""
        return self.raw.damage


def open_stream(name: str, path: FilePath, encoding: str | None = None) -> Stream:
    """Opens a file for reading, unpacked by its last suffix, as UTF-8, without a byte order mark.

    Args:
        name: Its name, for the error messages.
        path: Where it is.
        encoding: Of its text; UTF-8 if not given.

    Raises:
        InputError: It cannot be opened, is no regular file, is UTF-16 or UTF-32 text though no
            encoding is given, is not what its ending says, or nothing of it can be unpacked.
    """
    require_regular(name, path)
    try:
        size, file = path.stat().st_size, path.open("rb", buffering=0)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {why(error)}") from error
    unpack = COMPRESSIONS.get(path.suffix.lower())
    stream = Stream(_Contents(file, size, unpack, encoding), BUFFER)
    start = stream.peek(8)[:8]
    try:
        if stream.damage and not start:
            raise InputError(f"{name}: cannot be read: {stream.damage}")
        if found := disguise(start, Path(name).suffix.lower()):
            raise InputError(f"{name}: {found}")
        if start[:2] in (b"\xff\xfe", b"\xfe\xff") or start[:4] == b"\x00\x00\xfe\xff":
            raise InputError(
                f"{name}: is UTF-16 or UTF-32 text; convert it to UTF-8, or read it with "
                "--encoding utf-16 (encoding= in Python)"
            )
    except InputError:
        stream.close()
        raise
    if start.startswith(_BOM):
        stream.mark = stream.read(len(_BOM))
    return stream


def pass_line(stream: Stream) -> None:
    """Passes over the rest of a line."""
    while (part := stream.readline(BUFFER)) and not part.endswith(b"\n"):
        pass


def pass_blank_lines(stream: Stream, *, spaces: bool = True) -> int:
    """Passes over blank lines, and tells how many: packed, a few bytes make a hundred million.

    Args:
        stream: At the beginning of a line.
        spaces: Whether a line of nothing but blanks is blank, too.
    """
    passed = 0
    blank = _BLANK_LINES if spaces else _EMPTY_LINES
    while found := blank.match(held := stream.peek(1)):
        passed += held.count(b"\n", 0, found.end())
        stream.read(found.end())
        if found.end() < len(held):
            break
    return passed


def require_regular(name: str, path: FilePath) -> None:
    """Refuses what is no regular file before it is opened: a pipe may wait, a device may act.

    Raises:
        InputError: Says what it is, or that it cannot be looked at.
    """
    try:
        kind = path.stat().st_mode
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {why(error)}") from error
    if not stat.S_ISREG(kind):
        raise InputError(f"{name}: is {kind_of(kind)}, not a file; write what it gives to one")


def kind_of(mode: int) -> str:
    """What a thing in the file system that is no regular file is, from its ``st_mode``."""
    kinds = {
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFDIR: "a folder",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")


class _Bytes(Protocol):
    """An open file, as far as it is read here."""

    def read(self, size: int, /) -> bytes | None:
        """So many bytes, or fewer."""

    def seek(self, offset: int, /) -> int:
        """Goes to a place."""

    def close(self) -> None:
        """Closes it."""


class _DamagedError(Exception):
    """There are no more bytes, though there should be."""


class _Contents(io.RawIOBase):
    """The raw stream under a ``Stream``: a file that is given up where damage begins."""

    def __init__(
        self,
        file: _Bytes,
        size: int,
        unpack: Callable[[], Decompressor] | None,
        encoding: str | None,
    ) -> None:
        self.damage = ""
        self._file = file
        self._parts = iter(lambda: file.read(BUFFER) or b"", b"")
        if unpack is not None:
            self._parts = _unpacked(file, size, unpack)
        if encoding is not None:
            self._parts = _transcoded(self._parts, encoding)
        self._part = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if not self._part:
            self._part = memoryview(self._next())
        room = memoryview(buffer)
        count = min(len(room), len(self._part))
        room[:count] = self._part[:count]
        self._part = self._part[count:]
        return count

    def _next(self) -> bytes:
        try:
            # An empty part is no end.
            return next(filter(None, self._parts), b"")
        except _DamagedError as error:
            self.damage = str(error)
        except OSError as error:
            self.damage = f"no more of it can be read: {why(error)}"
        self._parts = iter(())
        return b""

    def close(self) -> None:
        self._file.close()
        super().close()


def require_encoding(encoding: str | None) -> None:
    """Refuses what is no encoding of texts.

    Raises:
        InputError: Says so.
    """
    try:
        b"a".decode(encoding or "utf-8", "replace")
    except (LookupError, ValueError) as error:
        raise InputError(
            f"--encoding {encoding}: is no encoding of texts; such are utf-8, cp1252 "
            "(Windows-1252), latin-1, utf-16, gb18030, shift_jis"
        ) from error


def _transcoded(parts: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Text as UTF-8; what does not decode stays invalid there, and its row is rejected."""
    wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
    decoder = codecs.getincrementaldecoder(encoding)("replace" if wide else "surrogateescape")
    try:
        for part in parts:
            yield decoder.decode(part).encode("utf-8", "surrogateescape")
        yield decoder.decode(b"", final=True).encode("utf-8", "surrogateescape")
    except UnicodeError as error:
        raise _DamagedError(f"it is no {encoding}: {error}") from error


def _unpacked(file: _Bytes, size: int, unpack: Callable[[], Decompressor]) -> Iterator[bytes]:
    """Yields what a packed file holds, up to the last byte that can be unpacked."""
    most = max(limits.EXPANDS_FREELY, limits.MOST_EXPANSION * size)
    members = _Members(unpack)
    steps = given = 0
    waiting = bytearray()
    try:
        for packed in _steps(file):
            part = members.unpacked(packed)
            steps += 1
            given += len(part)
            waiting += part
            if given > most:
                raise _DamagedError(
                    f"it expands to more than {limits.EXPANDS_FREELY >> 20} MiB and "
                    f"{limits.MOST_EXPANSION} times its own size; it is unpacked no further"
                )
            if len(waiting) >= BUFFER:
                yield bytes(waiting)
                waiting.clear()
        if not members.complete:
            raise _DamagedError("it ends early")
    except (*_BROKEN, _DamagedError) as error:
        yield bytes(waiting)
        if isinstance(error, _DamagedError):
            raise
        yield _last_bytes(file, unpack, steps)
        raise _DamagedError(f"it cannot be unpacked: {error}") from error
    yield bytes(waiting)


def _steps(file: _Bytes) -> Iterator[bytes]:
    for block in iter(lambda: file.read(_BLOCK) or b"", b""):
        for start in range(0, len(block), _STEP):
            yield block[start : start + _STEP]


def _last_bytes(file: _Bytes, unpack: Callable[[], Decompressor], steps: int) -> bytes:
    """What the step after so many gives before it fails, by taking it byte by byte."""
    file.seek(0)
    members, packed = _Members(unpack), _steps(file)
    for part in islice(packed, steps):
        members.unpacked(part)
    last = bytearray()
    try:
        for number in next(packed):
            last += members.unpacked(bytes([number]))
    except _BROKEN:
        pass
    return bytes(last)


class _Members:
    """Unpacks the members of a file, one after another."""

    def __init__(self, unpack: Callable[[], Decompressor]) -> None:
        self._unpack = unpack
        self._member: Decompressor | None = None
        self._ended = False

    @property
    def complete(self) -> bool:
        """Whether there was a member, and the last one has ended."""
        return self._ended and self._member is None

    def unpacked(self, data: bytes) -> bytes:
        """What some more packed bytes give."""
        found = b""
        while data:
            if self._member is None:
                if self._ended and not (data := data.lstrip(b"\0")):  # what tapes fill up with
                    break
                self._member = self._unpack()
            found += self._member.decompress(data)
            if not self._member.eof:
                break
            data, self._member, self._ended = self._member.unused_data, None, True
        return found
