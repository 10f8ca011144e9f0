"""A gate's decision as GitHub workflow commands, which show it on the pull request."""

from __future__ import annotations

from collections.abc import Iterator

from synflaw_audit.findings.report import Finding, Report
from synflaw_audit.report import words
from synflaw_audit.untrusted import on_one_line
from synflaw_audit.verdicts.gate import Decision

_SHOWN = ("fail", "warn")


def render(report: Report, decision: Decision) -> Iterator[str]:
    """A line for each finding that failed or warned, at its first flagged row, and the decision.

    Args:
        report: What was found.
        decision: What the gate makes of it; a finding is an error where it fails for it.
    """
    for finding in report.checks:
        if finding.verdict in _SHOWN:
            name = "error" if finding.code in decision.failed else "warning"
            yield _command(name, _said(finding), _place(finding))
    for sentence in decision.reasons:
        yield _command("error", sentence, {"title": f"synflaw gate: {decision.outcome}"})
    for sentence in decision.notices:
        yield _command("notice", sentence, {"title": f"synflaw gate: {decision.outcome}"})


def _said(finding: Finding) -> str:
    return (
        f"{finding.title}: {words.number(finding.score)}, fails above "
        f"{words.number(finding.fail_above)}."
    )


def _place(finding: Finding) -> dict[str, str]:
    properties = {"title": f"{finding.code} {finding.name}"}
    if finding.flagged and finding.flagged.examples:
        properties["file"] = finding.flagged.examples[0].file
    return properties


def _command(name: str, message: str, properties: dict[str, str]) -> str:
    """One workflow command; what would end it or forge another is escaped, as the runner asks."""
    listed = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items())
    return f"::{name} {listed}::{_escaped(message)}"


def _escaped(text: str, further: str = "") -> str:
    text = on_one_line(text)
    for character in ("%", *further):
        text = text.replace(character, f"%{ord(character):02X}")
    return text
