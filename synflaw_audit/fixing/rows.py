"""The flagged rows of a corpus, each with all of its flagged turns, and what becomes of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq

from synflaw_audit.findings.finding import Span

_BATCH_ROWS = 1024

Action = Literal["keep", "drop", "cut", "rewrite"]


@dataclass(frozen=True)
class FlaggedTurn:
    """A flagged record; see ``records.FLAGGED``."""

    turn: int
    question: str
    answer: str
    checks: tuple[str, ...]
    template: str | None
    spans: tuple[Span, ...]
    score: float
    reason: str


@dataclass(frozen=True)
class FlaggedRow:
    """A row of which at least one turn is flagged."""

    file: str
    row: int
    turns: tuple[FlaggedTurn, ...]

    @property
    def worst(self) -> FlaggedTurn:
        """The turn that the audit is surest of."""
        return max(self.turns, key=lambda turn: turn.score)

    @property
    def checks(self) -> frozenset[str]:
        """The names of all checks that flag a turn of it."""
        return frozenset(name for turn in self.turns for name in turn.checks)


@dataclass(frozen=True)
class RowTreatment:
    """What becomes of a row.

    Attributes:
        action: It stays as it is, is left out, or gets new answers: the old ones with their format
            cut out, or others that say the same.
        answers: These, by turn.
        reason: Why, for a person.
    """

    action: Action
    reason: str
    answers: Mapping[int, str] = field(default_factory=dict)


def flagged_rows(path: Path) -> Iterator[FlaggedRow]:
    """Yields the rows of a ``flagged.parquet``, in the corpus's order."""
    with pq.ParquetFile(path) as table:
        records = (
            record for batch in table.iter_batches(_BATCH_ROWS) for record in batch.to_pylist()
        )
        for (file, row), turns in groupby(records, lambda record: (record["file"], record["row"])):
            yield FlaggedRow(file, row, tuple(map(_turn, turns)))


def _turn(record: Mapping[str, Any]) -> FlaggedTurn:
    return FlaggedTurn(
        turn=record["turn"],
        question=record["question"],
        answer=record["answer"],
        checks=tuple(record["checks"]),
        template=record["template"],
        spans=tuple((span["start"], span["end"]) for span in record["template_spans"]),
        score=record["score"],
        reason=record["reason"],
    )
