"""``run.json``, the last file of a set of outputs: of what input, by what, with which outcome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import orjson
import xxhash

from synflaw_audit.findings.report import Report
from synflaw_audit.outputs.names import MANIFEST_FILE

SCHEMA_VERSION = 1
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Fingerprint:
    """What tells whether a file is the same.

    Attributes:
        size: In bytes.
        xxh3_128: The XXH3 hash of its content, 128 bits as hexadecimal digits. Of a folder, which
            is what a cluster writes: of all files in it, by name. "" of a file elsewhere.
        version: Of a file that is not on this machine: its ETag, or when it was last changed.
    """

    size: int
    xxh3_128: str = ""
    version: str = ""


@dataclass(frozen=True)
class Manifest:
    """What one run read, how, and what it wrote.

    Attributes:
        outcome: "audited"; of a gate "pass", "fail" or "undecided".
        inputs: By role ("corpus", "reference", "policy", "checks") and by file, as named in the
            report: its fingerprint; null of what is no file, such as a table.
        options: Of the run, by name.
        versions: Of this package and of the libraries that a score may depend on.
        counts: Of records and rows, by what became of them.
        outputs: By name, of each file of the set but this one.
        schema_version: Of this form.
    """

    outcome: str
    inputs: dict[str, dict[str, Fingerprint | None]]
    options: dict[str, Any]
    versions: dict[str, str]
    counts: dict[str, int]
    outputs: dict[str, Fingerprint] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> bytes:
        """What ``run.json`` holds."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def manifest_of(
    report: Report,
    outcome: str,
    *,
    inputs: Mapping[str, Iterable[Path]] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Manifest:
    """The manifest of the run that a report tells of.

    Args:
        report: The report.
        outcome: See ``Manifest``.
        inputs: What was read besides the corpus and its reference, by role.
        options: Those of the run that the report does not name.

    Raises:
        OSError: An input cannot be read any more.
    """
    dataset = report.dataset
    read: dict[str, Iterable[str | Path]] = {
        "corpus": dataset.files,
        "reference": report.config.get("reference") or (),
        **(inputs or {}),
    }
    elsewhere = {
        account.file: Fingerprint(account.size or 0, version=account.version)
        for account in dataset.accounts.files
        if account.version is not None
    }
    return Manifest(
        outcome=outcome,
        inputs={
            role: {
                str(file): elsewhere.get(str(file)) or _fingerprint_of_input(Path(file))
                for file in files
            }
            for role, files in read.items()
        },
        options={**report.config, **(options or {})},
        versions=report.versions,
        counts={
            "records": dataset.records,
            "rejected": dataset.rejected,
            "flagged": report.flagged_summary.records,
        },
    )


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in a folder; None if there is none that this package wrote."""
    try:
        text = (folder / MANIFEST_FILE).read_bytes()
        found = msgspec.json.decode(text, type=Manifest)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found.schema_version == SCHEMA_VERSION else None


def fingerprint(path: Path) -> Fingerprint:
    """The fingerprint of a file or a folder.

    Raises:
        OSError: It cannot be read.
    """
    digest, size = xxhash.xxh3_128(), 0
    for file in _files(path):
        if file != path:
            digest.update(str(file.relative_to(path)).encode("utf-8", "surrogateescape") + b"\0")
        with file.open("rb", buffering=0) as stream:
            while part := stream.read(_CHUNK):
                digest.update(part)
                size += len(part)
    return Fingerprint(size, digest.hexdigest())


def _fingerprint_of_input(path: Path) -> Fingerprint | None:
    return fingerprint(path) if path.is_file() else None


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
    else:
        yield from sorted(file for file in path.rglob("*") if file.is_file())
