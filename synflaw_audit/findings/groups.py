"""What an audit found of each part of a corpus: of each source, file, split or turn."""

from __future__ import annotations

from dataclasses import dataclass

from synflaw_audit.findings.finding import Verdict


@dataclass(frozen=True)
class GroupScore:
    """One check's result in one group.

    Attributes:
        name: Of the check.
        score: In [0, 1].
        low: Lower bound of the score. The intervals of all groups and checks hold together at 95%
            confidence (Bonferroni), so each is wider than that of a corpus by itself.
        high: Upper bound.
        verdict: The score against the check's limits.
        stands_out: The group's interval lies above that of the whole corpus.
    """

    name: str
    score: float
    low: float
    high: float
    verdict: Verdict
    stands_out: bool


@dataclass(frozen=True)
class Group:
    """One group.

    Attributes:
        name: The value that its records share; None for those without one.
        records: All of them; exact.
        flagged: Those that the corpus's findings implicate; exact.
        rows: Records of it that the scores were measured on.
        scores: Of every check, in the order of the report's.
    """

    name: str | None
    records: int
    flagged: int
    rows: int
    scores: tuple[GroupScore, ...]

    @property
    def flagged_share(self) -> float:
        """The share of its records that are flagged."""
        return self.flagged / self.records if self.records else 0.0

    @property
    def standing_out(self) -> tuple[str, ...]:
        """The checks that score it above the corpus, by name."""
        return tuple(score.name for score in self.scores if score.stands_out)


@dataclass(frozen=True)
class Groups:
    """A corpus in groups.

    Attributes:
        by: What its records were grouped by: "file", "split", "turn" or a column.
        groups: The groups, the largest flagged share first.
    """

    by: str
    groups: tuple[Group, ...]
