from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from reports import HOSTILE, finding, hostile_report, report
from rich.console import Console

from synflaw_audit.catalogue import Check, load_checks
from synflaw_audit.report import words
from synflaw_audit.report.model import Dataset, Flagged, Report, Risk, TemplateSummary
from synflaw_audit.report.terminal import show


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
    out = io.StringIO()
    show(made, Console(file=out, width=width, force_terminal=True, color_system="truecolor"))
    return out.getvalue()


class TestHtml:
    def test_is_balanced_and_loads_nothing(self) -> None:
        page = Page(PLAIN.to_html())
        assert not page.unbalanced
        assert not page.open
        assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "base"}
        assert not page.attributes & {"src", "href", "srcset", "action", "data"}
        assert not re.search(r"url\(|@import|https?:", PLAIN.to_html())
        assert "default-src 'none'; style-src 'unsafe-inline'" in page.values

    @pytest.mark.parametrize("text", HOSTILE)
    def test_hostile_text_adds_neither_tags_nor_attributes(self, text: str) -> None:
        page, plain = Page(hostile_report(text).to_html()), Page(PLAIN.to_html())
        assert page.tags <= plain.tags | {"mark"}
        assert page.attributes == plain.attributes
        assert not page.unbalanced
        assert " ".join(words.visible(text).split()) in " ".join(page.text.split())

    @pytest.mark.parametrize("text", HOSTILE)
    def test_no_control_or_direction_character_is_passed_on(self, text: str) -> None:
        html = hostile_report(text).to_html()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)

    def test_has_headings_in_order_and_headed_tables(self) -> None:
        html = PLAIN.to_html()
        assert re.findall(r"<h(\d)", html) == ["1", *["2"] * (html.count("<h2"))]
        assert "<th>" not in html
        assert all('aria-label="' in svg for svg in re.findall(r'<svg[^>]*role="img"[^>]*>', html))
        assert '<html lang="en">' in html

    def test_says_when_the_risk_is_uncalibrated(self) -> None:
        badge = ">uncalibrated</span>"
        assert badge in report().to_html()
        fitted = Risk(0.1, 0.05, 0.2, "fitted on damage measured for 15 corpora")
        assert badge not in report(risk=fitted).to_html()

    def test_format_words_and_slots_are_told_apart(self) -> None:
        html = report().to_html()
        assert "<mark>The answer is</mark> 42<mark>.</mark>" in html
        assert ">&lt;*&gt;</span>" in html

    def test_is_bounded_whatever_the_corpus(self) -> None:
        template = TemplateSummary("A1", "word " * 10_000, 0.5, 5, ("x" * 100_000,) * 20)
        assert len(report(templates=(template,) * 400).to_html()) < 100_000


class TestMarkdown:
    @pytest.mark.parametrize("text", HOSTILE)
    def test_hostile_text_stays_text(self, text: str) -> None:
        # GitHub's dialect: tables, and raw HTML passed on, so that a tag would be seen.
        markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
        made, plain = hostile_report(text), PLAIN
        tokens, shape = markdown.parse(made.to_markdown()), markdown.parse(plain.to_markdown())
        inline = [child for token in tokens for child in token.children or []]
        assert {token.type for token in tokens} <= {token.type for token in shape}
        allowed = {"text", "code_inline", "strong_open", "strong_close", "softbreak"}
        assert {child.type for child in inline} <= allowed | {"text_special"}
        heads = [token for token in tokens if token.type == "heading_open"]
        assert len(heads) == sum(token.type == "heading_open" for token in shape)

    @pytest.mark.parametrize("text", HOSTILE)
    def test_rows_keep_their_cells(self, text: str) -> None:
        tokens = MarkdownIt("commonmark").enable("table").parse(hostile_report(text).to_markdown())
        cells = sum(token.type == "td_open" for token in tokens)
        assert cells == 8 + 2 + 2

    def test_holds_what_the_page_holds(self) -> None:
        text = PLAIN.to_markdown()
        for part in ("SF101", "`The answer is <*>.`", "50%", "`a.jsonl`", "uncalibrated", "2 rows"):
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
        for part in ("✗ fail", "SF101", "0.10", "0.20/0.40", "The answer is <*>.", "2 rows"):
            assert part in out


class TestWords:
    @given(st.text())
    def test_visible_text_is_not_changed_by_being_made_visible(self, text: str) -> None:
        assert words.visible(words.visible(text)) == words.visible(text)

    @pytest.mark.parametrize("text", ["नमस्ते क्‍ष", "می‌خواهم", "👩‍🔬", "日本語", "a\tb\nc"])
    def test_ordinary_text_is_left_alone(self, text: str) -> None:
        assert words.visible(text) == text

    @given(st.text(), st.integers(2, 50))
    def test_clipped_text_is_short_and_says_that_it_was_cut(self, text: str, size: int) -> None:
        clipped = words.clip(text, size)
        assert len(clipped) <= size
        assert clipped == text if len(text) <= size else clipped.endswith("…")

    @given(st.text(max_size=800), st.text(max_size=80))
    def test_the_parts_of_an_example_are_a_stretch_of_it(self, example: str, pattern: str) -> None:
        template = TemplateSummary("A1", pattern, 0.5, 5, (example,))
        parts = words.example_parts(template, example)
        shown = "".join(part.text for part in parts)
        bare = shown.removeprefix("…").removesuffix("…")
        assert bare in words.visible(example)
        assert len(words.visible(example)) > 400 or len(bare) >= min(len(example), 100) - 2

    def test_format_words_are_found_at_the_end_of_a_long_answer(self) -> None:
        template = TemplateSummary("A1", "<*> The answer is <*>.", 0.5, 5, ())
        parts = words.example_parts(template, "Some thought. " * 100 + "The  answer\nis 7.")
        assert [part.text for part in parts if part.kind == "format"] == ["The  answer\nis", "."]

    def test_of_a_variant_the_shared_runs_of_words_are_marked(self) -> None:
        pattern = "Great question! It is worth noting that <*> In summary, the answer is <*>"
        template = TemplateSummary("A1", pattern, 0.5, 5, ())
        example = "Good question! It is worth noting that cats purr. Thus, the answer is yes."
        parts = words.example_parts(template, example)
        marked = [part.text for part in parts if part.kind == "format"]
        assert marked == ["question! It is worth noting that", ", the answer is"]

    def test_patterns_that_do_not_fit_mark_nothing(self) -> None:
        template = TemplateSummary("A1", "The answer is <*>", 0.5, 5, ())
        assert [p.kind for p in words.example_parts(template, "Nothing of it.")] == ["text"]

    def test_a_pattern_cannot_make_the_search_slow(self) -> None:
        for pattern in ("a <*> " * 100 + "b", "a a a <*> " * 100 + "b", "a " * 500 + "<*> b"):
            template = TemplateSummary("A1", pattern, 0.5, 5, ())
            assert words.example_parts(template, "a " * 5000)

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
        for text in (warned.to_html(), warned.to_markdown(), terminal(warned)):
            assert "experimental" in text

    def test_no_verdict_on_too_few(self) -> None:
        few = report(verdict="undecided", dataset=Dataset((), 1, 0, {}, 9))
        assert words.headline(few) == "No check could decide on 1 record: too few."


class TestAdvice:
    CHECK = Check(
        code="SF101",
        name="check-sf101",
        title="t",
        measure="m",
        warn_above=0.1,
        fail_above=0.2,
        min_records=1,
        status="experimental",
        since="0.1.0",
        why="It teaches <b>this</b>.",
        advice="Do *that*.",
    )

    def test_a_finding_says_what_it_means_and_what_to_do(self) -> None:
        made = report(verdict="fail", checks=(finding(verdict="fail"),))
        html, markdown = made.to_html([self.CHECK]), made.to_markdown([self.CHECK])
        assert "It teaches &lt;b&gt;this&lt;/b&gt;." in html
        assert "Do *that*." in html
        assert r"It teaches \<b\>this\</b\>. Do \*that\*." in markdown

    def test_only_its_own_check_speaks_for_a_finding(self) -> None:
        other = replace(self.CHECK, name="another")
        made = report(verdict="fail", checks=(finding(verdict="fail"),))
        assert "It teaches" not in made.to_html([other]) + made.to_markdown([other])

    def test_the_shipped_checks_are_looked_up_by_themselves(self) -> None:
        shipped = load_checks()[0]
        made = report(checks=(finding(shipped.code, name=shipped.name, verdict="warn"),))
        assert " ".join(shipped.advice.split())[:60] in made.to_html().replace("&#39;", "'")
