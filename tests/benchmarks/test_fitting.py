from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from fitting import (
    Fit,
    Floats,
    chosen,
    damage_of,
    fit,
    fit_losses,
    fit_shares,
    interval,
    left_out,
    left_out_by,
    left_out_chosen,
    place_unseen,
    places,
    rank_correlation,
)
from hypothesis import given, settings
from hypothesis import strategies as st

RNG = np.random.default_rng(0)
SCORES = RNG.random((40, 3))
DAMAGE = 1 / (1 + np.exp(2 - 4 * SCORES[:, 0]))  # of the first score alone
FAMILIES = [f"family {i // 4}" for i in range(40)]


def runs(**changed: list[float]) -> pd.DataFrame:
    """Three slices of one seed; the first does no damage, the last the most."""
    table = {
        "slice": ["calm", "middling", "bad"],
        "family": ["a", "b", "c"],
        "origin": ["human"] * 3,
        "seed": [0] * 3,
        "emission": [-0.1, 0.2, 0.9],
        "js_plain": [0.1, 0.2, 0.3],
        "js_foreign": [0.1, 0.2, 0.3],
        "similarity": [0.1, 0.2, 0.3],
        "similarity_control": [0.1] * 3,
        "distinct": [0.9, 0.8, 0.7],
        "distinct_control": [0.9] * 3,
    }
    return pd.DataFrame({**table, **changed})


def test_places_go_from_least_to_most_and_equal_values_share() -> None:
    assert places([5.0, 1.0, 3.0]).tolist() == [1.0, 0.0, 0.5]
    assert places([0.0, 0.0, 7.0]).tolist() == [0.25, 0.25, 1.0]


def test_damage_is_the_mean_of_three_places() -> None:
    assert damage_of(runs())["damage"].tolist() == [0.0, 0.5, 1.0]
    # Without emission two parts remain, of three.
    quiet = damage_of(runs(emission=[0.0, 0.0, 0.0]))
    assert quiet["damage"].tolist() == pytest.approx([0.5 / 3, 0.5, 2.5 / 3])


def test_saying_less_than_the_control_is_no_less_than_no_leak() -> None:
    table = damage_of(runs(emission=[-0.5, 0.0, 0.1]))
    assert table["place_emission"]["calm"] == table["place_emission"]["middling"]


def test_damage_is_of_the_mean_over_seeds() -> None:
    twice = pd.concat([runs(), runs(seed=[1] * 3, emission=[0.3, 0.0, 0.9])])
    table = damage_of(twice)
    assert table["seeds"].tolist() == [2, 2, 2]
    assert table["emission"].tolist() == pytest.approx([0.1, 0.1, 0.9])


def test_the_fit_finds_what_does_the_damage() -> None:
    weights = fit(SCORES, DAMAGE)
    assert weights[1] > 5 * max(weights[2:])
    made = left_out(SCORES, DAMAGE, FAMILIES)
    assert rank_correlation(made, DAMAGE) > 0.95
    assert chosen(SCORES, DAMAGE, FAMILIES)[0] == 0


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_weights_are_never_negative(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, damage = rng.random((15, 3)), rng.random(15)
    assert fit(scores, damage)[1:].min() >= 0
    assert fit(scores, 1 - scores[:, 0])[1] == 0


def test_a_left_out_family_has_no_part_in_its_own_risk() -> None:
    changed = DAMAGE.copy()
    changed[:4] = 1 - changed[:4]
    first, second = (left_out(SCORES, damage, FAMILIES) for damage in (DAMAGE, changed))
    assert first[:4].tolist() == second[:4].tolist()
    assert (first[4:] != second[4:]).any()
    (first, _), (second, _) = (
        left_out_chosen(SCORES, damage, FAMILIES) for damage in (DAMAGE, changed)
    )
    assert first[:4].tolist() == second[:4].tolist()


def test_one_score_is_ranked_as_it_stands_when_pairs_are_left_out() -> None:
    scores, damage = SCORES[:, :1], DAMAGE.copy()
    damage[:4], scores[:4] = 0.0, 0.0  # without this family the intercept is higher
    made = place_unseen(scores, damage, FAMILIES)
    assert rank_correlation(made, damage) > 0.99
    assert (made >= 0).all()
    assert (made <= 1).all()


def test_pairs_of_families_have_no_part_in_their_own_order() -> None:
    scores, families = SCORES[:12], [f"family {i // 4}" for i in range(12)]
    changed = np.where(np.arange(12) < 8, 1 - DAMAGE[:12], DAMAGE[:12])
    # Of three families, the fit that compares the first two has seen the third alone.
    third = fit(scores[8:], DAMAGE[8:12])[1:]
    for damage in (DAMAGE[:12], changed):
        made = place_unseen(scores, damage, families)
        first = np.mean((scores[0] @ third) > (scores[4:8] @ third))
        assert first / 2 <= made[0] <= (first + 1) / 2


def test_choosing_among_noise_does_not_feign_a_correlation() -> None:
    rng = np.random.default_rng(1)
    noise, damage = rng.random((40, 6)), rng.random(40)
    made, _ = left_out_chosen(noise, damage, FAMILIES)
    assert rank_correlation(made, damage) < 0.4


def test_the_interval_holds_the_correlation_and_narrows_with_families() -> None:
    noisy = DAMAGE + 0.3 * RNG.random(40)
    low, high = interval(SCORES[:, 0], noisy, FAMILIES, draws=300)
    assert low < rank_correlation(SCORES[:, 0], noisy) < high
    alone = interval(SCORES[:, 0], noisy, [str(i) for i in range(40)], draws=300)
    few = interval(SCORES[:12, 0], noisy[:12], [str(i) for i in range(12)], draws=300)
    assert alone[1] - alone[0] < few[1] - few[0]


def test_a_constant_has_no_correlation() -> None:
    assert rank_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) == 0.0


@pytest.mark.parametrize("fitter", [fit_shares, fit_losses])
def test_shares_that_formats_leave_to_each_other_are_found_again(fitter: Fit) -> None:
    spoilt = 1 - np.exp(-SCORES[:, :2] @ np.array([1.5, 0.5]))
    found = fitter(SCORES, spoilt, 1e-9)
    assert found == pytest.approx([0.0, 1.5, 0.5, 0.0], abs=0.05)
    made = left_out(SCORES, spoilt, FAMILIES, fitter, "exponential")
    assert np.abs(made - spoilt).max() < 0.02


def test_what_does_no_damage_has_no_weight_and_less_than_none_is_no_error() -> None:
    assert fit_losses(SCORES, -0.1 - SCORES[:, 0]) == pytest.approx([0.0] * 4)


def test_columns_are_chosen_without_the_family_that_is_foretold() -> None:
    seen: list[set[str]] = []

    def choose(scores: Floats, damage: Floats, families: Sequence[str]) -> list[int]:
        seen.append(set(families))
        return [0]

    spoilt = 1 - np.exp(-SCORES[:, 0])
    made, columns = left_out_by(choose, SCORES, spoilt, FAMILIES, fit_shares, "exponential")
    assert columns == [[0]] * 10
    assert [set(FAMILIES) - one for one in seen] == [{f"family {n}"} for n in range(10)]
    assert np.abs(made - spoilt).max() < 0.02
