from __future__ import annotations

import io
from typing import Any, get_args

import jsonschema
import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import HOSTILE, finding, hostile_report, report, what_if
from rich.console import Console

from synflaw_audit.errors import InputError
from synflaw_audit.findings.finding import Action, Advice, Status
from synflaw_audit.findings.report import (
    Dataset,
    ExampleRow,
    Finding,
    Flagged,
    Implicated,
    MarkedText,
    Report,
    Risk,
    ScatterPlot,
    TemplateSummary,
    Variant,
    WhatIf,
    schema,
)
from synflaw_audit.records import FLAGGED
from synflaw_audit.report import render_html, render_markdown
from synflaw_audit.report.explain import findings_page

TEXT = st.text(max_size=20)
FRACTION = st.floats(0, 1)
COUNT = st.integers(0, 2**53)
VERDICT = st.sampled_from(["pass", "warn", "fail", "undecided"])
JSON = st.recursive(
    st.none() | st.booleans() | COUNT | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
RISK = st.builds(Risk, FRACTION, FRACTION, FRACTION, TEXT)
SPANS = st.lists(st.tuples(COUNT, COUNT), max_size=2).map(tuple)
EXAMPLES = st.lists(st.builds(ExampleRow, TEXT, COUNT, COUNT, TEXT, SPANS), max_size=2).map(tuple)
FINDINGS = st.lists(
    st.builds(
        Finding,
        code=st.from_regex(r"SF[0-9]{3}", fullmatch=True),
        name=TEXT,
        title=TEXT,
        score=FRACTION,
        low=FRACTION,
        high=FRACTION,
        verdict=VERDICT,
        warn_above=FRACTION,
        fail_above=FRACTION,
        records=COUNT,
        observed=st.dictionaries(TEXT, JSON, max_size=3),
        rows=COUNT,
        flagged=st.none() | st.builds(Implicated, COUNT, FRACTION, EXAMPLES),
        risk_share=st.none() | FRACTION,
        why=TEXT,
        advice=st.lists(
            st.builds(Advice, st.sampled_from(get_args(Action)), TEXT.map("do {}".format)),
            max_size=2,
        ).map(tuple),
        status=st.sampled_from(get_args(Status)),
    ),
    max_size=3,
).map(tuple)
PLACES = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), max_size=3).map(
    lambda places: " ".join(f"{x},{y}" for x, y in places)
)
REPORTS = st.builds(
    Report,
    dataset=st.builds(
        Dataset,
        files=st.lists(TEXT, max_size=3).map(tuple),
        records=COUNT,
        rejected=COUNT,
        schema=st.dictionaries(TEXT, TEXT, max_size=3),
        tokens=COUNT,
    ),
    verdict=VERDICT,
    risk=RISK,
    checks=FINDINGS,
    templates=st.lists(
        st.builds(
            TemplateSummary,
            id=TEXT,
            pattern=TEXT,
            share=FRACTION,
            records=COUNT,
            examples=st.lists(st.builds(MarkedText, TEXT, SPANS), max_size=2).map(tuple),
            kind=st.sampled_from(["template", "family"]),
            variants=st.lists(st.builds(Variant, TEXT, FRACTION, COUNT), max_size=2).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    flagged_summary=st.builds(Flagged, COUNT, FRACTION),
    config=st.dictionaries(TEXT, JSON, max_size=3),
    versions=st.dictionaries(TEXT, TEXT, max_size=3),
    seconds=st.dictionaries(TEXT, st.floats(0, 1e6), max_size=3).map(lambda s: s | {"total": 1.0}),
    picture=st.none() | st.builds(ScatterPlot, PLACES, PLACES),
    what_if_flagged=st.none()
    | st.builds(
        WhatIf, st.lists(TEXT, max_size=2).map(tuple), COUNT, COUNT, RISK, RISK, VERDICT, FINDINGS
    ),
    schema_version=st.just(1),
    _flagged=st.none(),
    _what_if=st.none(),
)
VALIDATOR = jsonschema.Draft202012Validator(schema())


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@given(REPORTS)
def test_every_report_is_valid_and_comes_back_from_json(made: Report) -> None:
    text = made.to_json()
    VALIDATOR.validate(orjson.loads(text))
    assert Report.from_json(text) == made
    assert Report.from_json(text).to_json() == text


@given(REPORTS)
def test_every_report_can_be_rendered(made: Report) -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(findings_page(made))
    for text in (render_markdown(made), render_html(made), out.getvalue()):
        assert text.encode()
        assert "\x00" not in text


def walk(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """Every key of every object in the JSON form that the schema closes."""
    open_ends = {"schema", "config", "versions", "seconds", "observed"}
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            if key not in open_ends:
                yield from walk(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from walk(inner, (*path, index))


@pytest.mark.parametrize("path", list(walk(report().to_dict())), ids=str)
def test_the_schema_needs_every_key_and_knows_no_other(path: tuple[Any, ...]) -> None:
    for change in ("remove", "rename"):
        data = orjson.loads(report().to_json())
        inside = data
        for step in path[:-1]:
            inside = inside[step]
        value = inside.pop(path[-1])
        if change == "rename":
            inside[path[-1]] = value
            inside["another"] = value
        assert not VALIDATOR.is_valid(data)


@pytest.mark.parametrize(
    ("key", "wrong"),
    [("verdict", "failed"), ("risk", {"score": 1.5, "low": 0, "high": 1, "basis": ""})],
)
def test_the_schema_bounds_values(key: str, wrong: object) -> None:
    assert not VALIDATOR.is_valid(report().to_dict() | {key: wrong})


def test_numbers_of_numpy_are_numbers() -> None:
    made = report(checks=(finding(score=np.float64(0.25), observed={"n": np.int64(3)}),))
    data = orjson.loads(made.to_json())
    assert data["checks"][0]["score"] == 0.25
    assert data["checks"][0]["observed"] == {"n": 3}
    assert "0.25" in render_html(made)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "schema_version is None"),
        ('{"schema_version": 2}', "schema_version is 2, it must be 1"),
        ('{"schema_version": 1}', "'dataset' is missing"),
        (report().to_json().replace('"records": 500', '"records": "500"'), "templates: Expected"),
    ],
)
def test_what_is_no_report_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Report.from_json(text)


def test_flagged_rows_are_a_data_frame() -> None:
    rows = pa.Table.from_pylist(
        [
            {
                "file": "a",
                "row": 3,
                "turn": 0,
                "question": "q",
                "answer": "a b",
                "checks": ["answer-template"],
                "template": "A1",
                "template_spans": [{"start": 0, "end": 1}],
                "score": 0.5,
                "reason": "follows A1",
            }
        ],
        FLAGGED,
    )
    made = report(_flagged=lambda: rows)
    assert list(made.flagged().columns) == FLAGGED.names
    assert made.flagged()["row"].tolist() == [3]
    assert made == report()
    with pytest.raises(InputError, match=r"flagged\.parquet"):
        Report.from_json(made.to_json()).flagged()


def test_what_if_is_answered_from_json_only_if_it_was_asked_before() -> None:
    asked = Report.from_json(report().to_json())
    assert asked.what_if() == asked.what_if("flagged") == what_if()
    for unasked in ({"drop": "SF101"}, {"checks": ["SF101"]}):
        with pytest.raises(InputError, match="--what-if"):
            asked.what_if(**unasked)
    with pytest.raises(InputError, match="--what-if"):
        Report.from_json(report(what_if_flagged=None).to_json()).what_if()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_survives_json(text: str) -> None:
    made = hostile_report(text)
    assert Report.from_json(made.to_json()) == made
