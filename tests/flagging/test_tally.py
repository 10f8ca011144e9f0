from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.findings.report import ExampleRow, Implicated
from synflaw_audit.flagging.tally import EXAMPLES, Tally
from synflaw_audit.records import FLAGGED

NAMES = ["answer-opening", "answer-template", "answer-duplicate"]


def flagged(checks: list[list[str]], start: int = 0) -> pa.RecordBatch:
    rows = [
        {
            "file": "a.jsonl",
            "row": start + n,
            "turn": n % 2,
            "question": "q",
            "answer": f"{start + n} " * 200,
            "checks": names,
            "template": None,
            "template_spans": [],
            "score": 1.0,
            "reason": "r",
        }
        for n, names in enumerate(checks)
    ]
    return pa.RecordBatch.from_pylist(rows, FLAGGED)


def tallied(*batches: pa.RecordBatch) -> Tally:
    tally = Tally()
    for batch in batches:
        tally.add(batch)
    return tally


@given(
    st.lists(st.lists(st.sampled_from(NAMES), unique=True, max_size=3), max_size=20),
    st.integers(0, 20),
)
def test_counts_and_first_rows_do_not_depend_on_the_batches(
    checks: list[list[str]], cut: int
) -> None:
    first, rest = flagged(checks[:cut]), flagged(checks[cut:], start=len(checks[:cut]))
    for tally in (tallied(first, rest), tallied(first).merged(tallied(rest))):
        for name in NAMES:
            rows = [n for n, names in enumerate(checks) if name in names]
            found = tally.of(name, 100)
            assert (found.records, found.share) == (len(rows), len(rows) / 100)
            assert [example.row for example in found.examples] == rows[:EXAMPLES]


def test_an_example_says_where_it_stands_and_how_it_begins_and_ends() -> None:
    found = tallied(flagged([["answer-opening"], ["answer-template"]])).of("answer-template", 4)
    excerpt = "1 " * 60 + " … " + "1 " * 40
    assert found == Implicated(1, 0.25, (ExampleRow("a.jsonl", 1, 1, excerpt),))
