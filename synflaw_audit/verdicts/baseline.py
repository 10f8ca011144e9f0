"""A report from before: what has come since then, and what has grown by more than chance.

A corpus that a team lives with fails every run alike, and what is new drowns in it. Against a
baseline a check counts only where it fails or warns and its score has risen beyond the noise of
both samples, or where its templates are others than before.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from synflaw_audit.findings.finding import Finding
from synflaw_audit.findings.report import Report, TemplateSummary
from synflaw_audit.verdicts.judge import capped, overall

# Templates whose words agree so far (Jaccard) are one: another draw may word the rarest otherwise.
SAME_WORDS = 0.6

# The checks whose score is a share of records in templates, and how their templates' ids begin.
_TEMPLATES = {"answer-template": "A", "question-template": "Q"}


@dataclass(frozen=True)
class BaselineComparison:
    """A report beside its baseline.

    Attributes:
        known: Findings that fail or warn, and did not rise since.
        risen: Findings that fail or warn and are new, or rose.
        before: The baseline's scores, by code.
        templates: The templates that the baseline has none like.
        mended: Names of checks that failed or warned before and pass now.
        differing: Settings and versions that are not the baseline's, in words.
    """

    known: tuple[Finding, ...]
    risen: tuple[Finding, ...]
    before: dict[str, float]
    templates: tuple[TemplateSummary, ...]
    mended: tuple[str, ...]
    differing: tuple[str, ...]

    def notices(self) -> Iterable[str]:
        """What a person should know of it, a sentence each."""
        if self.known:
            yield f"Known from the baseline, and no worse: {_listed(self.known, self.before)}."
        if self.mended:
            yield f"Passes now, and did not in the baseline: {', '.join(self.mended)}."
        if self.templates:
            patterns = "; ".join(f"{one.pattern!r} ({one.share:.1%})" for one in self.templates[:5])
            more = f", and {len(self.templates) - 5} more" if len(self.templates) > 5 else ""
            yield f"Not among the baseline's templates: {patterns}{more}."
        if self.differing:
            yield f"The baseline was made otherwise: {'; '.join(self.differing)}."


def since(report: Report, baseline: Report) -> BaselineComparison:
    """What has changed between two audits.

    A rise is told from noise by the interval of a difference of two independent estimates, made
    from their own intervals: its lower bound is ``d - sqrt((s - low)**2 + (high0 - s0)**2)`` for
    the scores ``s`` and, before, ``s0`` (Zou and Donner 2008, "Construction of confidence limits
    about effect measures", eq. 2; MOVER).

    Args:
        report: Of the corpus today.
        baseline: Of the corpus that is compared with.
    """
    before = {finding.code: finding for finding in baseline.checks}
    templates = _unlike(report.templates, baseline.templates)
    bad = [finding for finding in report.checks if finding.verdict in ("warn", "fail")]
    risen = [f for f in bad if _risen(f, before.get(f.code)) or _renewed(f, templates)]
    passing = {finding.code for finding in report.checks if finding.verdict == "pass"}
    return BaselineComparison(
        known=tuple(finding for finding in bad if finding not in risen),
        risen=tuple(risen),
        before={finding.code: finding.score for finding in baseline.checks},
        templates=templates,
        mended=tuple(
            finding.name
            for finding in baseline.checks
            if finding.verdict in ("warn", "fail") and finding.code in passing
        ),
        differing=tuple(_differing(report, baseline)),
    )


def only_new(report: Report, changes: BaselineComparison) -> Report:
    """The report in which what is known from the baseline passes."""
    known = {finding.code for finding in changes.known}
    checks = [replace(f, verdict="pass") if f.code in known else f for f in report.checks]
    verdict = overall([capped(f.status, f.verdict) for f in checks])
    return replace(report, checks=tuple(checks), verdict=verdict)


def _risen(finding: Finding, before: Finding | None) -> bool:
    if before is None or before.verdict == "undecided":
        return True
    rise = finding.score - before.score
    return rise > math.hypot(finding.score - finding.low, before.high - before.score)


def _renewed(finding: Finding, templates: Iterable[TemplateSummary]) -> bool:
    """Whether templates that are new would fail or warn by themselves."""
    prefix = _TEMPLATES.get(finding.name)
    if prefix is None:
        return False
    return sum(one.share for one in templates if one.id.startswith(prefix)) > finding.warn_above


def _unlike(
    templates: Iterable[TemplateSummary], others: Iterable[TemplateSummary]
) -> tuple[TemplateSummary, ...]:
    known = [(one.id[:1], _words(pattern)) for one in others for pattern in _patterns(one)]
    return tuple(
        one
        for one in templates
        if not any(
            kind == one.id[:1] and _alike(_words(pattern), words)
            for pattern in _patterns(one)
            for kind, words in known
        )
    )


def _patterns(template: TemplateSummary) -> list[str]:
    return [template.pattern, *(variant.pattern for variant in template.variants)]


def _words(pattern: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", pattern.replace("<*>", " ").lower()))


def _alike(words: frozenset[str], others: frozenset[str]) -> bool:
    return len(words & others) >= SAME_WORDS * max(len(words | others), 1)


def _differing(report: Report, baseline: Report) -> Iterable[str]:
    for now, then, what in (
        (report.config, baseline.config, "setting"),
        (report.versions, baseline.versions, "version of"),
    ):
        for name in sorted(now.keys() & then.keys()):
            if now[name] != then[name]:
                yield f"{what} {name}, {then[name]!r} then and {now[name]!r} now"


def _listed(findings: Iterable[Finding], before: dict[str, float]) -> str:
    return "; ".join(
        f"{finding.code} {finding.name} ({finding.score:.2f}, before {before[finding.code]:.2f})"
        for finding in findings
    )
