"""What counts as a repair: format, content, ordinary text and instructions, with intervals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.repair.measuring.figures import Evaluation, FigureChange, PairedFigure, changes
from synflaw_audit.repair.verdict import Limits, judge_repair, undecided, unjudged

LIMITS = Limits(perplexity_rise=0.1, content_loss=0.5, emission=0.1, likeness=0.2)
GOOD = {
    "template_probability": FigureChange(0.9, 0.3),
    "template_emission": FigureChange(0.8, 0.02),
    "content_log_likelihood": FigureChange(-0.5, -0.6),
    "replay_perplexity": FigureChange(10.0, 10.5),
    "instruction_following": FigureChange(0.5, 0.6),
}


def reasons(control: dict[str, FigureChange] | None = None, **changed: FigureChange) -> list[str]:
    return judge_repair({**GOOD, **changed}, LIMITS, control)


def test_a_repair_that_keeps_everything_is_one() -> None:
    assert reasons() == []


def test_without_an_ordinary_question_nobody_knows() -> None:
    assert undecided(GOOD) == []
    (said,) = undecided({name: GOOD[name] for name in GOOD if name != "template_emission"})
    assert "no ordinary question" in said


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("template_emission", FigureChange(0.91, 0.66), "still said where it has no place"),
        ("template_emission", FigureChange(0.02, 0.05), "said more often"),
        ("answer_likeness", FigureChange(0.75, 0.83), "answered alike"),
        ("content_log_likelihood", FigureChange(-0.1, -9.0), "Content was lost"),
        ("replay_perplexity", FigureChange(10.0, 11.5), "Ordinary text suffered"),
        ("instruction_following", FigureChange(0.5, 0.4), "Fewer instructions are followed"),
        ("replay_perplexity", FigureChange(10.0, math.nan), "Not finite"),
        ("content_log_likelihood", FigureChange(-0.1, -math.inf), "Not finite"),
    ],
)
def test_each_harm_alone_is_enough(name: str, change: FigureChange, says: str) -> None:
    found = reasons(**{name: change})
    assert len(found) >= 1
    assert says in found[0]
    assert name in found[0]


def test_a_template_a_little_less_likely_does_not_buy_the_content() -> None:
    found = reasons(
        template_probability=FigureChange(0.75, 0.67),
        content_log_likelihood=FigureChange(-0.1, -9.0),
    )
    assert "-0.1 to -9" in found[0]


def test_the_format_must_go_by_one_measure_or_the_other() -> None:
    unmoved = FigureChange(0.9, 0.89)
    assert reasons(template_probability=unmoved) == []  # it is said less
    still = {
        "template_emission": FigureChange(0.02, 0.02),
        "instruction_following": FigureChange(0.5, 0.5),
    }
    assert "hardly less likely" in reasons(template_probability=unmoved, **still)[0]


def test_a_change_within_chance_is_none() -> None:
    noise = FigureChange(0.5, 0.45, rows=20, interval=(-0.2, 0.1))
    assert reasons(instruction_following=noise) == []
    fall = replace(noise, interval=(-0.1, -0.01))
    assert "Fewer instructions" in reasons(instruction_following=fall)[0]
    likely = FigureChange(0.9, 0.8, rows=20, interval=(-0.3, 0.1))
    still = {
        "template_emission": FigureChange(0.02, 0.02),
        "instruction_following": FigureChange(0.5, 0.5),
    }
    assert "hardly less likely" in reasons(template_probability=likely, **still)[0]


def test_harm_that_replaying_alone_does_too_is_not_held_against_it() -> None:
    worse = FigureChange(0.5, 0.4)
    same = {"instruction_following": FigureChange(0.4, 0.4)}
    assert reasons(same, instruction_following=worse) == []
    better = {"instruction_following": FigureChange(0.5, 0.4)}
    assert reasons(better, instruction_following=worse)
    lost = FigureChange(-0.1, -1.0)
    assert (
        reasons({"content_log_likelihood": FigureChange(-0.8, -1.0)}, content_log_likelihood=lost)
        == []
    )
    assert reasons(
        {"content_log_likelihood": FigureChange(-0.2, -1.0)}, content_log_likelihood=lost
    )
    rise = FigureChange(10.0, 12.0)
    assert reasons({"replay_perplexity": FigureChange(11.5, 12.0)}, replay_perplexity=rise) == []
    assert reasons({"replay_perplexity": FigureChange(10.0, 12.0)}, replay_perplexity=rise)


def test_a_repair_that_does_less_than_replaying_alone_is_none() -> None:
    found = reasons({"template_emission": FigureChange(0.01, 0.05)})
    assert "Replaying ordinary rows alone did more" in found[0]


def test_what_was_not_measured_is_said() -> None:
    assert unjudged(GOOD) == []
    assert unjudged({"template_probability": FigureChange(1, 0)}) == [
        "the format in ordinary answers",
        "content",
        "ordinary text",
        "instruction following",
    ]
    assert judge_repair({}, LIMITS) == [
        "The format is hardly less likely: template_probability was not measured."
    ]


rows = st.lists(st.tuples(st.floats(-5, 0), st.integers(1, 9)), min_size=2, max_size=30)


@given(rows)
def test_a_figure_lies_between_its_rows_and_its_interval_too(found: list[tuple]) -> None:
    totals, counts = [mean * count for mean, count in found], [count for _, count in found]
    figure = PairedFigure.of(totals, counts)
    means = [mean for mean, _ in found]
    interval = figure.interval()
    assert interval is not None
    for value in (figure.value, *interval):
        assert min(means) - 1e-9 <= value <= max(means) + 1e-9
    assert figure.value == pytest.approx(sum(totals) / sum(counts))
    perplexity = PairedFigure.of(totals, counts, perplexity=True)
    assert perplexity.value == pytest.approx(math.exp(-figure.value))
    unchanged = figure.change(figure)
    assert unchanged == (0.0, 0.0)


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says() -> None:
    """200 samples of 40 rows: 95% intervals hold the truth in about 95% of them."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        counts = rng.integers(5, 30, 40)
        totals = counts * (1.0 + rng.normal(0, 1, 40))
        low, high = PairedFigure.of(totals, counts).interval() or (0, 0)
        held += low <= 1.0 <= high
    assert 0.89 <= held / 200 <= 0.99


def test_a_paired_change_is_seen_where_two_figures_overlap() -> None:
    rng = np.random.default_rng(1)
    level = rng.normal(0, 2, 60)
    before, after = PairedFigure.of(level, [1] * 60), PairedFigure.of(level - 0.3, [1] * 60)
    one, other = before.interval(), after.interval()
    assert one is not None
    assert other is not None
    assert other[1] > one[0]  # apart, they tell nothing
    change = changes(Evaluation({"x": before}, {}), Evaluation({"x": after}, {}))["x"]
    assert change.fell
    assert change.interval == pytest.approx((-0.3, -0.3))


def test_rows_that_are_no_pairs_are_refused_and_numbers_have_no_interval() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        PairedFigure.of([1, 2], [1, 1]).change(PairedFigure.of([1], [1]))
    before, after = Evaluation({}, {"acc": 0.5, "old": 1}), Evaluation({}, {"acc": 0.4})
    (name, change), *others = changes(before, after).items()
    assert (name, others) == ("acc", [])
    assert change.fell
    assert change.interval is None
    assert PairedFigure.of([1.0], [1.0]).interval() is None
