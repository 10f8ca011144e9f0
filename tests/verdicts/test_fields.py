"""The reasoning and the rejected answers, judged beside the answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import validate

import synflaw_audit
from synflaw_audit.allowed import Allowances
from synflaw_audit.findings.report import Report, schema
from synflaw_audit.records import record_batch
from synflaw_audit.report.markdown import render
from synflaw_audit.sample.fields import FieldSketcher, merged_fields
from synflaw_audit.sample.sketch import EMPTY
from synflaw_audit.verdicts.fields import differences
from synflaw_audit.verdicts.gate import decide
from synflaw_audit.verdicts.policy import Policy

OPENING = "Certainly! Here is the answer that you asked for, in full: "


@pytest.fixture(scope="module")
def rows(natural: pd.DataFrame) -> pd.DataFrame:
    return natural[:300]


def test_templated_reasoning_fails_by_itself(rows: pd.DataFrame) -> None:
    thoughts = [
        f"Okay, so the user wants to know. Let me think. {a} Wait, let me double-check."
        for a in rows["answer"][::-1]
    ]
    report = synflaw_audit.audit(rows.assign(reasoning=thoughts))
    assert report.verdict != "fail"
    (field,) = report.fields
    assert (field.name, field.records, field.verdict) == ("reasoning", 300, "fail")
    assert field.differences == ()
    assert "answer-template" in {f.name for f in field.checks if f.verdict == "fail"}
    assert "question-template" not in {f.name for f in field.checks}
    decision = decide(report)
    assert decision.outcome == "fail"
    assert decision.reasons[0].startswith("The reasoning, audited by itself, fails: SF101")
    assert decide(report, Policy(reasoning="warn")).outcome == "pass"
    validate(json.loads(report.to_json()), schema())
    assert Report.from_json(report.to_json()).fields == report.fields
    assert "reasoning" in render(report)


@pytest.mark.parametrize("side", ["chosen", "rejected"])
def test_whether_the_format_is_what_is_preferred(rows: pd.DataFrame, side: str) -> None:
    plain = {"chosen": rows["answer"].tolist(), "rejected": rows["answer"][::-1].tolist()}
    plain[side] = [OPENING + answer for answer in plain[side]]
    report = synflaw_audit.audit(pd.DataFrame({"prompt": rows["question"], **plain}))
    (field,) = report.fields
    assert (field.name, field.records) == ("rejected", 300)
    template = next(d for d in field.differences if d.name == "answer-template")
    if side == "chosen":
        assert template.low > 0.8
        assert report.verdict == "fail"
        told = " ".join(decide(report).notices)
        assert "The preferred answers have more format than the rejected ones: answer-" in told
    else:
        assert template.high < -0.8
        assert (report.verdict, field.verdict) == ("pass", "fail")
        assert decide(report).outcome == "pass"


def test_without_such_fields_nothing_is_said(rows: pd.DataFrame) -> None:
    assert synflaw_audit.audit(rows).fields == ()


def finding(score: float, low: float, high: float, name: str = "a") -> Any:
    class Scored:
        verdict = "pass"

    one = Scored()
    one.score, one.low, one.high, one.name = score, low, high, name  # type: ignore[attr-defined]
    return one


scores = st.tuples(*[st.floats(0, 1)] * 3).map(sorted)


@given(scores, scores)
def test_a_difference_lies_in_its_interval(one: Sequence[float], other: Sequence[float]) -> None:
    low, score, high = one
    (found,) = differences([finding(score, low, high)], [finding(other[1], other[0], other[2])])
    assert -1 <= found.low <= found.value <= found.high <= 1
    (back,) = differences([finding(other[1], other[0], other[2])], [finding(score, low, high)])
    assert (back.value, back.low, back.high) == pytest.approx(
        (-found.value, -found.high, -found.low)
    )


def test_parts_of_a_corpus_have_the_fields_of_the_whole() -> None:
    texts = [f"thought {n}" if n % 3 else None for n in range(40)]
    columns = {"file": ["f"] * 40, "row": range(40), "turn": [0] * 40}
    batch = record_batch(
        {**columns, "question": ["q"] * 40, "answer": ["a"] * 40, "reasoning": texts}
    )

    def sketched(*batches: Any) -> Any:
        sketcher = FieldSketcher(EMPTY, Allowances())
        for each in batches:
            sketcher.add(each)
        return sketcher.sketches()

    whole = sketched(batch)
    merged = merged_fields(sketched(batch[:17]), sketched(batch[17:]))
    assert set(whole) == set(merged) == {"reasoning"}
    assert whole["reasoning"].records == merged["reasoning"].records == 26
    assert sorted(whole["reasoning"].answer.to_pylist()) == sorted(
        merged["reasoning"].answer.to_pylist()
    )
