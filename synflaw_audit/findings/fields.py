"""What was found in the texts that stand beside the answers: reasoning, and rejected answers."""

from __future__ import annotations

from dataclasses import dataclass

from synflaw_audit.findings.finding import Finding, Risk, Verdict


@dataclass(frozen=True)
class Difference:
    """How much higher the answers score than the field, by one check.

    Attributes:
        name: Of the check.
        value: The answers' score less the field's.
        low: Lower bound of the 95% interval.
        high: Upper bound.
    """

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class FieldFindings:
    """One field of the records, judged as a corpus of its own.

    Attributes:
        name: "reasoning", or "rejected": the answers that were not preferred.
        records: That have it.
        verdict: Of its texts.
        risk: That they would be.
        checks: Every check's finding that speaks of answers.
        differences: Of a field that every record has, by check: what the preferred answers have
            more of the format than the rejected ones is what a preference for it looks like.
    """

    name: str
    records: int
    verdict: Verdict
    risk: Risk
    checks: tuple[Finding, ...]
    differences: tuple[Difference, ...] = ()
