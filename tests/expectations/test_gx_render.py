from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from great_expectations.expectations.row_conditions import Column
from gx_helpers import checkpoint_over, pandas_batch, template_share

from synflaw_audit import expectations as synflaw

HOSTILE = (
    "<script>alert('synflaw')</script><img src=x onerror=alert(1)></td>{{7*7}} $PARAMETER ${x}"
)


class Tags(HTMLParser):
    """The tags and handlers of a page, and its visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self.text: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside.append(tag)
        self.handlers += [f"{tag} {name}" for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1] == "script":
            self.scripts.append(data)
        else:
            self.text.append(data)


def pages(project: Any, frame: pd.DataFrame, expectations: list[Any]) -> str:
    """All of Data Docs' pages about one validation and its suite."""
    checkpoint = checkpoint_over(
        project, pandas_batch(project), expectations, result_format="COMPLETE"
    )
    checkpoint.run(batch_parameters={"dataframe": frame})
    project.build_data_docs()
    site = Path(project.root_directory) / "uncommitted/data_docs/local_site"
    found = [*site.glob("validations/**/*.html"), *site.glob("expectations/**/*.html")]
    assert len(found) == 2
    return "\n".join(page.read_text() for page in found)


@pytest.fixture
def hostile(templated: pd.DataFrame) -> pd.DataFrame:
    return templated.assign(
        question=HOSTILE + templated["question"], answer=HOSTILE + templated["answer"]
    )


def test_nothing_of_the_data_is_markup(project: Any, hostile: pd.DataFrame) -> None:
    expectations = [
        template_share(),
        template_share(0.1, row_condition=Column("id") != HOSTILE),
        synflaw.ExpectSynflawAnswerOpeningScoreToBeAtMost(max_score=0.01),
        synflaw.ExpectSynflawQuestionTemplateScoreToBeAtMost(max_score=0.01),
        synflaw.ExpectSynflawFormatUniformityToBeWithinLimits.recommended(),
        synflaw.ExpectSynflawPatternOverfittingRiskToBeAtMost(max_score=0.1),
    ]
    tags = Tags()
    html = pages(project, hostile, expectations)
    tags.feed(html)
    assert not [script for script in tags.scripts if "synflaw" in script]
    assert "img onerror" not in tags.handlers
    text = "".join(tags.text)
    assert "<script>alert('synflaw')</script>" in text  # shown to the reader, as text
    assert "{{7*7}}" in text
    assert "$PARAMETER ${x}" in text


def test_a_column_name_is_not_markup_either(project: Any) -> None:
    frame = pd.DataFrame({HOSTILE: ["a"] * 60, "other": ["b"] * 60})
    tags = Tags()
    tags.feed(pages(project, frame, [template_share()]))
    assert not [script for script in tags.scripts if "synflaw" in script]
    assert "img onerror" not in tags.handlers


def test_the_page_shows_score_limit_templates_and_marked_rows(
    project: Any, templated: pd.DataFrame
) -> None:
    html = pages(project, templated, [template_share(0.2)])
    tags = Tags()
    tags.feed(html)
    text = " ".join("".join(tags.text).split())
    assert "SF101" in text
    assert "the score must be at most" in text
    assert "(95%: " in text
    assert "is above the limit 0.2" in text
    assert "flagged rows, format marked, the worst first" in text
    assert "the checkpoint writes these rows nowhere" in text
    fragment = html[html.index('<div class="synflaw-evidence"') :]
    fragment = fragment[: fragment.index("</details>")]
    assert "<mark>" in fragment
    assert "<details><summary" in fragment
    assert "http" not in fragment
    assert "<script" not in fragment


def test_a_failure_to_audit_is_told_without_a_traceback(project: Any) -> None:
    html = pages(project, pd.DataFrame({"x": ["a"] * 60}), [template_share()])
    assert "no question and answer found" in html
    assert "Traceback" not in html


def test_what_is_undecided_is_shown_as_undecided_and_unread_rows_are_named(
    project: Any, natural: pd.DataFrame
) -> None:
    few = natural.head(5).astype({"answer": object})
    few.loc[0, "answer"] = None
    text = " ".join(pages(project, few, [template_share()]).split())
    assert "undecided" in text
    assert "0.000" not in text
    assert "1 of 5 rows (20.0%) could not be read" in text


def test_a_batch_that_passes_tells_what_was_not_read(project: Any, natural: pd.DataFrame) -> None:
    frame = natural.head(150).astype({"answer": object})
    frame.loc[0, "answer"] = None
    html = pages(project, frame, [template_share(1.0)])
    assert "1 of 150 rows (0.7%) could not be read" in " ".join(html.split())


def test_what_shows_as_something_else_is_shown_as_it_is(
    project: Any, templated: pd.DataFrame
) -> None:
    frame = templated.head(150)
    frame = frame.assign(answer="\u202e" + frame["answer"], question="\x9b" + frame["question"])
    html = pages(project, frame, [template_share(), template_share(0.1, by="question")])
    assert "\u202e" not in html
    assert "\x9b" not in html
    assert "⟨U+202E⟩" in html


def test_renderers_stand_a_missing_result() -> None:
    cls = synflaw.ExpectSynflawAnswerTemplateScoreToBeAtMost
    assert cls._diagnostic_observed_value_renderer() == "--"
    assert cls._diagnostic_unexpected_statement_renderer() == []
    assert cls._diagnostic_unexpected_table_renderer() is None
    assert len(cls._prescriptive_renderer()) == 1


def test_the_bounds_of_the_risk_are_no_interval_of_95_percent(
    project: Any, templated: pd.DataFrame
) -> None:
    risk = synflaw.ExpectSynflawPatternOverfittingRiskToBeAtMost(max_score=0.01)
    tags = Tags()
    tags.feed(pages(project, templated, [risk]))
    text = " ".join("".join(tags.text).split())
    assert text.count("bounds that held for 90% of the corpora kept out of its fit") == 2
    assert "95%" not in text
