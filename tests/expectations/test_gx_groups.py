"""A batch that fails, in the groups of a column."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from gx_helpers import template_share, validate

from synflaw_audit import audit
from synflaw_audit.expectations import evidence


@pytest.fixture(scope="module")
def mixed(templated: pd.DataFrame, natural: pd.DataFrame) -> pd.DataFrame:
    """Of one source all rows are format, of the other none; in no order."""
    both = pd.concat(
        [
            templated.head(150).assign(source="<b>made</b>"),
            natural.head(150).assign(source="written"),
        ]
    )
    return both.sample(frac=1.0, random_state=1, ignore_index=True)


def test_the_groups_are_those_of_the_audit(ephemeral: Any, mixed: pd.DataFrame) -> None:
    result = validate(ephemeral, mixed, [template_share(by="source")]).results[0]
    groups = result.result["details"]["groups"]
    assert (groups["by"], groups["check"], groups["limit"], groups["more"]) == (
        "source",
        "answer-template",
        0.2,
        0,
    )
    report = audit(mixed, by="source")
    assert report.groups is not None
    wanted = {group.name: group for group in report.groups.groups}
    for found in groups["groups"]:
        group = wanted.pop(found["name"])
        score = next(one for one in group.scores if one.name == "answer-template")
        assert (found["records"], found["score"]) == (group.records, score.score)
        assert found["stands_out"] is score.stands_out
    assert wanted == {}
    made, written = groups["groups"]
    assert (made["name"], made["flagged_share"]) == ("<b>made</b>", pytest.approx(1.0, abs=0.05))
    assert written["flagged_share"] < 0.1
    html = str(evidence.fragment(result))
    assert "By source" in html
    assert "&lt;b&gt;made&lt;/b&gt;" in html
    assert "<b>made" not in html


def test_a_batch_that_passes_is_not_grouped(ephemeral: Any, natural: pd.DataFrame) -> None:
    frame = natural.head(150).assign(source="written")
    result = validate(ephemeral, frame, [template_share(by="source")]).results[0]
    assert result.success
    assert "groups" not in result.result["details"]


@pytest.mark.parametrize("limit", [0.2, 1.0])
def test_a_column_that_is_not_there_is_an_error(
    ephemeral: Any, templated: pd.DataFrame, limit: float
) -> None:
    result = validate(ephemeral, templated.head(150), [template_share(limit, by="sauce")])
    assert not result.success
    assert "no column 'sauce'" in result.results[0].exception_info["exception_message"]


def test_values_that_are_excluded_name_no_group(ephemeral: Any, mixed: pd.DataFrame) -> None:
    asked = {"result_format": "SUMMARY", "exclude_unexpected_values": True}
    result = validate(ephemeral, mixed, [template_share(by="source")], result_format=asked)
    assert "groups" not in result.results[0].result["details"]
