"""What a file is by its first bytes, whatever it is called."""

from __future__ import annotations

from typing import NamedTuple


class Signature(NamedTuple):
    """How files of a kind begin.

    Attributes:
        start: Their first bytes.
        endings: Of their names, with the dot; the usual one first.
        kind: What they are, in words.
    """

    start: bytes
    endings: tuple[str, ...]
    kind: str


PACKED = (
    Signature(b"\x1f\x8b", (".gz",), "packed with gzip"),
    Signature(b"BZh", (".bz2",), "packed with bzip2"),
    Signature(b"\xfd7zXZ\x00", (".xz",), "packed with xz"),
    Signature(b"\x28\xb5\x2f\xfd", (".zst",), "packed with Zstandard"),
)
TABLES = (
    Signature(b"PAR1", (".parquet",), "a Parquet file"),
    Signature(b"ARROW1", (".arrow", ".feather", ".ipc"), "an Arrow file"),
)
ARCHIVE = Signature(b"PK\x03\x04", (".zip",), "a zip archive")


def ending_of(start: bytes, signatures: tuple[Signature, ...]) -> str:
    """The usual ending of files that begin so; "" if none of the signatures is theirs."""
    return next((each.endings[0] for each in signatures if start.startswith(each.start)), "")


def disguise(start: bytes, ending: str) -> str:
    """What a file is by its first bytes if its ending says otherwise; "" if it does not."""
    for each in (*PACKED, *TABLES, ARCHIVE):
        if start.startswith(each.start) and ending not in each.endings:
            return f"is {each.kind}, whatever its name says; rename it to end in {each.endings[0]}"
    return ""
