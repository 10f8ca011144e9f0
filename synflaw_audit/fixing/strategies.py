"""What becomes of the flagged rows of a corpus."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

import xxhash

from synflaw_audit.engines.base import Progress
from synflaw_audit.findings.finding import Span
from synflaw_audit.fixing.cutting import cut
from synflaw_audit.fixing.diverse import most_different, words_of
from synflaw_audit.fixing.rows import FlaggedRow, FlaggedTurn, RowTreatment
from synflaw_audit.outputs.folder import OutputFolder
from synflaw_audit.reading.source import Source
from synflaw_audit.verdicts.what_if import AuditSample

# Of a template with more rows, so many of them for each one that is kept are drawn to choose from.
_CANDIDATES = 8
_FEWEST_CANDIDATES = 64
_SAME = frozenset({"answer-duplicate"})  # checks whose rows say the very same


@dataclass(frozen=True)
class AuditedCorpus:
    """An audited corpus, for a strategy that must know more than the flagged rows.

    Attributes:
        source: The corpus.
        sample: What the audit kept of it, with the judgement and what marks rows.
        flagged: The rows that are the strategy's business, as often as they are asked for.
        names: Of the checks that flag these.
        folder: Gets what the strategy writes besides the corpus; its journal is kept for a run
            that is interrupted.
        progress: Called with the stage and the number of records done.
    """

    source: Source
    sample: AuditSample
    flagged: Callable[[], Iterator[FlaggedRow]]
    names: frozenset[str]
    folder: OutputFolder
    progress: Progress


class Strategy(ABC):
    """Decides what becomes of each flagged row.

    It is shown the audited corpus, and then every row once, in the corpus's order, before it
    decides of any. Then it decides of each as often as it is asked, the same every time.
    """

    @abstractmethod
    def __str__(self) -> str:
        """What it does, for a person."""

    def prepare(self, audited: AuditedCorpus) -> None:  # noqa: B027 - few have a need to
        """Takes notice of the corpus, before any row is shown."""

    def notices(self) -> tuple[str, ...]:
        """What a person should know of how it went, once all is decided."""
        return ()

    def observe(self, row: FlaggedRow) -> None:  # noqa: B027 - few have a need to
        """Takes notice of a row, of which nothing is decided yet."""

    @abstractmethod
    def decide(self, row: FlaggedRow) -> RowTreatment:
        """What becomes of a row."""


class Drop(Strategy):
    """Leaves every flagged row out."""

    def __str__(self) -> str:
        return "drop"

    def decide(self, row: FlaggedRow) -> RowTreatment:
        """See ``Strategy.decide``."""
        return RowTreatment("drop", row.worst.reason)


class Cap(Strategy):
    """Keeps some rows of each template, those that differ most, and leaves the others out.

    Args:
        rows: How many, at most.
        seed: Draws the rows that are chosen among where a template has very many, and the first.
    """

    def __init__(self, rows: int, seed: int = 0) -> None:
        self.rows = rows
        self.seed = seed
        self._pools: dict[str, _Pool] = {}
        self._chosen: set[tuple[str, int]] | None = None

    def __str__(self) -> str:
        return f"cap {self.rows}"

    def observe(self, row: FlaggedRow) -> None:
        """See ``Strategy.observe``."""
        group = _group(row)
        if group not in self._pools:
            size = max(_FEWEST_CANDIDATES, _CANDIDATES * self.rows)
            self._pools[group] = _Pool(size, Random(f"{self.seed} {group}"))  # noqa: S311 - no secret
        worst = row.worst
        self._pools[group].add((row.file, row.row), words_of(outside(worst.answer, worst.spans)))

    def decide(self, row: FlaggedRow) -> RowTreatment:
        """See ``Strategy.decide``."""
        if self._chosen is None:
            self._chosen = set()
            for pool in self._pools.values():
                self._chosen |= most_different(pool.rows, self.rows, pool.chance)
            self._pools.clear()
        if (row.file, row.row) in self._chosen:
            return RowTreatment("keep", f"one of the {self.rows} kept of those like it")
        return RowTreatment("drop", f"beyond the {self.rows} kept of those like it")


class Cut(Strategy):
    """Cuts the format out of answers; rows of which that would leave no answer are capped.

    Args:
        cap: What becomes of these.
    """

    def __init__(self, cap: Cap) -> None:
        self.cap = cap

    def __str__(self) -> str:
        return f"cut, or else {self.cap}"

    def observe(self, row: FlaggedRow) -> None:
        """See ``Strategy.observe``."""
        if _cut(row) is None:
            self.cap.observe(row)

    def decide(self, row: FlaggedRow) -> RowTreatment:
        """See ``Strategy.decide``."""
        answers = _cut(row)
        if answers is None:
            return self.cap.decide(row)
        return RowTreatment("cut", "its format is cut out", answers)


class Keep(Strategy):
    """Leaves every row as it is."""

    def __str__(self) -> str:
        return "keep"

    def decide(self, row: FlaggedRow) -> RowTreatment:
        """See ``Strategy.decide``."""
        return RowTreatment("keep", "its checks are left alone")


class FixPlan(Strategy):
    """Does with a row what is planned for the check that flags it.

    Where several do, the one that is named first in the plan decides. A row that only other checks
    flag stays.

    Args:
        plan: A strategy by the name of its check, the first one weightiest.
    """

    def __init__(self, plan: Mapping[str, Strategy]) -> None:
        self.plan = plan
        self._rest = Keep()

    def __str__(self) -> str:
        return "; ".join(f"{check}: {strategy}" for check, strategy in self.plan.items())

    def prepare(self, audited: AuditedCorpus) -> None:
        """See ``Strategy.prepare``."""
        for strategy in self.plan.values():
            strategy.prepare(audited)

    def notices(self) -> tuple[str, ...]:
        """See ``Strategy.notices``."""
        return tuple(notice for strategy in self.plan.values() for notice in strategy.notices())

    def observe(self, row: FlaggedRow) -> None:
        """See ``Strategy.observe``."""
        self._of(row).observe(row)

    def decide(self, row: FlaggedRow) -> RowTreatment:
        """See ``Strategy.decide``."""
        return self._of(row).decide(row)

    def _of(self, row: FlaggedRow) -> Strategy:
        return next((self.plan[name] for name in self.plan if name in row.checks), self._rest)


class _Pool:
    """A fair draw from rows of which nobody knows how many will come (Vitter 1985, algorithm R)."""

    def __init__(self, size: int, chance: Random) -> None:
        self.rows: dict[tuple[str, int], frozenset[int]] = {}
        self.chance = chance
        self._size = size
        self._seen = 0
        self._names: list[tuple[str, int]] = []

    def add(self, name: tuple[str, int], words: frozenset[int]) -> None:
        self._seen += 1
        if len(self._names) < self._size:
            self._names.append(name)
        elif (place := self.chance.randrange(self._seen)) < self._size:
            del self.rows[self._names[place]]
            self._names[place] = name
        else:
            return
        self.rows[name] = words


def _group(row: FlaggedRow) -> str:
    """What the rows that are capped together have in common."""
    worst = row.worst
    if row.checks <= _SAME:
        return xxhash.xxh3_128_hexdigest(worst.answer.casefold().encode("utf-8", "surrogatepass"))
    return worst.template or worst.reason


def _cut(row: FlaggedRow) -> dict[int, str] | None:
    """The new answers of a row's flagged turns; None if one of them cannot be cut."""
    answers = {turn.turn: _cut_turn(turn) for turn in row.turns}
    cuts = {number: answer for number, answer in answers.items() if answer is not None}
    return cuts if len(cuts) == len(answers) else None


def _cut_turn(turn: FlaggedTurn) -> str | None:
    return cut(turn.answer, turn.spans)


def outside(answer: str, spans: tuple[Span, ...]) -> str:
    """What of an answer is no format."""
    kept, done = [], 0
    for start, end in spans:
        kept.append(answer[done:start])
        done = end
    return " ".join([*kept, answer[done:]])
