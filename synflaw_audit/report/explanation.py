"""A finding in sentences: what, how sure, which rows, what it does, what to do, and the risk.

Nothing here is escaped or bounded; that is each rendering's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from synflaw_audit.findings.finding import Advice, ExampleRow, Finding, Verdict, WhatIf
from synflaw_audit.findings.report import Report
from synflaw_audit.report import words

_SEVERITY: tuple[Verdict, ...] = ("fail", "warn", "undecided", "pass")
_EXPERIMENTAL = "Its limits are experimental, not set by a measurement, so it only ever warns."
EXAMPLE_CHARACTERS = 240
_WHOLE = 0.995  # of the risk, beyond which nothing is left that percentages show


@dataclass(frozen=True)
class Explanation:
    """What a person wants to know of a finding.

    Attributes:
        what: Its score against the limits.
        sure: The interval, how many rows it rests on, whether the verdict holds within it, and
            whether the limits are measured.
        rows: How many records it flags, and where they stand.
        examples: Some of those records.
        effect: What the flaw does to a model; may be empty.
        advice: What to do, the best first.
        risk: What share of the risk it accounts for.
    """

    what: str
    sure: str
    rows: str
    examples: tuple[ExampleRow, ...]
    effect: str
    advice: tuple[Advice, ...]
    risk: str


def explained(finding: Finding, report: Report) -> Explanation:
    """The finding in sentences."""
    return Explanation(
        what=_what(finding),
        sure=_sure(finding),
        rows=_rows(finding),
        examples=finding.flagged.examples if finding.flagged else (),
        effect=finding.why,
        advice=finding.advice,
        risk=_risk(finding, report),
    )


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """By verdict, then by share of the risk, then by how far the score is beyond its limit."""
    return sorted(
        findings,
        key=lambda finding: (
            _SEVERITY.index(finding.verdict),
            -(finding.risk_share or 0.0),
            -(finding.score - finding.warn_above),
        ),
    )


def location(example: ExampleRow) -> str:
    """Where a record stands."""
    turn = f", turn {example.turn}" if example.turn else ""
    return f"{example.file}, row {example.row}{turn}"


def what_if(answer: WhatIf) -> str:
    """What leaving rows out would change."""
    risk = words.number(answer.risk.score)
    if not answer.drop:
        return f"No row is flagged, so none can be left out: the risk stays at {risk}."
    left = (
        f"Without the {words.count(answer.dropped, 'record')} that {words.listed(answer.drop)} "
        f"flag{'s' if len(answer.drop) == 1 else ''}, "
        f"{words.count(answer.records, 'record')} would remain"
    )
    if answer.verdict == "undecided":
        return f"{left}: too few to decide anything."
    raised = [f"{f.name} ({f.verdict})" for f in answer.checks if f.verdict in ("warn", "fail")]
    still = f"Still above a limit: {words.listed(raised)}." if raised else "No check would warn."
    return (
        f"{left}, and the risk goes from {words.number(answer.before.score)} to {risk} "
        f"({words.risk_bounds(answer.risk)}). {still}"
    )


def remainder(report: Report) -> str:
    """What part of the risk no finding accounts for; empty if that is not known, or none."""
    parts = [finding.risk_share for finding in report.checks if finding.risk_share is not None]
    if not parts or not report.risk.score or sum(parts) > _WHOLE:
        return ""
    return (
        f"The findings account for {words.percent(sum(parts))} of it; the rest a corpus would have "
        "in which no check finds anything."
    )


def apart(report: Report) -> str:
    """How well the corpus can be told from its reference; empty if that was not measured."""
    measured = [finding for finding in report.checks if "p_value" in finding.observed]
    if not measured:
        return ""
    finding = measured[0]
    return (
        f"Separability is {words.number(finding.score)} ({words.number(finding.low)} to "
        f"{words.number(finding.high)}), p = {words.value(finding.observed['p_value'])} by "
        "permutation: 0 where no classifier can tell the two apart, 1 where one always can."
    )


def _what(finding: Finding) -> str:
    score = f"The score is {words.number(finding.score)}"
    if finding.near:
        return (
            f"{score}, near {words.number(finding.fail_above)}, where it fails: its interval holds "
            f"that, which counts as {_NEAR[finding.verdict]}."
        )
    match finding.verdict:
        case "fail":
            return f"{score}, above {words.number(finding.fail_above)}, where it fails."
        case "warn":
            return f"{score}, above {words.number(finding.warn_above)}, where it warns."
        case "pass":
            return f"{score}, not above {words.number(finding.warn_above)}, where it would warn."
        case _:
            reason = finding.observed.get("reason")
            few = f"{words.count(finding.records, 'record')} are too few"
            return f"Undecided: {reason or few}."


def _sure(finding: Finding) -> str:
    rests = words.count(finding.records, "record")
    if finding.rows != finding.records:
        rests = f"a sample of {words.count(finding.rows, 'record')} of {finding.records:,}"
    if finding.verdict == "undecided" and not finding.near:
        return f"It decides nothing; it had {rests}."
    bounds = f"{words.number(finding.low)} and {words.number(finding.high)}"
    low, high = (_judged(finding, bound) for bound in (finding.low, finding.high))
    holds = (
        "The verdict is the same at either end."
        if low == high
        else f"At the lower end it would {low}, at the upper end {high}: more rows could tell."
    )
    limits = "" if finding.status == "stable" else f" {_EXPERIMENTAL}"
    return (
        f"It rests on {rests}: with 95% confidence the score lies between {bounds}. {holds}{limits}"
    )


_NEAR: Mapping[Verdict, str] = {
    "pass": "a pass",
    "warn": "a warning",
    "fail": "a failure",
    "undecided": "undecided",
}


def _judged(finding: Finding, score: float) -> Verdict:
    if score > finding.fail_above:
        return "fail"
    return "warn" if score > finding.warn_above else "pass"


def _rows(finding: Finding) -> str:
    if finding.flagged is not None:
        return (
            f"It flags {words.count(finding.flagged.records, 'record')} "
            f"({words.percent(finding.flagged.share)}). They stand in flagged.parquet, with "
            f"{finding.name} in the column checks; rows count from 0."
        )
    if finding.verdict in ("warn", "fail"):
        return "It speaks of the corpus as a whole and flags no rows; see what was observed."
    return "It flags no rows: only a check that warns or fails does."


def _risk(finding: Finding, report: Report) -> str:
    if finding.risk_share is None:
        return "The risk does not read this check, so it has no share in it."
    risk = words.number(report.risk.score)
    return f"It accounts for {words.percent(finding.risk_share)} of the risk of {risk}."
