"""The report: the one object that the commands, the gate and the expectations see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["pass", "warn", "fail", "undecided"]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Dataset:
    """What was read.

    Attributes:
        files: Every file read, in the order given.
        records: Readable question-answer records.
        rejected: Rows that could not be read; each stands in ``rejected.jsonl`` with its reason.
        schema: How each file's columns were understood, by file.
        tokens: Word and punctuation tokens in all answers.
    """

    files: tuple[str, ...]
    records: int
    rejected: int
    schema: dict[str, str]
    tokens: int


@dataclass(frozen=True)
class Risk:
    """The pattern-overfitting risk in [0, 1], its interval, and what the number rests on."""

    score: float
    low: float
    high: float
    basis: str


@dataclass(frozen=True)
class Finding:
    """One check's result. ``score`` is in [0, 1], higher is more uniform, worse.

    ``low`` and ``high`` bound the score at 95% confidence given the sample it was measured on.
    ``observed`` holds what the measure saw, JSON values only (for instance the commonest openings).
    """

    code: str
    name: str
    title: str
    score: float
    low: float
    high: float
    verdict: Verdict
    warn_above: float
    fail_above: float
    records: int
    observed: dict[str, Any]


@dataclass(frozen=True)
class TemplateSummary:
    """One answer or question template: ``pattern`` shows its slots as ``<*>``.

    ``share`` is the share of all records that follow it, ``records`` the estimated count.
    """

    id: str
    pattern: str
    share: float
    records: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Flagged:
    """How many records the failed and warned checks implicate, and their share of all."""

    records: int
    share: float


@dataclass(frozen=True)
class Report:
    """What one audit found. See ``synflaw_audit.audit`` for how it comes about."""

    dataset: Dataset
    verdict: Verdict
    risk: Risk
    checks: tuple[Finding, ...]
    templates: tuple[TemplateSummary, ...]
    flagged_summary: Flagged
    config: dict[str, Any]
    versions: dict[str, str]
    seconds: dict[str, float]
    schema_version: int = field(default=SCHEMA_VERSION)
