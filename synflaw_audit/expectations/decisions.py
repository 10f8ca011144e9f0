"""One number of an audit against the threshold of an expectation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from synflaw_audit.findings.report import Finding, Verdict

_SEVERITY: Mapping[Verdict, int] = {"pass": 0, "warn": 1, "undecided": 2, "fail": 3}


@dataclass(frozen=True)
class Decision:
    """What an expectation makes of the audit.

    Attributes:
        verdict: "warn" does not occur: an expectation has one threshold and a severity.
        score: In [0, 1], higher is worse; None where nothing could be measured.
        low: Lower end of the score's 95% interval.
        high: Upper end of it.
        records: Records the score rests on.
        message: The finding in one sentence.
        failing: The checks whose limits were exceeded, so whose rows are flagged.
        observed: What the measures saw, JSON values.
    """

    verdict: Verdict
    score: float | None
    low: float | None
    high: float | None
    records: int
    message: str
    failing: tuple[str, ...] = ()
    observed: Mapping[str, Any] = field(default_factory=dict)

    def settled(self, allow_undecided: bool) -> Decision:
        """An undecided decision as the pass or the failure that the expectation makes of it."""
        if self.verdict != "undecided":
            return self
        if allow_undecided:
            return replace(self, verdict="pass")
        hint = "; set allow_undecided=True to let such a batch pass"
        return replace(self, verdict="fail", message=self.message + hint)


def of_finding(finding: Finding) -> Decision:
    """A finding, whose limit is that of an expectation."""
    label = f"{finding.code} {finding.name}"
    interval = f"{finding.score:.3f} (95%: {finding.low:.3f} to {finding.high:.3f})"
    limit = f"{finding.fail_above:g}"
    if finding.verdict == "undecided":
        few = f"{finding.records:,} records are too few for a verdict"
        message = f"{label}: undecided, {finding.observed.get('reason', few)}"
    elif finding.verdict == "fail":
        message = f"{label}: {finding.title}: score {interval} is above the limit {limit}"
    else:
        message = f"{label}: score {interval} is within the limit {limit}"
    return Decision(
        verdict=finding.verdict,
        score=finding.score,
        low=finding.low,
        high=finding.high,
        records=finding.records,
        message=message,
        failing=(finding.name,) if finding.verdict == "fail" else (),
        observed=finding.observed,
    )


def worst(decisions: Iterable[tuple[float, Decision]]) -> Decision:
    """Several decisions as one: the worst verdict, and the score that exceeds its limit the most.

    Args:
        decisions: Each with its limit; at least one.
    """
    ranked = sorted(decisions, key=lambda pair: (_SEVERITY[pair[1].verdict], _excess(*pair)))
    chosen = ranked[-1][1]
    failed = [decision for _, decision in ranked if decision.verdict == "fail"]
    if len(failed) < 2:
        return chosen
    return replace(
        chosen,
        message="; ".join(decision.message for decision in reversed(failed)),
        failing=tuple(name for decision in reversed(failed) for name in decision.failing),
    )


def _excess(limit: float, decision: Decision) -> float:
    return (decision.score or 0.0) - limit
