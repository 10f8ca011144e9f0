"""One number of an audit against the threshold of an expectation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from synflaw_audit.findings.report import Finding, Verdict

_SEVERITY: Mapping[Verdict, int] = {"pass": 0, "warn": 1, "undecided": 2, "fail": 3}


@dataclass(frozen=True)
class ExpectationVerdict:
    """What an expectation makes of the audit.

    Attributes:
        verdict: "warn" does not occur: an expectation has one threshold and a severity.
        score: In [0, 1], higher is worse; None where nothing could be measured.
        low: Lower end of the score's 95% interval; of the risk, see ``Risk.low``.
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

    def settled(
        self, rows: RowCounts, *, allow_undecided: bool, max_rejected_share: float
    ) -> tuple[bool, ExpectationVerdict]:
        """Whether the expectation is a success, and the decision with what decided that.

        Args:
            rows: How many could be read.
            allow_undecided: Whether what could not be decided is a success.
            max_rejected_share: Of rows that cannot be read; above it, nothing is.
        """
        message = self.message
        success = self.verdict == "pass"
        if self.verdict == "undecided":
            success = allow_undecided
            if not allow_undecided:
                message += "; set allow_undecided=True to let such a batch pass"
        if rows.rejected:
            shown = f"{rows.rejected:,} of {rows.seen:,} rows ({rows.rejected_share:.1%})"
            message += f"; {shown} could not be read, the first, {rows.first_rejected}"
        if rows.rejected_share > max_rejected_share:
            success = False
            message += f"; more than max_rejected_share={max_rejected_share:g}, so it cannot pass"
        return success, replace(self, message=message)


@dataclass(frozen=True)
class RowCounts:
    """What became of a batch's rows, or the turns of its conversations.

    Attributes:
        read: Records that were audited.
        rejected: Rows that make none.
        first_rejected: Which is the first of these, and why.
    """

    read: int = 0
    rejected: int = 0
    first_rejected: str = ""

    @property
    def seen(self) -> int:
        """All of them."""
        return self.read + self.rejected

    @property
    def rejected_share(self) -> float:
        """The share of all that makes no record; 0 where there are none."""
        return self.rejected / self.seen if self.seen else 0.0


def of_finding(finding: Finding) -> ExpectationVerdict:
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
    measured = finding.verdict != "undecided"
    return ExpectationVerdict(
        verdict=finding.verdict,
        score=finding.score if measured else None,
        low=finding.low if measured else None,
        high=finding.high if measured else None,
        records=finding.records,
        message=message,
        failing=(finding.name,) if finding.verdict == "fail" else (),
        observed=finding.observed,
    )


def worst(decisions: Iterable[tuple[float, ExpectationVerdict]]) -> ExpectationVerdict:
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


def _excess(limit: float, decision: ExpectationVerdict) -> float:
    return (decision.score or 0.0) - limit
