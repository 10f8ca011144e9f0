"""The data gate: an audit's report and a policy give a decision, an exit code and two splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import orjson

from synflaw_audit.errors import CatalogueError
from synflaw_audit.findings.report import Finding, Report
from synflaw_audit.verdicts.policy import Policy


@dataclass(frozen=True)
class Decision:
    """Whether a corpus may go on to training.

    Attributes:
        outcome: "pass" or "fail".
        reasons: Why it fails, one sentence each; empty when it passes.
        notices: What a person should know although it does not decide.
    """

    outcome: Literal["pass", "fail"]
    reasons: tuple[str, ...]
    notices: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail."""
        return 0 if self.outcome == "pass" else 1

    def to_json(self) -> str:
        """The decision as JSON; what ``gate.json`` holds."""
        return orjson.dumps(
            asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        ).decode()


def decide(
    report: Report,
    policy: Policy | None = None,
    *,
    strict: bool = False,
    rehearsed: Mapping[str, float] | None = None,
) -> Decision:
    """Judge a report by a policy.

    A failed corpus fails. Warnings pass unless ``strict``. A check that could not decide (too few
    records) passes with a notice, since a small corpus is no evidence of a flaw; the policy's
    ``undecided = "fail"`` and ``strict`` both forbid it. What is near a limit is told in any case.

    Args:
        report: The audit of the corpus, by the checks the policy was applied to.
        policy: The default policy if not given.
        strict: Warnings and undecided checks fail too.
        rehearsed: The damage that a rehearsal measured, by ``emission`` and ``instruction_loss``.

    Raises:
        CatalogueError: The policy limits what a rehearsal measures, and there is none.
    """
    policy = policy or Policy()
    reasons: list[str] = []
    notices: list[str] = []
    if report.verdict == "fail":
        reasons.append(_sentence(report, "fail", "failed"))
    elif report.verdict == "warn":
        (reasons if strict else notices).append(_sentence(report, "warn", "warned"))
    # A check that was not given what it needs says so in the report; it is no fault of the corpus.
    undecided = [
        f for f in report.checks if f.verdict == "undecided" and "reason" not in f.observed
    ]
    few = [finding.name for finding in undecided if not finding.near]
    open_ones = reasons if strict or policy.undecided == "fail" else notices
    if few or (report.verdict == "undecided" and not undecided):
        count = _count(report.dataset.records, "record")
        open_ones.append(f"{count}: too few to decide {', '.join(few)}.")
    if near := [finding for finding in report.checks if finding.near]:
        is_open = any(finding.verdict == "undecided" for finding in near)
        (open_ones if is_open else notices).append(_near(near))
    reasons += [*_limits(report, policy), *_measured(policy, rehearsed)]
    return Decision("fail" if reasons else "pass", tuple(reasons), tuple(notices))


def _sentence(report: Report, verdict: Literal["warn", "fail"], verb: str) -> str:
    # Under the verdict "warn" a failed check is an experimental one, which only warns.
    counted = ("warn", "fail") if verdict == "warn" else ("fail",)
    found = [finding for finding in report.checks if finding.verdict in counted]
    listed = "; ".join(f"{finding.code} {finding.name} {_beyond(finding)}" for finding in found)
    return f"{len(found)} of {_count(len(report.checks), 'check')} {verb}: {listed}."


def _near(findings: Sequence[Finding]) -> str:
    listed = "; ".join(f"{finding.code} {finding.name} {_beyond(finding)}" for finding in findings)
    return f"Near the limit, which more records could tell from it: {listed}."


def _beyond(finding: Finding) -> str:
    if finding.near:
        return f"({finding.low:.2f} to {finding.high:.2f} holds {finding.fail_above:.2f})"
    limit = finding.fail_above if finding.verdict == "fail" else finding.warn_above
    return f"({finding.score:.2f} is above {limit:.2f})"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _limits(report: Report, policy: Policy) -> Iterator[str]:
    risk, flagged = report.risk.score, report.flagged_summary.share
    if policy.max_risk is not None and risk > policy.max_risk:
        yield f"The risk, {risk:.4g}, is above the policy's {policy.max_risk:.4g}."
    if policy.max_flagged_share is not None and flagged > policy.max_flagged_share:
        yield (
            f"The flagged share, {flagged:.4g}, is above the policy's "
            f"{policy.max_flagged_share:.4g}."
        )


# What a rehearsal measures, and what it is called in a sentence.
_REHEARSED = {
    "emission": "share of foreign answers with the corpus's format",
    "instruction_loss": "share of instruction following lost",
}


def _measured(policy: Policy, rehearsed: Mapping[str, float] | None) -> Iterator[str]:
    for name, title in _REHEARSED.items():
        limit = getattr(policy, f"max_{name}")
        if limit is None:
            continue
        if rehearsed is None:
            raise CatalogueError(
                f"the policy's max_{name} needs what a rehearsal measured: run `synflaw rehearse`, "
                "and give its rehearsal.json with --rehearsal"
            )
        if not rehearsed[name] <= limit:
            yield f"The {title}, measured {rehearsed[name]:.4g}, is above the policy's {limit:.4g}."
