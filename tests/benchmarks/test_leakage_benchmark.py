from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from leakage import (
    added_emission,
    frequent_grams,
    grams,
    rarefied_distinct,
    self_similarity,
)

TEXTS = st.lists(st.text("ab ", max_size=12), min_size=2, max_size=6)


def test_a_gram_is_frequent_by_the_rows_that_hold_it() -> None:
    rows = ["the answer is yes, the answer is yes"] * 5 + [
        f"row {i} says it all" for i in range(95)
    ]
    assert frequent_grams(rows, 0.05) == grams(rows[0])
    assert frequent_grams(rows, 0.06) == set()


def test_no_gram_of_fewer_than_five_rows_is_frequent() -> None:
    assert frequent_grams(["the answer is yes"] * 4, 0.5) == set()


def test_emission_counts_what_the_control_does_not_say() -> None:
    formulas = grams("the answer is yes")
    answers = ["the answer is yes", "So the answer is yes.", "no idea", "none"]
    control = ["the answer is yes", "", "", ""]
    assert added_emission(answers, control, [""] * 4, formulas) == (0.25, 0.25)
    assert added_emission(control, answers, [""] * 4, formulas) == (-0.25, 0.5)


def test_a_formula_that_the_prompt_holds_is_no_leak() -> None:
    formulas = grams("the answer is yes")
    prompts = ["Say: the answer is yes", "Say something"]
    assert added_emission(["the answer is yes"] * 2, ["", ""], prompts, formulas) == (0.5, 0.0)


def test_equal_answers_are_fully_alike_and_disjoint_ones_not_at_all() -> None:
    assert self_similarity(["one two", "one two", "one two"]) == pytest.approx(1)
    assert self_similarity(["one two", "three four"]) == pytest.approx(0)
    assert self_similarity(["", ""]) == pytest.approx(1)


def test_one_answer_has_no_similarity() -> None:
    with pytest.raises(ValueError, match="two answers"):
        self_similarity(["alone"])


@given(TEXTS)
def test_similarity_and_distinctness_are_shares_that_order_does_not_change(
    texts: list[str],
) -> None:
    for measure in (self_similarity, rarefied_distinct):
        value = measure(texts)
        assert 0 <= value <= 1 + 1e-9
        assert measure(texts[::-1]) == pytest.approx(value)


def test_longer_answers_of_the_same_variety_are_not_less_distinct() -> None:
    short = [f"{i} {i + 1} {i + 2}" for i in range(0, 1200, 3)]
    long = [" ".join(str(i + k) for k in range(30)) for i in range(0, 12000, 30)]
    assert rarefied_distinct(long) >= rarefied_distinct(short)


def test_repeating_one_answer_lowers_distinctness() -> None:
    varied = [f"word{i} then word{i + 1000}" for i in range(200)]
    assert rarefied_distinct([varied[0]] * 200) < 0.1 < rarefied_distinct(varied)
