"""The page marks the words that stand in flagged.parquet, and a template is what its rows share."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

import synflaw_audit
from synflaw_audit.findings.report import Report
from synflaw_audit.report import render_html, words
from synflaw_audit.untrusted import visible

OPENINGS = ["Certainly! ", "Of course! ", "Absolutely! ", "Sure thing! "]
BODY = "Here is a detailed answer to your question. "


@pytest.fixture(scope="module")
def audited(natural: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    """A corpus whose answers open in four ways, most of them followed by one sentence."""
    answers = [
        OPENINGS[n % 4] + (BODY if n % 20 else "") + a + (" Roughly 5." if n % 9 == 0 else "")
        for n, a in enumerate(natural["answer"])
    ]
    folder = tmp_path_factory.mktemp("audit")
    return synflaw_audit.audit(natural.assign(answer=answers), out=folder), folder


def marked(html: str) -> list[list[str]]:
    """What is marked in each quoted example of the page."""
    quoted = re.findall(r"<blockquote[^>]*>(.*?)</blockquote>", html, re.DOTALL)
    return [[unescape(m) for m in re.findall(r"<mark>(.*?)</mark>", q, re.DOTALL)] for q in quoted]


def test_examples_are_marked_as_in_flagged_parquet(audited: tuple[Report, Path]) -> None:
    report, folder = audited
    rows = pd.read_parquet(folder / "flagged.parquet").set_index("row")
    spans = {
        answer: [(s["start"], s["end"]) for s in found]
        for answer, found in rows[["answer", "template_spans"]].itertuples(index=False)
    }
    examples = [e for t in report.templates if t.id.startswith("A") for e in t.examples]
    assert examples
    for example in examples:
        assert list(example.spans) == spans[example.text]
    for finding in report.checks:
        for row in finding.flagged.examples if finding.flagged else ():
            answer = rows.loc[row.row, "answer"]
            told = [row.answer[a:b] for a, b in row.spans]
            assert " ".join(told) in " ".join(answer[a:b] for a, b in spans[answer])


def test_the_page_marks_the_examples_spans_and_nothing_else(audited: tuple[Report, Path]) -> None:
    report, _ = audited
    examples = [example for template in report.templates for example in template.examples]
    told = [[visible(e.text[a:b]) for a, b in e.spans] for e in examples]
    assert marked(render_html(report)) == told


def test_a_pattern_names_what_nearly_all_rows_share(audited: tuple[Report, Path]) -> None:
    report, folder = audited
    rows = pd.read_parquet(folder / "flagged.parquet")
    first = report.templates[0]
    assert first.pattern == "<*> Here is a detailed answer to your question. <*>"
    assert first.kind == "template"
    followers = rows[rows.template == first.id]
    assert followers.answer.str.contains(BODY.strip(), regex=False).mean() >= 0.9
    assert [v.pattern for v in first.variants[:4]] == sorted(
        (f"{opening}{BODY}<*>" for opening in OPENINGS),
        key=lambda text: (-sum(a.startswith(text[:20]) for a in followers.answer), text),
    )
    for variant in first.variants[:4]:
        true = followers.answer.str.startswith(variant.pattern.removesuffix(" <*>")).sum()
        assert variant.records == pytest.approx(true, abs=0.02 * len(rows))


def test_wordings_that_share_nothing_are_a_family(natural: pd.DataFrame) -> None:
    openings = [
        "Certainly, that is easy to say. ",
        "Let me walk you through it step by step. ",
        "Below is a thorough answer to the query. ",
    ]
    closing = " I hope that this clears things up for you."
    answers = [
        (openings[n % 3] if n % 4 else "") + a + (closing if n % 4 != 1 else "")
        for n, a in enumerate(natural["answer"])
    ]
    report = synflaw_audit.audit(natural.assign(answer=answers))
    first = report.templates[0]
    assert (first.kind, first.pattern) == ("family", "<*>")
    assert len(first.variants) >= 6
    assert sum(variant.share for variant in first.variants) <= 1
    assert "one of the wordings like" in report.flagged()["reason"][0]
    # A bare slot would say nothing.
    assert words.named(first) == f"such as {first.variants[0].pattern}"
