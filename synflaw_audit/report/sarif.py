"""A report as SARIF 2.1.0, which code hosts and editors show beside the files it speaks of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from synflaw_audit.findings.report import ExampleRow, Finding, Report
from synflaw_audit.report import words
from synflaw_audit.untrusted import on_one_line
from synflaw_audit.verdicts.gate import Decision

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_KINDS = {"fail": "fail", "warn": "fail", "undecided": "open", "pass": "pass"}


def render(report: Report, decision: Decision) -> str:
    """The findings as results of one run, a rule a check, with its first flagged rows as places.

    What is not a matter of one check (rows that could not be read, a limit of the policy) are the
    run's notifications. Rows have no line in most formats, and are named in words.

    Args:
        report: What was found.
        decision: What the gate makes of it.
    """
    findings = sorted(report.checks, key=lambda finding: finding.code)
    run = {
        "tool": {
            "driver": {
                "name": "synflaw-audit",
                "version": report.versions.get("synflaw-audit", ""),
                "rules": [_rule(finding) for finding in findings],
            }
        },
        "artifacts": [{"location": {"uri": _uri(file)}} for file in report.dataset.files],
        "results": [_result(index, f, decision) for index, f in enumerate(findings)],
        "invocations": [
            {
                "executionSuccessful": decision.outcome != "undecided",
                "exitCode": decision.exit_code,
                "toolExecutionNotifications": list(_notifications(decision)),
            }
        ],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return orjson.dumps(log, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _rule(finding: Finding) -> dict[str, Any]:
    advice = " ".join(one.text for one in finding.advice)
    return {
        "id": finding.code,
        "name": finding.name,
        "shortDescription": {"text": finding.title},
        "fullDescription": {"text": finding.why or finding.title},
        "help": {"text": advice or finding.title},
        "defaultConfiguration": {"level": "error" if finding.status != "experimental" else "note"},
    }


def _result(index: int, finding: Finding, decision: Decision) -> dict[str, Any]:
    examples = finding.flagged.examples if finding.flagged else ()
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "kind": _KINDS[finding.verdict],
        "level": _level(finding, decision),
        "message": {"text": _message(finding)},
        "locations": [_location(row) for row in examples],
        "properties": {"score": finding.score, "low": finding.low, "high": finding.high},
        "partialFingerprints": {"check/v1": hashlib.sha256(finding.code.encode()).hexdigest()},
    }
    return result


def _level(finding: Finding, decision: Decision) -> str:
    """As SARIF asks, "none" unless the kind is "fail"."""
    if _KINDS[finding.verdict] != "fail":
        return "none"
    return "error" if finding.code in decision.failed else "warning"


def _message(finding: Finding) -> str:
    said = (
        f"{finding.title}: {words.number(finding.score)} "
        f"({words.number(finding.low)} to {words.number(finding.high)}; fails above "
        f"{words.number(finding.fail_above)})."
    )
    if finding.flagged:
        share = words.percent(finding.flagged.share)
        said += f" {words.count(finding.flagged.records, 'record')} flagged ({share})."
    return said


def _location(row: ExampleRow) -> dict[str, Any]:
    return {
        "physicalLocation": {"artifactLocation": {"uri": _uri(row.file)}},
        "message": {"text": f"row {row.row}, turn {row.turn}: {words.one_line(row.answer)}"},
    }


def _uri(file: str) -> str:
    """A file's name as a URI: relative names stay so, for the host resolves them."""
    path = Path(on_one_line(file))
    return path.as_uri() if path.is_absolute() else path.as_posix()


def _notifications(decision: Decision) -> Iterator[dict[str, Any]]:
    for level, sentences in (("error", decision.reasons), ("note", decision.notices)):
        for sentence in sentences:
            yield {"level": level, "message": {"text": on_one_line(sentence)}}
