"""How a corpus is understood, and its first records, before anything is audited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from synflaw_audit.findings.accounts import Skipped
from synflaw_audit.reading.base import Input
from synflaw_audit.reading.batches import records_of
from synflaw_audit.reading.ledger import Ledger
from synflaw_audit.reading.rows import Rejected
from synflaw_audit.reading.schemas import Schema
from synflaw_audit.reading.schemas.find import flags_of
from synflaw_audit.reading.source import Source

_PIECE_ROWS = 64
_MOST_REJECTED = 3


@dataclass(frozen=True)
class PossibleReading:
    """One way to read a file.

    Attributes:
        schema: In words.
        options: Of the command line, to choose it.
        rows: Of the first ones, those that allow it; None of the one that was chosen.
    """

    schema: str
    options: str
    rows: int | None = None


@dataclass(frozen=True)
class FilePreview:
    """How one file is understood.

    Attributes:
        file: Named as in the records.
        reading: How it is read; None if it holds no rows.
        others: How it could be read besides.
        unread: Columns of text that are not read.
        records: The first records, as they will be judged, by column of ``records.RECORDS``.
        context: By row, the turns before, between or behind them that are context: masked from
            the loss, or history.
        rejected: The first rows that cannot be read among the first ones.
        unanswered: How many rows among these hold no answer that is learned.
    """

    file: str
    reading: PossibleReading | None
    others: tuple[PossibleReading, ...] = ()
    unread: tuple[str, ...] = ()
    records: tuple[dict[str, Any], ...] = ()
    context: dict[int, tuple[int, ...]] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
    unanswered: int = 0


@dataclass(frozen=True)
class Preview:
    """How a corpus is understood.

    Attributes:
        files: Each file or table, in the order of reading.
        skipped: What was found beside them and is not read.
    """

    files: tuple[FilePreview, ...]
    skipped: tuple[Skipped, ...] = ()


def preview_of(source: Source, rows: int = 10) -> Preview:
    """Looks at the first rows of every file.

    Args:
        source: The corpus.
        rows: Records shown of each file, at most.

    Raises:
        InputError: A file cannot be opened, or its columns cannot be understood.
    """
    return Preview(tuple(_files(source, rows)), source.skipped)


def _files(source: Source, rows: int) -> Iterator[FilePreview]:
    for item in source.inputs:
        recognised = source.recognition(item.name)
        if recognised is None:
            yield FilePreview(item.name, None, rejected=_unreadable(item))
            continue
        rejected: list[Rejected] = []
        found: list[dict[str, Any]] = []
        ledger = Ledger(item.name, rejected.append)
        for batch in records_of(item, recognised.schema, _PIECE_ROWS, ledger):
            found += batch.slice(0, rows - len(found)).drop_columns(["file"]).to_pylist()
            if len(found) >= rows:
                break
        yield FilePreview(
            item.name,
            _reading(recognised.schema),
            tuple(_reading(schema, count) for schema, count in recognised.possible),
            source.unread(item.name),
            tuple(found),
            _context(found),
            tuple(rejected[:_MOST_REJECTED]),
            ledger.unanswered,
        )


def _unreadable(item: Input) -> tuple[Rejected, ...]:
    """The first rows of a file that has none with fields."""
    found: list[Rejected] = []

    def keep(row: Rejected) -> None:
        if len(found) < _MOST_REJECTED:
            found.append(row)

    for _ in records_of(item, None, _PIECE_ROWS, Ledger(item.name, keep)):
        pass
    return tuple(found)


def _reading(schema: Schema, rows: int | None = None) -> PossibleReading:
    return PossibleReading(str(schema), flags_of(schema), rows)


def _context(records: list[dict[str, Any]]) -> dict[int, tuple[int, ...]]:
    """By row, the turns that are missing among those of its records."""
    learned: dict[int, set[int]] = {}
    for record in records:
        learned.setdefault(record["row"], set()).add(record["turn"])
    missing = {row: tuple(sorted({*range(max(turns))} - turns)) for row, turns in learned.items()}
    return {row: turns for row, turns in missing.items() if turns}
