"""An interval of 95% holds the truth in about 95% of draws, also where rows are not independent.

The whole grid is ``benchmarks/interval_coverage.py``; these are the measures quick to take.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synflaw_audit.measures import MEASURES
from synflaw_audit.measures.intervals import effective_rows, share_score, standard_error
from synflaw_audit.measures.pairs import of_a_kind, pair_share
from synflaw_audit.verdicts.catalogue import find_check, load_checks

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from populations import WORDS, Kind, Population, corpus

DRAWS = 200
HELD = (0.915, 0.99)  # of so many draws; their number alone spreads it by 1.5% to either side
QUICK = ("SF102", "SF103", "SF301", "SF303")


def held(lows: list[float], highs: list[float], truth: float) -> float:
    return float(np.mean([low <= truth <= high for low, high in zip(lows, highs, strict=True)]))


@cache
def population_scores(kind: Kind, records: int, sample: int, draws: int) -> dict[str, list[tuple]]:
    """Scores, lows and highs of the quick checks, by code, on draws of a population."""
    found: dict[str, list[tuple]] = {code: [] for code in QUICK}
    for draw in range(draws):
        seen = corpus(Population(kind).rows(records, seed=1000 + draw), sample, seed=draw)
        for code in QUICK:
            check = find_check(load_checks(), code)
            score = MEASURES[check.measure](**check.params).score(seen)
            found[code].append((score.value, score.low, score.high))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["independent", "clustered"])
@pytest.mark.parametrize("code", QUICK)
def test_a_score_of_more_records_than_the_sample_holds(code: str, kind: Kind) -> None:
    _, lows, highs = zip(*population_scores(kind, 400, 300, DRAWS)[code], strict=True)
    truth = np.mean([score for score, _, _ in population_scores(kind, 6000, 6000, 2)[code]])
    assert HELD[0] <= held(list(lows), list(highs), float(truth)) <= HELD[1]


@pytest.mark.slow
@pytest.mark.parametrize("code", ["SF201", "SF205"])
def test_a_score_of_a_corpus_of_few_questions(code: str) -> None:
    # A hundred questions with several answers each; the truth is that of 1,700 questions.
    check = find_check(load_checks(), code)
    measure = MEASURES[check.measure](**check.params)
    rows = [Population("clustered").rows(6000, seed=2000 + draw) for draw in range(40)]
    truth = np.mean([measure.score(corpus(of, 6000)).value for of in rows[:3]])
    scores = [measure.score(corpus(of.iloc[:400], 400)) for of in rows]
    # Of 40 draws: the chance alone makes it less than 0.85 in one of 60 tries.
    assert held([s.low for s in scores], [s.high for s in scores], float(truth)) >= 0.85
    assert np.mean([score.high - score.low for score in scores]) < 0.25


@pytest.mark.slow
@pytest.mark.parametrize("code", ["SF202", "SF401"])
def test_a_score_of_a_corpus_of_few_records_and_their_copies(code: str) -> None:
    # 160 questions and their copies, less text than a draw; the truth is that of 2,400 questions.
    check = find_check(load_checks(), code)
    measure = MEASURES[check.measure](**check.params)
    rows = [Population("copied").rows(400, seed=3000 + draw) for draw in range(30)]
    truth = np.mean(
        [measure.score(corpus(Population("copied").rows(6000, n), 1200)).value for n in range(3)]
    )
    scores = [measure.score(corpus(of, 400)) for of in rows]
    assert held([s.low for s in scores], [s.high for s in scores], float(truth)) >= 0.85
    assert np.mean([score.high - score.low for score in scores]) < 0.2


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_a_share_of_rows_in_units(p: float, alike: float) -> None:
    # A unit's rows have the property of the unit with the chance ``alike``, else their own.
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(400):
        unit = np.repeat(np.arange(150), rng.integers(1, 6, 150))
        of_unit, own = rng.random(150) < p, rng.random(len(unit)) < p
        holds = np.where(rng.random(len(unit)) < alike, of_unit[unit], own)
        scores.append(share_score(holds, unit))
    assert 0.92 <= held([s.low for s in scores], [s.high for s in scores], p) <= 0.98


@pytest.mark.parametrize("answers", [1, 4])
def test_a_share_of_pairs(answers: int) -> None:
    rng = np.random.default_rng(1)
    chance = np.array([0.3, 0.2, 0.1, *[0.4 / 200] * 200])
    scores = []
    for _ in range(400):
        kind = np.repeat(rng.choice(len(chance), 400 // answers, p=chance), answers)
        unit = np.repeat(np.arange(400 // answers), answers)
        scores.append(pair_share(of_a_kind(kind, unit), unit, root=True))
    truth = float(np.sqrt((chance**2).sum()))
    assert 0.92 <= held([s.low for s in scores], [s.high for s in scores], truth) <= 0.98


@pytest.mark.parametrize("rows", [1, 2, 9, 18])
def test_answers_to_a_single_question_leave_every_score_unsure(rows: int) -> None:
    answers = [f"{word} is what it was said to be {word}" for word in WORDS[:rows]]
    seen = corpus(pd.DataFrame({"question": "Why?", "answer": answers}), 100)
    for check in load_checks():
        if check.measure != "separability":
            score = MEASURES[check.measure](**check.params).score(seen)
            assert 0 <= score.low <= score.value <= score.high <= 1, check.name
            assert score.high - score.low > 0.4, check.name


def test_copies_tell_no_more_than_one() -> None:
    rng = np.random.default_rng(2)
    once = rng.random(300) < 0.3
    rows, unit = np.repeat(once, 10), np.repeat(np.arange(300), 10)
    assert effective_rows(rows, unit) == pytest.approx(300, rel=0.01)
    assert effective_rows(rows, np.arange(3000)) == pytest.approx(3000, rel=0.01)
    assert standard_error(rows - rows.mean(), unit) == pytest.approx(
        standard_error(once - once.mean(), np.arange(300)), rel=0.01
    )
    assert effective_rows(np.ones(3000, bool), unit) == 300  # where all are alike, Kish's
