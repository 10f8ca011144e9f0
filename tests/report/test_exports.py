from __future__ import annotations

from xml.etree import ElementTree

import orjson
import pytest
from jsonschema import Draft7Validator
from junitparser import Failure, JUnitXml
from reports import HOSTILE, finding, report

from synflaw_audit.findings.report import ExampleRow, Implicated, Report
from synflaw_audit.report import github, junit, sarif
from synflaw_audit.verdicts.gate import Decision, decide

FAILED = report(
    verdict="fail",
    checks=(
        finding("SF101", verdict="fail", score=0.5),
        finding("SF102", verdict="undecided"),
        finding("SF103", verdict="fail", status="experimental", score=0.9),
        finding("SF104"),
    ),
)


def hostile(text: str) -> tuple[Report, Decision]:
    rows = Implicated(1, 0.1, (ExampleRow(text, 3, 0, text),))
    made = report(verdict="fail", checks=(finding(verdict="fail", title=text, flagged=rows),))
    return made, decide(made)


# What of the SARIF 2.1.0 schema concerns what is written here.
RESULT = {
    "type": "object",
    "required": ["message", "ruleId", "kind", "level"],
    "properties": {
        "kind": {"enum": ["notApplicable", "pass", "fail", "review", "open", "informational"]},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": {"type": "object", "required": ["text"]},
        "locations": {"type": "array", "items": {"required": ["physicalLocation"]}},
    },
}


def test_sarif_says_of_each_check_what_it_found() -> None:
    log = orjson.loads(sarif.render(FAILED, decide(FAILED)))
    run = log["runs"][0]
    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [
        result["ruleId"] for result in run["results"]
    ]
    for result in run["results"]:
        Draft7Validator(RESULT).validate(result)
        assert (result["level"] == "none") == (result["kind"] != "fail")
    assert [result["level"] for result in run["results"]] == ["error", "none", "warning", "none"]
    assert run["invocations"][0]["exitCode"] == 1
    place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "a.jsonl"}


def test_junit_readers_see_a_failure_for_what_the_gate_fails_for() -> None:
    suites = JUnitXml.fromstring(junit.render(FAILED, decide(FAILED)).encode())
    cases = {case.name: case for suite in suites for case in suite}
    failed = [
        name for name, case in cases.items() if any(isinstance(r, Failure) for r in case.result)
    ]
    assert failed == ["SF101 check-sf101", "gate"]
    assert cases["SF102 check-sf102"].is_skipped
    assert (suites.tests, suites.failures, suites.skipped) == (5, 2, 1)


def test_known_findings_are_no_failures_of_the_exports() -> None:
    decision = decide(FAILED, baseline=FAILED)
    assert decision.exit_code == 0
    assert "<failure" not in junit.render(FAILED, decision)
    results = orjson.loads(sarif.render(FAILED, decision))["runs"][0]["results"]
    assert {result["level"] for result in results} == {"none", "warning"}
    assert not any(line.startswith("::error") for line in github.render(FAILED, decision))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_the_data_breaks_out(text: str) -> None:
    made, decision = hostile(text)
    orjson.loads(sarif.render(made, decision))
    suites = ElementTree.fromstring(junit.render(made, decision))  # noqa: S314
    assert {each.tag for each in suites.iter()} <= {
        "testsuites",
        "testsuite",
        "testcase",
        "failure",
        "skipped",
        "system-out",
    }
    lines = list(github.render(made, decision))
    assert len(lines) == 2 + len(decision.notices)
    assert all("\n" not in line and "\x1b" not in line for line in lines)


def test_an_annotation_cannot_be_forged() -> None:
    text = "x,title=y::error file=z::boo\n::error::boo%0A"
    made, decision = hostile(text)
    first = next(github.render(made, decision))
    properties, message = first.removeprefix("::error ").split("::", 1)
    assert [each.split("=")[0] for each in properties.split(",")] == ["title", "file"]
    assert "%250A" in message
