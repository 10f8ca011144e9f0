"""The pictures of a corpus, and of a corpus beside its reference."""

from __future__ import annotations

import jsonschema
import orjson
import pandas as pd
import pytest

from synflaw_audit import Report, audit
from synflaw_audit.findings.picture import Density
from synflaw_audit.findings.report import TemplateSummary, schema
from synflaw_audit.report import render_html
from synflaw_audit.report.picture import CHART_HEIGHT, CHART_WIDTH, across, axis_ticks, curve, cut
from synflaw_audit.verdicts.catalogue import find_check, load_checks

CHECKS = [find_check(load_checks(), name) for name in ("separability", "answer-opening")]


def centre(places: str) -> complex:
    found = [complex(*map(int, place.split(","))) for place in places.split()]
    return sum(found) / len(found)


@pytest.fixture(scope="module")
def compared(natural: pd.DataFrame, templated: pd.DataFrame) -> Report:
    return audit(templated.head(90), reference=natural.head(70), checks=CHECKS)


def test_as_many_answers_of_either_corpus_stand_in_it(compared: Report) -> None:
    assert compared.picture is not None
    sides = (compared.picture.corpus.split(), compared.picture.reference.split())
    assert [len(side) for side in sides] == [70, 70]
    assert compared.seconds["picture"] > 0
    assert Report.from_json(compared.to_json()).picture == compared.picture
    jsonschema.validate(orjson.loads(compared.to_json()), schema())


def test_corpora_that_can_be_told_apart_lie_apart(compared: Report, natural: pd.DataFrame) -> None:
    same = audit(natural.iloc[:300:2], reference=natural.iloc[1:300:2], checks=CHECKS)
    far, near = (
        abs(centre(picture.corpus) - centre(picture.reference))
        for picture in (compared.picture, same.picture)
        if picture is not None
    )
    assert far > 3 * near


def test_without_a_reference_or_enough_rows_there_is_none(natural: pd.DataFrame) -> None:
    assert audit(natural.head(60), checks=CHECKS).picture is None
    assert audit(natural.head(60), reference=natural.tail(3), checks=CHECKS).picture is None


def framed(rows: int) -> pd.DataFrame:
    """Answers of different lengths, each with the same words once."""
    words = [f"word{i % 97} thing{i % 89} item{i % 83}" for i in range(40 * rows)]
    answers = (
        f"Verdict: {' '.join(words[40 * i : 40 * i + 12 + i % 20])}. Confidence: high."
        for i in range(rows)
    )
    return pd.DataFrame({"question": [f"q{i}" for i in range(rows)], "answer": list(answers)})


def test_words_of_a_format_stand_where_each_answer_has_them_once() -> None:
    density = audit(framed(300), checks=CHECKS).token_frequencies
    assert density is not None
    named = {peak.label.lower(): peak.at for peak in density.peaks}
    assert {"verdict", "confidence", "high"} <= set(named)
    assert all(abs(named[word]) < 0.01 for word in ("verdict", "confidence", "high"))
    assert density.low < 0 < density.high


def test_a_density_has_one_scale_for_the_corpus_and_its_reference() -> None:
    made = audit(framed(300), reference=framed(900).tail(400), checks=CHECKS)
    for density in (made.token_frequencies, made.perplexities):
        assert density is not None
        sides = [[int(h) for h in side.split()] for side in (density.corpus, density.reference)]
        assert len(sides[0]) == len(sides[1])
        assert max(sides[0] + sides[1]) == 1000
        assert min(sides[0] + sides[1]) >= 0
    assert Report.from_json(made.to_json()).perplexities == made.perplexities


def test_too_few_values_have_no_density(natural: pd.DataFrame) -> None:
    found = audit(natural.head(3), checks=CHECKS)
    assert found.token_frequencies is None
    assert found.perplexities is None
    assert "Distributions" not in render_html(found)


def test_a_density_is_drawn_from_left_to_right() -> None:
    density = Density(-1.5, 2.5, "0 1000 500")
    assert curve(density.corpus) == f"M0.0 {CHART_HEIGHT}L150.0 0.0L{CHART_WIDTH} 45.0"
    assert curve(density.reference) == ""
    assert axis_ticks(density) == [-1, 0, 1, 2]
    assert [across(value, density) for value in (-1.5, 0.5, 2.5)] == [0, 150, 300]


def test_a_limit_cuts_the_templates_below_it() -> None:
    templates = [TemplateSummary(f"A{i}", "x", s, 1, ()) for i, s in enumerate((0.5, 0.25))]
    height = f"{CHART_HEIGHT * 0.25:.1f}", f"{CHART_HEIGHT * 0.5:.1f}", f"{CHART_HEIGHT:.1f}"
    assert cut(templates) == f"M0 {height[0]}H75.0V{height[1]}H150.0V{height[2]}H300.0"
    assert cut([]) == f"M0 {CHART_HEIGHT}H300.0"


def test_the_tokens_named_on_the_page_are_escaped() -> None:
    hostile = framed(300).assign(answer=lambda frame: "<script> " + frame["answer"])
    page = render_html(audit(hostile, checks=CHECKS))
    assert "<script>" not in page
