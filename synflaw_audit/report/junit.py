"""A report as JUnit XML, which CI servers show as a list of tests: a check is one."""

from __future__ import annotations

from xml.etree import ElementTree

from synflaw_audit.findings.report import Finding, Report
from synflaw_audit.report import words
from synflaw_audit.untrusted import on_one_line, visible
from synflaw_audit.verdicts.gate import Decision


def render(report: Report, decision: Decision) -> str:
    """A suite with a test a check, and one for the gate's decision, whose failure is the exit code.

    A check is a failure only where the gate fails for it: what is known from a baseline, and what
    an experimental check finds, stops nobody, and is told in the test's output.

    Args:
        report: What was found.
        decision: What the gate makes of it.
    """
    cases = [_check(finding, decision) for finding in report.checks]
    cases.append(_decision(decision))
    failed = sum(case.find("failure") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    suite = ElementTree.Element(
        "testsuite",
        name="synflaw gate",
        tests=str(len(cases)),
        failures=str(failed),
        errors="0",
        skipped=str(skipped),
        time=f"{report.seconds.get('total', 0.0):.3f}",
    )
    suite.extend(cases)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _check(finding: Finding, decision: Decision) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase", classname="synflaw.checks", name=f"{finding.code} {finding.name}"
    )
    title = on_one_line(finding.title)
    said = (
        f"{title}: {words.number(finding.score)} ({words.number(finding.low)} to "
        f"{words.number(finding.high)}), fails above {words.number(finding.fail_above)}"
    )
    if finding.code in decision.failed:
        ElementTree.SubElement(case, "failure", message=said)
    elif finding.verdict == "undecided":
        ElementTree.SubElement(case, "skipped", message=said)
    ElementTree.SubElement(case, "system-out").text = "\n".join([said, *_rows(finding)])
    return case


def _rows(finding: Finding) -> list[str]:
    examples = finding.flagged.examples if finding.flagged else ()
    return [
        f"{on_one_line(row.file)}, row {row.row}: {words.one_line(row.answer)}" for row in examples
    ]


def _decision(decision: Decision) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname="synflaw", name="gate")
    reasons = "\n".join(map(visible, decision.reasons))
    if decision.exit_code:
        failure = ElementTree.SubElement(case, "failure", message=f"Gate: {decision.outcome}")
        failure.text = reasons
    ElementTree.SubElement(case, "system-out").text = "\n".join(map(visible, decision.notices))
    return case
