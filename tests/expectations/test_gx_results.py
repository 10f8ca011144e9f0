from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from great_expectations.expectations.row_conditions import Column
from gx_helpers import template_share, validate

from synflaw_audit import audit
from synflaw_audit import expectations as synflaw

COUNTS = {"element_count", "missing_count", "missing_percent"}
UNEXPECTED = {"unexpected_count", "unexpected_percent"} | {
    f"unexpected_percent_{of}" for of in ("total", "nonmissing")
}
PARTIAL = {*COUNTS, *UNEXPECTED, "partial_unexpected_list"}
SUMMARY = {*PARTIAL, "partial_unexpected_index_list", "flagged_examples"}
COMPLETE = {*SUMMARY, "unexpected_list", "unexpected_index_list", "unexpected_index_query"}


def result_at(context: Any, frame: pd.DataFrame, result_format: Any) -> Any:
    expectations = [template_share()]
    return validate(context, frame, expectations, result_format=result_format).results[0]


@pytest.mark.parametrize(
    ("result_format", "keys"), [("BASIC", PARTIAL), ("SUMMARY", SUMMARY), ("COMPLETE", COMPLETE)]
)
def test_each_result_format_holds_what_it_says(
    ephemeral: Any, templated: Any, result_format: str, keys: set[str]
) -> None:
    result = result_at(ephemeral, templated, result_format)
    assert set(result.result) == {"observed_value", "details", *keys}
    assert len(result.result["partial_unexpected_list"]) == 20


def test_boolean_only_holds_nothing_but_leads_to_the_audit(ephemeral: Any, templated: Any) -> None:
    result = result_at(ephemeral, templated, "BOOLEAN_ONLY")
    assert (result.success, result.result) == (False, {})
    assert result.meta["synflaw_audit"]


def test_complete_names_every_row_by_the_index_columns(ephemeral: Any, templated: Any) -> None:
    result_format = {
        "result_format": "COMPLETE",
        "unexpected_index_column_names": ["id"],
        "partial_unexpected_count": 3,
        "include_unexpected_rows": True,
    }
    result = result_at(ephemeral, templated, result_format).result
    flagged = audit(templated).flagged()
    wanted = [templated["id"][row] for row in flagged[has_check(flagged)]["row"]]
    assert result["unexpected_index_list"] == [{"id": key} for key in wanted]
    assert result["unexpected_index_column_names"] == ["id"]
    assert len(result["partial_unexpected_index_list"]) == 3
    assert result["unexpected_count"] == len(result["unexpected_list"]) == len(wanted)
    pd.testing.assert_frame_equal(
        result["unexpected_rows"], templated[templated["id"].isin(wanted)].head(3)
    )
    found = eval(result["unexpected_index_query"], {"df": templated})  # noqa: S307 - made above
    assert found["id"].tolist() == wanted
    first = result["unexpected_list"][0]
    assert first == {
        "question": templated["question"][flagged["row"][0]],
        "answer": templated["answer"][flagged["row"][0]],
    }


def has_check(flagged: pd.DataFrame) -> Any:
    return flagged["checks"].map(lambda checks: "answer-template" in checks)


def test_without_index_columns_rows_are_numbered(ephemeral: Any, templated: Any) -> None:
    result = result_at(ephemeral, templated, "COMPLETE").result
    flagged = audit(templated).flagged()
    assert result["unexpected_index_list"] == flagged[has_check(flagged)]["row"].tolist()


def test_a_missing_index_column_is_an_error_of_the_expectation(
    ephemeral: Any, templated: Any
) -> None:
    result_format = {"result_format": "COMPLETE", "unexpected_index_column_names": ["key"]}
    result = result_at(ephemeral, templated, result_format)
    assert not result.success
    assert "no column 'key'" in result.exception_info["exception_message"]


def test_the_row_condition_chooses_the_rows(
    ephemeral: Any, templated: pd.DataFrame, natural: pd.DataFrame
) -> None:
    both = pd.concat(
        [templated.assign(kind="made"), natural.assign(kind="written")], ignore_index=True
    )
    only = [
        template_share(row_condition=Column("kind") == "made"),
        template_share(row_condition=Column("kind") == "written"),
    ]
    made, written = validate(ephemeral, both, only).results
    assert (made.success, written.success) == (False, True)
    assert made.result["element_count"] == len(templated)
    assert made.result["observed_value"] == audit_score(templated)
    assert written.result["observed_value"] == audit_score(natural)


def audit_score(frame: pd.DataFrame) -> float:
    return next(c.score for c in audit(frame).checks if c.name == "answer-template")


def test_the_templates_that_were_found_are_listed(ephemeral: Any, templated: Any) -> None:
    details = result_at(ephemeral, templated, "BASIC").result["details"]
    report = audit(templated)
    known = {template.id: template.pattern for template in report.templates}
    assert details["templates"]
    for template in details["templates"]:
        assert known[template["id"]] == template["pattern"]
    assert details["low"] <= 1.0
    assert details["limits"] == {"answer-template": 0.2}


def test_no_text_of_the_batch_is_stored_where_values_are_excluded(
    ephemeral: Any, templated: pd.DataFrame
) -> None:
    frame = templated.assign(answer=templated["answer"] + " secret-" + templated["id"])
    asked = {
        "result_format": "COMPLETE",
        "unexpected_index_column_names": ["id"],
        "exclude_unexpected_values": True,
        "include_unexpected_rows": True,
    }
    duplicates = synflaw.ExpectSynflawAnswerDuplicateScoreToBeAtMost(max_score=0.0)
    expectations = [template_share(), duplicates]
    for result in validate(ephemeral, frame, expectations, result_format=asked).results:
        stored = json.dumps(result.to_json_dict())
        assert "secret" not in stored
        assert not any(text in stored for text in frame["question"])
        assert "step by step" not in stored
        if result.result.get("unexpected_count"):
            assert result.result["unexpected_index_list"][0].keys() == {"id"}


def test_rows_of_pandas_are_named_by_its_own_index(ephemeral: Any, templated: pd.DataFrame) -> None:
    frame = templated.set_axis([f"label {n}" for n in range(len(templated))], axis=0)
    half = frame.assign(half=[n % 2 for n in range(len(frame))])
    odd = [template_share(row_condition=Column("half") == 1)]
    result = validate(ephemeral, half, odd, result_format="COMPLETE").results[0].result
    labels = result["unexpected_index_list"]
    assert len(labels) > 50
    assert half.loc[labels, "half"].unique().tolist() == [1]
    found = eval(result["unexpected_index_query"], {"df": half})  # noqa: S307 - made above
    assert found["answer"].tolist() == [row["answer"] for row in result["unexpected_list"]]


def test_the_worst_rows_are_shown_first(ephemeral: Any, templated: pd.DataFrame) -> None:
    examples = result_at(ephemeral, templated, "SUMMARY").result["flagged_examples"]
    flagged = audit(templated).flagged()
    scores = sorted(flagged[has_check(flagged)]["score"], reverse=True)
    assert [row["score"] for row in examples] == pytest.approx(scores[: len(examples)], abs=0.2)
    assert [row["score"] for row in examples] == sorted(
        (row["score"] for row in examples), reverse=True
    )


LABELS = {
    "text": [f"label {n}" for n in range(150)],
    "times": pd.date_range("2026", periods=150),
    "halves": [n / 2 for n in range(150)],
    "pairs": pd.MultiIndex.from_product([["a", "b", "c"], range(50)]),
    "one label": [0] * 150,
    "none": [None] * 150,
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_the_query_for_pandas_finds_the_rows_whatever_the_index(
    ephemeral: Any, templated: pd.DataFrame, labels: Any
) -> None:
    frame = templated.head(150).assign(half=[n % 2 for n in range(150)]).set_axis(labels, axis=0)
    every = [template_share(), template_share(row_condition=Column("half") == 1)]
    for found in validate(ephemeral, frame, every, result_format="COMPLETE").results:
        result = found.result
        assert len(result["unexpected_index_list"]) == result["unexpected_count"] > 50
        json.dumps(found.to_json_dict())
        if query := result.get("unexpected_index_query"):
            rows = eval(query, {"df": frame})  # noqa: S307 - made above
            assert rows["answer"].tolist() == [row["answer"] for row in result["unexpected_list"]]
        else:  # there is none where labels cannot be typed and rows are counted among some
            assert found.expectation_config.kwargs["row_condition"]


def test_index_columns_are_a_list(ephemeral: Any, templated: pd.DataFrame) -> None:
    result_format = {"result_format": "COMPLETE", "unexpected_index_column_names": "id"}
    result = result_at(ephemeral, templated.head(150), result_format)
    assert not result.success
    assert "not a list: write ['id']" in str(result.exception_info)


@pytest.mark.filterwarnings("ignore:.*deprecated as of GX Core 1.9.0:DeprecationWarning")
@pytest.mark.parametrize("condition", ["no_such > 3", "id =="])
def test_a_row_condition_that_is_none_is_named(
    ephemeral: Any, templated: pd.DataFrame, condition: str
) -> None:
    only = template_share(row_condition=condition, condition_parser="pandas")
    result = validate(ephemeral, templated.head(60), [only]).results[0]
    assert not result.success
    assert f"row_condition ({condition}): " in result.exception_info["exception_message"]


@pytest.mark.parametrize("unread", [None, pd.Timestamp("2024-01-01")])
def test_a_batch_that_was_hardly_read_does_not_pass(
    ephemeral: Any, natural: pd.DataFrame, unread: Any
) -> None:
    frame = natural.astype({"answer": object})
    frame.loc[frame.index[:372], "answer"] = unread
    lenient = {"allow_undecided": True}
    expectations = [
        template_share(1.0, **lenient),
        template_share(1.0, max_rejected_share=1.0, **lenient),
    ]
    refused, allowed = validate(ephemeral, frame, expectations).results
    assert (refused.success, allowed.success) == (False, True)
    for found in (refused, allowed):
        assert found.result["element_count"] == 400
        assert found.result["missing_count"] == 372
        assert found.result["missing_percent"] == pytest.approx(93.0)
        assert "372 of 400 rows (93.0%) could not be read" in found.result["details"]["message"]
    assert "more than max_rejected_share=0.1" in refused.result["details"]["message"]


@pytest.mark.parametrize("allowed", [False, True])
def test_a_batch_without_rows_is_undecided(
    ephemeral: Any, natural: pd.DataFrame, allowed: bool
) -> None:
    expectations = [
        template_share(0.5, allow_undecided=allowed),
        synflaw.ExpectSynflawFormatUniformityToBeWithinLimits.recommended(allow_undecided=allowed),
        synflaw.ExpectSynflawPatternOverfittingRiskToBeAtMost(
            max_score=0.5, allow_undecided=allowed
        ),
    ]
    for found in validate(ephemeral, natural.head(0), expectations).results:
        assert found.success is allowed
        assert found.result["observed_value"] is None
        assert found.result["details"]["verdict"] == "undecided"
        assert "no rows to read" in found.result["details"]["message"]


def test_what_is_undecided_has_no_score(ephemeral: Any, templated: pd.DataFrame) -> None:
    found = validate(ephemeral, templated.head(5), [template_share(allow_undecided=True)])
    assert found.success
    assert found.results[0].result["observed_value"] is None
    assert found.results[0].result["details"]["verdict"] == "undecided"


def test_messages_speak_of_the_arguments_of_expectations(ephemeral: Any) -> None:
    frame = pd.DataFrame({"x": ["a"] * 60, "y": ["b"] * 60})
    found = validate(ephemeral, frame, [template_share()]).results[0]
    message = found.exception_info["exception_message"]
    assert "the arguments question= and answer=" in message
    assert "--" not in message
