"""Every check's examples, run as tests: a definition whose examples fail is not shipped."""

import pandas as pd
import pytest

from synflaw_audit import audit
from synflaw_audit.verdicts.catalogue import Check, Example, load_checks

EXAMPLES = [
    pytest.param(check, example, id=f"{check.name}-{example.expect}-{number}")
    for check in load_checks()
    for number, example in enumerate(check.examples, 1)
]


@pytest.mark.parametrize(("check", "example"), EXAMPLES)
def test_example(check: Check, example: Example) -> None:
    rows, reference = (
        pd.DataFrame([(r.question, r.answer) for r in side], columns=["question", "answer"])
        for side in (example.rows, example.reference)
    )
    report = audit(rows, checks=[check], reference=None if reference.empty else reference)
    (finding,) = report.checks
    needed = example.min_records or check.min_records
    judged = "undecided"
    if len(rows) >= needed:
        judged = "pass"
        if finding.score > check.warn_above:
            judged = "warn"
        if finding.score > check.fail_above:
            judged = "fail"
    assert judged == example.expect, f"scored {finding.score:.3f}"
