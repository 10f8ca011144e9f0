"""Every check's examples, run as tests: a definition whose examples fail is not shipped."""

from dataclasses import replace

import pandas as pd
import pytest

from synflaw_audit import Report, audit
from synflaw_audit.verdicts.catalogue import Check, CheckExample, load_checks, load_kinds

COLUMNS = ["question", "answer"]
EXAMPLES = [
    pytest.param(check, example, id=f"{check.name}-{example.expect}-{number}")
    for check in load_checks()
    for number, example in enumerate(check.examples, 1)
]


@pytest.mark.parametrize(("check", "example"), EXAMPLES)
def test_example(check: Check, example: CheckExample) -> None:
    rows, reference = (
        pd.DataFrame([(r.question, r.answer) for r in side], columns=COLUMNS)
        for side in (example.rows, example.reference)
    )
    report = audit(rows, checks=[check], reference=None if reference.empty else reference)
    judged = "undecided"
    if len(rows) >= (example.min_records or check.min_records):
        judged = verdict(check, report)
    assert judged == example.expect, f"scored {report.checks[0].score:.3f}"


def verdict(check: Check, report: Report) -> str:
    """The check's verdict by its limits, however few the records."""
    (finding,) = report.checks
    if finding.score > check.fail_above:
        return "fail"
    return "warn" if finding.score > check.warn_above else "pass"


MARKED = [
    pytest.param(check, example, id=f"{check.name}-{number}")
    for check in load_checks()
    for number, example in enumerate(check.examples, 1)
    if any(row.format for row in example.rows)
]


@pytest.mark.parametrize(("check", "example"), MARKED)
def test_marks_the_format_and_nothing_else(check: Check, example: CheckExample) -> None:
    rows = pd.DataFrame([(r.question, r.answer) for r in example.rows], columns=COLUMNS)
    flagged = audit(rows, checks=[replace(check, min_records=1)]).flagged()
    marked: dict[int, tuple[str, ...]] = dict.fromkeys(range(len(rows)), ())
    for row in flagged.itertuples():
        spans = ((span["start"], span["end"]) for span in row.template_spans)
        marked[row.row] = tuple(row.answer[start:end] for start, end in spans)
    assert marked == {number: row.format for number, row in enumerate(example.rows)}


def test_every_check_that_marks_rows_has_such_an_example() -> None:
    marking = {"answer-template", "answer-opening", "answer-closing", "answer-duplicate"}
    assert {param.values[0].name for param in MARKED} == marking


KINDS = load_kinds()
FALSE_POSITIVES = [
    pytest.param(check, kind, id=f"{check.name}-{kind}")
    for check in load_checks()
    for kind in KINDS
]


@pytest.mark.parametrize(("check", "kind"), FALSE_POSITIVES)
def test_known_false_positives_are_those_that_there_are(check: Check, kind: str) -> None:
    rows = pd.DataFrame([(r.question, r.answer) for r in KINDS[kind].rows], columns=COLUMNS)
    found = verdict(check, audit(rows, checks=[replace(check, min_records=1)]))
    assert found == check.known_false_positives.get(kind, "pass")
