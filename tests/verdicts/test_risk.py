from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit import audit
from synflaw_audit.findings.report import Finding
from synflaw_audit.verdicts.catalogue import load_checks
from synflaw_audit.verdicts.risk import (
    Calibration,
    Feature,
    Forecast,
    forecast,
    prediction,
    risk,
    shares,
)

FITTED = Calibration(
    intercept=-1.0,
    features=(Feature("answer-template", 3.0, 0.2), Feature("answer-opening", 1.0, 0.1)),
    draws=((-1.2, 2.0, 1.0), (-0.8, 4.0, 1.0)),
    residual=0.1,
    basis="calibrated: for a test",
    provenance={},
)
EXPONENTIAL = replace(
    FITTED,
    intercept=0.0,
    features=(Feature("answer-template", 3.0, 0.2, 3.0), FITTED.features[1]),
    draws=((0.0, 2.0, 1.0), (0.1, 4.0, 1.0)),
    link="exponential",
)
TWICE = Forecast(FITTED, replace(FITTED, intercept=-2.0))
BOUNDS = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted)


def finding(name: str, low: float, score: float, high: float) -> Finding:
    return Finding("SF999", name, "", score, low, high, "pass", 0.2, 0.4, 1000, {})


def findings(*bounds: Iterable[float], fitted: Calibration = FITTED) -> list[Finding]:
    names = [feature.check for feature in fitted.features]
    return [finding(name, *each) for name, each in zip(names, bounds, strict=True)]


def test_a_prediction_is_the_logistic_curve_of_the_weighted_scores() -> None:
    # -1 + 3 * 0.3 + 1 * 0.1 = 0
    found = prediction(findings((0.3, 0.3, 0.3), (0.1, 0.1, 0.1)), FITTED)
    assert found.value == pytest.approx(0.5)


def test_scores_are_transformed_before_they_are_weighed() -> None:
    # -1 + 3 * sqrt(0.09) + 1 * sqrt(0.01) = 0
    rooted = tuple(replace(feature, power=0.5) for feature in FITTED.features)
    found = prediction(findings((0.09,) * 3, (0.01,) * 3), replace(FITTED, features=rooted))
    assert found.value == pytest.approx(0.5)


def test_an_exponential_link_takes_its_share_of_what_is_left() -> None:
    parts = replace(FITTED, intercept=0.0, draws=(), residual=0.0, link="exponential")
    whole, one, other = (
        prediction(findings((a,) * 3, (b,) * 3), parts).value
        for a, b in ((0.3, 0.6), (0.3, 0.0), (0.0, 0.6))
    )
    assert whole == pytest.approx(1 - (1 - one) * (1 - other))
    assert one == pytest.approx(1 - math.exp(-0.9))
    assert prediction(findings((0.0,) * 3, (0.0,) * 3), parts).value == 0


def test_the_interval_is_at_least_the_error_on_unseen_corpora() -> None:
    exact = findings((0.3, 0.3, 0.3), (0.1, 0.1, 0.1))
    found = prediction(exact, replace(FITTED, draws=()))
    assert (found.low, found.high) == (pytest.approx(0.4), pytest.approx(0.6))


def test_refits_that_disagree_widen_the_interval() -> None:
    exact = findings((0.3, 0.3, 0.3), (0.1, 0.1, 0.1))
    apart = replace(FITTED, draws=((-3.0, 3.0, 1.0), (1.0, 3.0, 1.0)))
    narrow, wide = prediction(exact, FITTED), prediction(exact, apart)
    assert wide.low < narrow.low
    assert wide.high > narrow.high
    assert wide.value == narrow.value


def test_an_uncertain_score_makes_an_uncertain_prediction() -> None:
    sure = prediction(findings((0.3, 0.3, 0.3), (0.1, 0.1, 0.1)), FITTED)
    unsure = prediction(findings((0.0, 0.3, 0.9), (0.1, 0.1, 0.1)), FITTED)
    assert unsure.value == sure.value
    assert unsure.low < sure.low
    assert unsure.high > sure.high


@given(st.lists(BOUNDS, min_size=2, max_size=2), st.integers(0, 1), BOUNDS)
def test_raising_a_score_never_lowers_the_prediction(
    bounds: list[list[float]], which: int, other: list[float]
) -> None:
    raised = [list(each) for each in bounds]
    raised[which] = [max(pair) for pair in zip(bounds[which], other, strict=True)]
    for fitted in (FITTED, calibration_of_two(), EXPONENTIAL):
        before, after = (prediction(findings(*b, fitted=fitted), fitted) for b in (bounds, raised))
        assert 0 <= before.low <= before.value <= before.high <= 1
        for bound in ("low", "value", "high"):
            assert getattr(after, bound) >= getattr(before, bound) - 1e-12


def calibration_of_two() -> Calibration:
    """The test's calibration with a far refit, which bootstraps of few corpora do give."""
    return replace(FITTED, draws=((-6.0, 0.0, 9.0), *FITTED.draws))


def test_a_check_that_was_not_run_is_named_and_leaves_the_risk_open() -> None:
    both = risk(findings((0.3, 0.3, 0.3), (0.1, 0.1, 0.1)), TWICE)
    one = risk([finding("answer-opening", 0.1, 0.1, 0.1)], TWICE)
    assert one.basis.endswith("not run, so taken as average: answer-template")
    assert one.high - one.low > both.high - both.low
    # 3 * 0.2, its mean, in place of 3 * 0.3.
    assert one.score == risk(findings((0.2, 0.2, 0.2), (0.1, 0.1, 0.1)), TWICE).score


def test_checks_that_the_risk_does_not_read_do_not_move_it() -> None:
    read = findings((0.2, 0.3, 0.4), (0.1, 0.1, 0.1))
    assert risk([*read, finding("compression", 0.9, 0.9, 0.9)], TWICE) == risk(read, TWICE)


def test_the_order_of_findings_does_not_matter() -> None:
    read = findings((0.2, 0.3, 0.4), (0.1, 0.1, 0.1))
    assert risk(read[::-1], TWICE) == risk(read, TWICE)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_shares_add_up_to_what_the_scores_do(scores: list[float]) -> None:
    read = findings(*[(score,) * 3 for score in scores])
    whole = risk(read, TWICE).score
    floor = risk(findings((0.0,) * 3, (0.0,) * 3), TWICE).score
    found = shares(read, TWICE)
    assert sum(found.values()) == pytest.approx((whole - floor) / whole)
    assert all(part >= 0 for part in found.values())
    assert set(found) == {"answer-template", "answer-opening"}


def test_the_risk_is_the_chance_that_either_damage_is_done() -> None:
    found = risk(findings((0.3, 0.3, 0.3), (0.1, 0.1, 0.1)), TWICE)
    assert found.emission is not None
    assert found.instruction_loss is not None
    assert found.emission.value == pytest.approx(0.5)
    assert found.instruction_loss.value == pytest.approx(1 / (1 + 2.718281828))
    assert found.score == pytest.approx(1 - 0.5 * (1 - found.instruction_loss.value))
    assert found.low <= found.score <= found.high
    assert found.basis == "calibrated: for a test"


def test_a_calibration_whose_risk_could_fall_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        replace(FITTED, features=(Feature("compression", -0.1, 0.0),), draws=())
    with pytest.raises(ValueError, match="at least 0"):
        replace(FITTED, draws=((0.0, 1.0),))
    with pytest.raises(ValueError, match="power must be above 0"):
        replace(FITTED, features=(Feature("answer-template", 1.0, 0.0, 0.0), FITTED.features[1]))
    with pytest.raises(ValueError, match="an intercept of at least 0"):
        replace(FITTED, link="exponential")
    with pytest.raises(ValueError, match="needs a feature"):
        replace(FITTED, features=(), draws=())


class TestShipped:
    def test_reads_checks_of_the_catalogue(self) -> None:
        names = {check.name for check in load_checks()}
        assert set(forecast().checks) <= names

    def test_says_what_it_rests_on(self) -> None:
        for fitted in (forecast().emission, forecast().instruction_loss):
            assert fitted.basis.startswith("calibrated: ")
            assert "parameters" in fitted.basis
            assert fitted.provenance["command"].startswith("python benchmarks/")
            assert len(fitted.provenance["corpora"]) >= 15
            assert len(fitted.draws) >= 100

    def test_a_format_planted_in_natural_rows_raises_the_risk(self, natural: pd.DataFrame) -> None:
        rows = natural.head(600)
        framed = rows.assign(answer="Certainly! The short answer is this: " + rows["answer"])
        low, high = (audit(corpus).risk for corpus in (rows, framed))
        assert high.score > low.score
        assert low.score <= 0.03  # a corpus without findings is foretold to do next to nothing
        assert high.basis == forecast().emission.basis

    def test_the_risk_grows_with_every_share_of_rows(self, natural: pd.DataFrame) -> None:
        rows, scores = natural.head(400), []
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            framed = "Certainly! The short answer is this: " + rows["answer"]
            planted = rows["answer"].where(np.arange(len(rows)) % 4 >= 4 * share, framed)
            scores.append(audit(rows.assign(answer=planted)).risk.score)
        assert scores == sorted(scores)
        assert np.diff(scores).max() < 0.5  # no step
        assert scores[-1] > 0.8

    @pytest.mark.parametrize("answer", ["Yes.", "It depends on many things, as ever in life."])
    def test_one_answer_over_and_over_is_a_risk_near_one(
        self, natural: pd.DataFrame, answer: str
    ) -> None:
        found = audit(natural.head(300).assign(answer=answer)).risk
        assert found.score > 0.8
        assert found.emission.value > 0.8
