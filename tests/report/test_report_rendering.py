from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from reports import HOSTILE, finding, hostile_report, report, what_if
from rich.console import Console

from synflaw_audit.findings.report import (
    Dataset,
    Flagged,
    MarkedText,
    Report,
    Risk,
    ScatterPlot,
    TemplateSummary,
    Verdict,
)
from synflaw_audit.measures.picture import drawn
from synflaw_audit.measures.separability import Projection
from synflaw_audit.report import explanation, render_html, render_markdown, words
from synflaw_audit.report.explain import findings_page
from synflaw_audit.report.terminal import show
from synflaw_audit.untrusted import visible
from synflaw_audit.verdicts.catalogue import Status


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.values: list[str] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.values += [value or "" for _, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


PLAIN = report(
    verdict="fail",
    checks=(
        finding(verdict="fail", observed={"a": 1, "list": ["x"], "table": [{"b": 1, "share": 2}]}),
    ),
)


def terminal(made: Report, width: int = 100) -> str:
    """All that a terminal shows of a report: its summary and its findings explained."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system="truecolor")
    show(made, console)
    console.print(findings_page(made))
    return out.getvalue()


class TestHtml:
    def test_is_balanced_and_loads_nothing(self) -> None:
        page = Page(render_html(PLAIN))
        assert not page.unbalanced
        assert not page.open
        assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "base"}
        assert not page.attributes & {"src", "href", "srcset", "action", "data"}
        assert not re.search(r"url\(|@import|https?:", render_html(PLAIN))
        assert "default-src 'none'; style-src 'unsafe-inline'" in page.values

    @pytest.mark.parametrize("text", HOSTILE)
    def test_hostile_text_adds_neither_tags_nor_attributes(self, text: str) -> None:
        page, plain = Page(render_html(hostile_report(text))), Page(render_html(PLAIN))
        assert page.tags <= plain.tags | {"mark"}
        assert page.attributes == plain.attributes
        assert not page.unbalanced
        assert " ".join(visible(text).split()) in " ".join(page.text.split())

    @pytest.mark.parametrize("text", HOSTILE)
    def test_no_control_or_direction_character_is_passed_on(self, text: str) -> None:
        html = render_html(hostile_report(text))
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)

    def test_has_headings_in_order_and_headed_tables(self) -> None:
        html = render_html(PLAIN)
        assert re.findall(r"<h(\d)", html) == ["1", *["2"] * (html.count("<h2"))]
        assert "<th>" not in html
        assert all("aria-label" in svg for svg in re.findall(r'<svg[^>]*role="img"[^>]*>', html))
        assert '<html lang="en">' in html

    def test_says_when_the_risk_is_uncalibrated(self) -> None:
        badge = ">uncalibrated</span>"
        assert badge in render_html(report())
        fitted = Risk(0.1, 0.05, 0.2, "fitted on damage measured for 15 corpora")
        assert badge not in render_html(report(risk=fitted))

    def test_says_of_the_risk_that_its_bounds_are_no_interval_of_95_percent(self) -> None:
        one = report(risk=Risk(0.1, 0.05, 0.2, "fitted", level=0.8))
        out = io.StringIO()
        show(one, Console(file=out, width=500))
        said = "0.05 to 0.20, bounds that held for 80% of the corpora kept out of its fit"
        for page in (render_html(one), render_markdown(one), out.getvalue()):
            assert said in page

    def test_format_words_and_slots_are_told_apart(self) -> None:
        html = render_html(report())
        assert "<mark>The answer is </mark>42." in html
        assert ">&lt;*&gt;</span>" in html

    def test_is_bounded_whatever_the_corpus(self) -> None:
        template = TemplateSummary(
            "A1", "word " * 10_000, 0.5, 5, (MarkedText("x" * 100_000),) * 20
        )
        assert len(render_html(report(templates=(template,) * 400))) < 100_000


class TestMarkdown:
    @pytest.mark.parametrize("text", HOSTILE)
    def test_hostile_text_stays_text(self, text: str) -> None:
        # GitHub's dialect: tables, and raw HTML passed on, so that a tag would be seen.
        markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
        made, plain = hostile_report(text), PLAIN
        tokens, shape = (markdown.parse(render_markdown(each)) for each in (made, plain))
        inline = [child for token in tokens for child in token.children or []]
        assert {token.type for token in tokens} <= {token.type for token in shape}
        allowed = {"text", "code_inline", "strong_open", "strong_close", "softbreak"}
        assert {child.type for child in inline} <= allowed | {"text_special"}
        heads = [token for token in tokens if token.type == "heading_open"]
        assert len(heads) == sum(token.type == "heading_open" for token in shape)

    @pytest.mark.parametrize("text", HOSTILE)
    def test_rows_keep_their_cells(self, text: str) -> None:
        tokens = (
            MarkdownIt("commonmark").enable("table").parse(render_markdown(hostile_report(text)))
        )
        cells = sum(token.type == "td_open" for token in tokens)
        assert cells == 9 + 2 + 2

    def test_holds_what_the_page_holds(self) -> None:
        text = render_markdown(PLAIN)
        for part in ("SF101", "`The answer is <*>`", "50%", "`a.jsonl`", "uncalibrated", "2 rows"):
            assert part in text


class TestTerminal:
    @pytest.mark.parametrize("text", HOSTILE)
    @pytest.mark.parametrize("width", [40, 100])
    def test_hostile_text_is_printed_not_obeyed(self, text: str, width: int) -> None:
        out = terminal(hostile_report(text), width)
        # What remains after rich's own colours is nothing that a terminal acts on.
        plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", plain)
        assert "link=http" not in text or "[link=" in plain.replace("\n", "")

    def test_shows_verdict_scores_and_templates(self) -> None:
        out = re.sub(r"\x1b\[[0-9;]*m", "", terminal(PLAIN))
        for part in (
            "✗ fail",
            "SF101",
            "0.10",
            "0.20/0.40",
            "The answer is <*>",
            "a family",
            "Thus <*>",
            "2 rows",
        ):
            assert part in out


class TestWords:
    @given(st.text())
    def test_visible_text_is_not_changed_by_being_made_visible(self, text: str) -> None:
        assert visible(visible(text)) == visible(text)

    @pytest.mark.parametrize("text", ["नमस्ते क्‍ष", "می‌خواهم", "👩‍🔬", "日本語", "a\tb\nc"])
    def test_ordinary_text_is_left_alone(self, text: str) -> None:
        assert visible(text) == text

    @given(st.text(), st.integers(2, 50))
    def test_clipped_text_is_short_and_says_that_it_was_cut(self, text: str, size: int) -> None:
        clipped = words.clip(text, size)
        assert len(clipped) <= size
        assert clipped == text if len(text) <= size else clipped.endswith("…")

    @given(st.text(max_size=800), st.lists(st.integers(0, 800), max_size=6))
    def test_the_parts_of_an_example_are_a_stretch_of_it(self, text: str, ends: list[int]) -> None:
        bounds = sorted({min(end, len(text)) for end in ends})
        spans = tuple(zip(bounds[::2], bounds[1::2], strict=False))
        parts = words.marked_parts(MarkedText(text, spans))
        bare = "".join(part.text for part in parts).removeprefix("…").removesuffix("…")
        assert bare in visible(text) or "\r" in text
        assert len(visible(text)) > 400 or len(bare) >= min(len(text), 100) - 2
        marked = [part.text for part in parts if part.kind == "format"]
        assert marked == [visible(text[a:b]) for a, b in spans][: len(marked)] or (len(text) > 360)

    def test_format_words_are_found_at_the_end_of_a_long_answer(self) -> None:
        before = "Some thought. " * 100
        marked = MarkedText(f"{before}The answer is 7.", ((len(before), len(before) + 14),))
        parts = words.marked_parts(marked)
        assert [part.text for part in parts if part.kind == "format"] == ["The answer is "]

    @pytest.mark.parametrize(
        ("share", "shown"),
        [
            (0, "0.0%"),
            (0.0001, "<0.1%"),
            (0.0123, "1.2%"),
            (0.5, "50%"),
            (0.996, "99.6%"),
            (1, "100%"),
        ],
    )
    def test_percent(self, share: float, shown: str) -> None:
        assert words.percent(share) == shown

    def test_headlines_name_the_checks_and_the_share(self) -> None:
        failed = report(
            verdict="fail",
            checks=(finding("SF101", verdict="fail"), finding("SF102", verdict="warn")),
            flagged_summary=Flagged(250, 0.25),
        )
        assert words.headline(failed) == (
            "The format is too uniform: check-sf101 failed; 250 of 1,000 records (25%) flagged."
        )
        assert not words.remark(failed)

    def test_a_failure_that_only_warns_is_explained(self) -> None:
        warned = report(verdict="warn", checks=(finding(verdict="fail"),))
        assert "check-sf101" in words.headline(warned)
        assert "experimental" in words.remark(warned)
        for text in (render_html(warned), render_markdown(warned), terminal(warned)):
            assert "experimental" in text

    def test_no_verdict_on_too_few(self) -> None:
        few = report(verdict="undecided", dataset=Dataset((), 1, 0, {}, 9))
        assert words.headline(few) == "No check could decide on 1 record: too few."


class TestExplanation:
    """Every rendering says what, how sure, which rows, what it does, what to do, and the risk."""

    MADE = report(
        verdict="fail",
        checks=(
            finding("SF101", score=0.3, low=0.15, high=0.5, verdict="warn"),
            finding("SF102", verdict="pass", why="Never mind.", flagged=None, risk_share=None),
        ),
    )
    SAID = (
        "The score is 0.30, above 0.20, where it warns.",
        "It rests on a sample of 900 records of 1,000: with 95% confidence the score lies "
        "between 0.15 and 0.50. At the lower end it would pass, at the upper end fail: more rows "
        "could tell.",
        "It flags 120 records (12%). They stand in flagged.parquet, with check-sf101 in the "
        "column checks; rows count from 0.",
        "a.jsonl, row 3",
        "The answer is 42.",
        "It teaches this.",
        "Say it otherwise.",
        "Keep some.",
        "It accounts for 25% of the risk of 0.10.",
        "The findings account for 25% of it; the rest a corpus would have in which no check finds "
        "anything.",
    )

    def test_of_a_risk_that_the_findings_make_whole_nothing_is_left(self) -> None:
        whole = (replace(self.MADE.checks[0], risk_share=1.0), *self.MADE.checks[1:])
        assert explanation.remainder(replace(self.MADE, checks=whole)) == ""
        none = replace(self.MADE, risk=replace(self.MADE.risk, score=0.0))
        assert explanation.remainder(none) == ""

    @pytest.mark.parametrize("said", SAID)
    def test_all_of_it_stands_in_every_rendering(self, said: str) -> None:
        page = " ".join(Page(render_html(self.MADE)).text.split())
        markdown = render_markdown(self.MADE).replace("\\", "")
        out = io.StringIO()
        Console(file=out, width=400).print(findings_page(self.MADE))
        assert all(said in text for text in (page, markdown, out.getvalue()))

    def test_what_passed_is_left_out_where_only_faults_are_told(self) -> None:
        out = io.StringIO()
        Console(file=out, width=400).print(findings_page(self.MADE))
        assert "Never mind." not in render_markdown(self.MADE) + out.getvalue()

    def test_the_worst_comes_first(self) -> None:
        given = [
            finding("SF101", verdict="pass", risk_share=0.9),
            finding("SF102", verdict="warn", score=0.3, risk_share=None),
            finding("SF103", verdict="warn", score=0.4, risk_share=None),
            finding("SF104", verdict="warn", score=0.3, risk_share=0.2),
            finding("SF105", verdict="undecided"),
            finding("SF106", verdict="fail", score=0.5, risk_share=None),
        ]
        order = [each.code for each in explanation.worst_first(given)]
        assert order == ["SF106", "SF104", "SF103", "SF102", "SF105", "SF101"]

    @pytest.mark.parametrize(
        ("low", "score", "high", "verdict", "says"),
        [
            (0.5, 0.6, 0.7, "fail", "The verdict is the same at either end."),
            (0.3, 0.6, 0.7, "fail", "At the lower end it would warn, at the upper end fail"),
            (0.0, 0.1, 0.3, "pass", "At the lower end it would pass, at the upper end warn"),
            (0.2, 0.3, 0.4, "warn", "At the lower end it would pass, at the upper end warn"),
        ],
    )
    def test_it_says_whether_the_verdict_holds(
        self, low: float, score: float, high: float, verdict: Verdict, says: str
    ) -> None:
        made = finding(low=low, score=score, high=high, verdict=verdict)
        assert says in explanation.explained(made, report()).sure

    def test_it_says_whether_the_limits_are_measured(self) -> None:
        sure = [
            explanation.explained(finding(status=status), report()).sure
            for status in get_args(Status)
        ]
        assert ["experimental" in said for said in sure] == [True, False, True]

    def test_it_says_why_there_is_nothing_to_say(self) -> None:
        whole = finding(verdict="warn", flagged=None, risk_share=None)
        told = explanation.explained(whole, report())
        assert "corpus as a whole and flags no rows" in told.rows
        assert "has no share" in told.risk
        few = finding(verdict="undecided", records=12, rows=12)
        assert "12 records are too few" in explanation.explained(few, report()).what
        lacking = finding(verdict="undecided", observed={"reason": "needs a reference"})
        assert "needs a reference" in explanation.explained(lacking, report()).what

    def test_what_leaving_rows_out_changes_is_told(self) -> None:
        said = explanation.what_if(what_if())
        assert said == (
            "Without the 120 records that check-sf101 flags, 880 records would remain, and the "
            "risk goes from 0.10 to 0.05 (0.01 to 0.10). No check would warn."
        )
        still = what_if(drop=("a", "b"), checks=(finding(verdict="fail"), finding("SF102")))
        assert "that a and b flag, 880" in explanation.what_if(still)
        assert "Still above a limit: check-sf101 (fail)." in explanation.what_if(still)
        few = what_if(records=3, verdict="undecided")
        assert explanation.what_if(few).endswith(
            ", 3 records would remain: too few to decide anything."
        )
        made = report(what_if_flagged=what_if())
        assert said in " ".join(Page(render_html(made)).text.split())
        assert said in render_markdown(made).replace("\\", "")
        assert said.split(",")[0] in terminal(made)


class TestPicture:
    MEASURED = report(
        checks=(finding(name="separability", score=0.8, observed={"p_value": 0.005}),),
    )

    def test_every_answer_is_a_dot_of_its_corpus(self) -> None:
        html = render_html(self.MEASURED)
        assert '<path class="ours" d="M0 500h0M20 480h0"/>' in html
        assert '<path class="theirs" d="M1000 510h0"/>' in html
        assert "2 answers of the corpus and 1 of the reference" in html

    def test_the_separability_stands_beside_it(self) -> None:
        assert (
            "Separability is 0.80 (0.05 to 0.15), p = 0.005 by permutation"
            in Page(render_html(self.MEASURED)).text
        )
        assert "Separability" not in Page(render_html(report())).text

    def test_there_is_none_without_a_reference(self) -> None:
        assert "t-SNE" not in render_html(report(picture=None))

    def test_places_keep_their_shape_within_the_grid(self) -> None:
        places = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 2.0]])
        made = drawn(Projection(places, np.array([False, True, False])))
        assert made == ScatterPlot(corpus="0,250 500,750", reference="1000,250")

    def test_a_picture_of_one_place_is_no_error(self) -> None:
        made = drawn(Projection(np.ones((2, 2)), np.array([False, True])))
        assert made == ScatterPlot(corpus="500,500", reference="500,500")

    def test_a_full_picture_is_small(self) -> None:
        rng = np.random.default_rng(0)
        made = drawn(Projection(rng.normal(size=(1000, 2)), np.arange(1000) % 2 == 0))
        with_it, without = (render_html(report(picture=each)) for each in (made, None))
        assert len(with_it) - len(without) < 60_000
