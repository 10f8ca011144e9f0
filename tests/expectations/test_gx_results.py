from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from great_expectations.expectations.row_conditions import Column
from gx_helpers import template_share, validate

from synflaw_audit import audit

PARTIAL = {"unexpected_count", "unexpected_percent", "partial_unexpected_list"}
SUMMARY = {*PARTIAL, "partial_unexpected_index_list", "flagged_examples"}
COMPLETE = {*SUMMARY, "unexpected_list", "unexpected_index_list"}


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
    assert set(result.result) == {"observed_value", "element_count", "details", *keys}
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
    assert [index["id"] for index in result["unexpected_index_list"]] == wanted
    assert result["unexpected_index_column_names"] == ["id"]
    assert len(result["partial_unexpected_index_list"]) == 3
    assert result["unexpected_count"] == len(result["unexpected_list"]) == len(wanted)
    assert len(result["unexpected_rows"]) == len(wanted)
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
