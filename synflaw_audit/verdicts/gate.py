"""The data gate: an audit's report and a policy give a decision, an exit code and two splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import orjson

from synflaw_audit.errors import CatalogueError
from synflaw_audit.findings.accounts import Accounts
from synflaw_audit.findings.leakage import REFERENCE, Leakage, sentences
from synflaw_audit.findings.losses import losses_of
from synflaw_audit.findings.report import Finding, Report, Verdict
from synflaw_audit.reading.schemas.pairs import NUMBERS_AS_TEXT
from synflaw_audit.verdicts.baseline import only_new, since
from synflaw_audit.verdicts.policy import Policy

# So many records of so few different rows, each given so often, are one corpus in many copies.
FEWEST_DISTINCT, COPIED_RECORDS, COPIES = 200, 50, 5

EXIT_CODES = {"pass": 0, "fail": 1, "undecided": 2}


@dataclass(frozen=True)
class Decision:
    """Whether a corpus may go on to training.

    Attributes:
        outcome: "pass" or "fail"; "undecided" if nothing could be judged, which is neither.
        reasons: Why it does not pass, one sentence each; empty when it does.
        notices: What a person should know although it does not decide.
        accounts: What became of every row.
        failed: Codes of the checks that are among the reasons.
    """

    outcome: Literal["pass", "fail", "undecided"]
    reasons: tuple[str, ...]
    notices: tuple[str, ...]
    accounts: Accounts = field(default_factory=Accounts)
    failed: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 2 undecided."""
        return EXIT_CODES[self.outcome]

    def to_json(self) -> str:
        """The decision as JSON; what ``gate.json`` holds.

        Besides the attributes "rows" (those seen, those that could not be read, their share, those
        in which nothing is answered that is learned, those known to be lost to damage, and whether
        no more can be lost), and of the accounts those files that are "damaged", what was
        "skipped", and by file the "unread" columns.
        """
        accounts = self.accounts
        values = {
            "outcome": self.outcome,
            "reasons": self.reasons,
            "notices": self.notices,
            "failed": self.failed,
            "rows": {
                "seen": accounts.rows,
                "rejected": accounts.rejected,
                "rejected_share": accounts.rejected_share,
                "unanswered": accounts.unanswered,
                "lost": accounts.lost,
                "exact": accounts.exact,
            },
            "damaged": [asdict(file) for file in accounts.damaged],
            "skipped": [asdict(skipped) for skipped in accounts.skipped],
            "unread": accounts.unread,
        }
        return orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def decide(
    report: Report,
    policy: Policy | None = None,
    *,
    strict: bool = False,
    rehearsed: Mapping[str, float] | None = None,
    baseline: Report | None = None,
) -> Decision:
    """Judge a report by a policy.

    A failed corpus fails. Warnings pass unless ``strict``. A check that could not decide (too few
    records) passes with a notice, since a small corpus is no evidence of a flaw; the policy's
    ``undecided = "fail"`` and ``strict`` both forbid it. What is near a limit is told in any case.
    Where no check could decide, or no answer shows a character, nothing was judged, and the outcome
    is "undecided" unless something fails.

    Args:
        report: The audit of the corpus, by the checks the policy was applied to.
        policy: The default policy if not given.
        strict: Warnings and undecided checks fail too.
        rehearsed: The damage that a rehearsal measured, by ``emission`` and ``instruction_loss``.
        baseline: A report from before. What fails or warns counts only where it is new since then,
            or has risen beyond the noise of both; the policy's own limits hold as ever.

    Raises:
        CatalogueError: The policy limits what a rehearsal measures, and there is none.
    """
    policy = policy or Policy()
    reasons: list[str] = []
    notices: list[str] = []
    failed: tuple[str, ...] = ()
    if baseline is not None:
        changes = since(report, baseline)
        notices += changes.notices()
        report = only_new(report, changes)
    if report.verdict in ("fail", "warn"):
        counted = _counted(report, report.verdict)
        stops = strict or report.verdict == "fail"
        (reasons if stops else notices).append(_sentence(report, counted))
        failed = tuple(finding.code for finding in counted) if stops else ()
    open_ones = reasons if strict or policy.undecided == "fail" else notices
    if sentence := _too_few(report):
        open_ones.append(sentence)
    if near := [finding for finding in report.checks if finding.near]:
        is_open = any(finding.verdict == "undecided" for finding in near)
        (open_ones if is_open else notices).append(_near(near))
    for sentence, fails in _beside(report):
        (reasons if fails and policy.reasoning == "fail" else notices).append(sentence)
    leaked = [] if report.leakage is None else _leaks(report.leakage, policy)
    reasons += [sentence for sentence, fails in leaked if fails]
    notices += [sentence for sentence, fails in leaked if not fails]
    if report.leakage is not None and policy.max_leakage is not None:
        open_ones += sentences(Leakage(report.leakage.unjudged))
    notices += _numbers(report)
    reasons += _copies(report)
    reasons += [*_limits(report, policy), *_measured(policy, rehearsed)]
    losses = losses_of(report.dataset.accounts)
    accounts = report.dataset.accounts
    # A column that is now this and now that is no more of use than one that cannot be read.
    numbers = accounts.numbers_among_texts / max(accounts.rows, 1)
    too_many = report.dataset.accounts.rejected_share > policy.max_rejected_share
    for sentence, fails in (
        (losses.rejected, too_many),
        (losses.unanswered, False),
        (losses.numbers, numbers > policy.max_rejected_share),
        (losses.damaged, policy.damaged == "fail"),
        (losses.skipped, policy.skipped == "fail"),
        (losses.unread, False),
    ):
        if sentence:
            (reasons if fails else notices).append(sentence)
    outcome: Literal["pass", "fail", "undecided"] = "fail" if reasons else "pass"
    if (nothing := _nothing_judged(report)) and outcome == "pass":
        outcome, reasons = "undecided", [nothing]
    return Decision(outcome, tuple(reasons), tuple(notices), report.dataset.accounts, failed)


def _beside(report: Report) -> Iterator[tuple[str, bool]]:
    """What was found beside the answers, and whether it fails: reasoning is learned like them."""
    for beside in report.fields:
        if beside.name == "reasoning" and beside.verdict in ("fail", "warn"):
            counted = [f for f in beside.checks if f.verdict == beside.verdict]
            listed = "; ".join(f"{f.code} {f.name} {_beyond(f)}" for f in counted)
            verb = "fails" if beside.verdict == "fail" else "warns"
            yield f"The reasoning, audited by itself, {verb}: {listed}.", beside.verdict == "fail"
        if higher := sorted((d for d in beside.differences if d.low > 0), key=lambda d: -d.value):
            listed = "; ".join(
                f"{d.name} by {d.value:.2f} ({d.low:.2f} to {d.high:.2f})" for d in higher[:3]
            )
            yield f"The preferred answers have more format than the rejected ones: {listed}.", False


def _leaks(found: Leakage, policy: Policy) -> list[tuple[str, bool]]:
    """What splits share, and whether it is more than the policy lets pass."""
    limit = policy.max_leakage
    return [
        (
            said,
            limit is not None and max(one.exact.value, one.near.value if one.near else 0) > limit,
        )
        for one in found.shared
        for said in sentences(Leakage((one,)))
        if one.part != REFERENCE
    ]


def _numbers(report: Report) -> Iterator[str]:
    """That numbers stand where texts are audited, which may not be what was meant."""
    files = [file for file, read in report.dataset.schema.items() if NUMBERS_AS_TEXT in read]
    if files:
        named = ", ".join(files[:3]) + (", ..." if len(files) > 3 else "")
        yield f"Numbers are read as texts in {named}; name another column if that is not meant."


def _too_few(report: Report) -> str:
    """That some checks had too few records to decide.

    A check that was not given what it needs says so in the report; it is no fault of the corpus.
    """
    undecided = (finding for finding in report.checks if finding.verdict == "undecided")
    found = [f for f in undecided if not f.near and "reason" not in f.observed]
    if not found:
        return ""
    names = ", ".join(finding.name for finding in found)
    return f"{_count(report.dataset.records, 'record')}: too few to decide {names}."


def _nothing_judged(report: Report) -> str:
    """Why there is no verdict to go by; "" if there is one."""
    if report.dataset.distinct == 0:
        return "Nothing could be judged: no answer shows a character."
    if all(finding.verdict == "undecided" for finding in report.checks):
        why = dict.fromkeys(str(f.observed.get("reason", "")) for f in report.checks)
        said = "; ".join(filter(None, why)) or "the corpus is too small for every check"
        return f"Nothing could be judged: no check could decide ({said})."
    return ""


def _copies(report: Report) -> Iterator[str]:
    """That a corpus is a few rows many times over, which says nothing of a format."""
    records, distinct = report.dataset.records, report.dataset.distinct
    if not distinct or distinct >= FEWEST_DISTINCT or records < COPIED_RECORDS:
        return
    if records >= COPIES * distinct:
        yield (
            f"{_count(records, 'record')} are copies of {_count(distinct, 'different row')}: too "
            "few to judge, and what is said so often is learnt by heart."
        )


def _counted(report: Report, verdict: Verdict) -> list[Finding]:
    """Under the verdict "warn" a failed check is an experimental one, which only warns."""
    if verdict == "warn":
        return [finding for finding in report.checks if finding.verdict in ("warn", "fail")]
    return [f for f in report.checks if f.verdict == "fail" and f.status != "experimental"]


def _sentence(report: Report, findings: Sequence[Finding]) -> str:
    verb = "failed" if report.verdict == "fail" else "warned"
    listed = "; ".join(f"{finding.code} {finding.name} {_beyond(finding)}" for finding in findings)
    return f"{len(findings)} of {_count(len(report.checks), 'check')} {verb}: {listed}."


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
    risk, flagged = report.risk.score, report.flagged_summary.quarantined_share
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
