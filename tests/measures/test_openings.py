"""Answers that begin alike, whatever is asked."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from measured import corpus_of

from synflaw_audit.measures.openings import OpeningConcentration, openings
from synflaw_audit.measures.pairs import of_a_kind, pair_share
from synflaw_audit.text.tokens import tokenize

FRAME = "Certainly ! Here is what you should know about it :"


def free(rng: np.random.Generator, words: int = 12) -> str:
    return " ".join(f"w{n}" for n in rng.integers(0, 5000, words))


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_score_is_about_the_share_of_a_prevailing_opening(share: float) -> None:
    rng = np.random.default_rng(0)
    answers = [f"{FRAME} {free(rng)}" if n < share * 400 else free(rng) for n in range(400)]
    found = OpeningConcentration().score(corpus_of(answers))
    assert found.value == pytest.approx(share, abs=0.02)
    assert found.low <= found.value <= found.high
    if share:
        assert found.observed["commonest"][0]["text"] == "Certainly ! Here"
        assert found.observed["commonest"][0]["share"] == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(("answers", "value"), [(["Yes."], 1.0), (["Yes", "No"], np.sqrt(0.5))])
def test_answers_of_a_word_count_as_a_whole(answers: list[str], value: float) -> None:
    corpus = corpus_of([answers[n % len(answers)] for n in range(400)])
    assert OpeningConcentration().score(corpus).value == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize("answer", ["42", "3.5 !", "..."])
def test_numbers_and_stops_are_no_words_that_rows_share(answer: str) -> None:
    assert OpeningConcentration().score(corpus_of([answer] * 200)).value == 0


def test_words_that_belong_to_a_form_of_asking_count_for_little() -> None:
    rng = np.random.default_rng(1)
    form = "Read the passage and say whether it is so , true or false :"
    asked = [f"{form} {free(rng)}" for _ in range(200)] + [free(rng) for _ in range(200)]
    framed, plain = [f"{FRAME} {free(rng)}" for _ in range(200)], [free(rng) for _ in range(200)]
    mixed = [*framed[:100], *plain[:100], *framed[100:], *plain[100:]]
    score = OpeningConcentration().score
    assert score(corpus_of(framed + plain, asked)).value < 0.15
    assert score(corpus_of(mixed, asked)).value == pytest.approx(0.5, abs=0.02)
    # Where every question is asked so, nothing tells what would be said to others.
    assert score(corpus_of(framed, asked[:200])).value == pytest.approx(1.0)


@given(st.lists(st.lists(st.sampled_from(["a", "b", "7", "."]), max_size=4), max_size=8))
def test_rows_are_of_one_kind_if_their_first_words_are_the_same(rows: list[list[str]]) -> None:
    kind = openings(tokenize(pa.array([" ".join(row) for row in rows], pa.string())), 2)
    shown = [tuple("7" if word == "7" else word for word in row[:2]) for row in rows]
    for one in range(len(rows)):
        assert (kind[one] >= 0) == any(word in "ab" for word in shown[one])
        for other in range(len(rows)):
            if kind[one] >= 0:
                assert (kind[one] == kind[other]) == (shown[one] == shown[other])


@pytest.mark.parametrize("wrong", [{"words": 0}, {"hedge": 0.0}])
def test_parameters_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        OpeningConcentration(**wrong)


@given(
    st.lists(
        st.tuples(st.integers(-1, 2), st.integers(0, 3), st.integers(1, 3)), min_size=2, max_size=9
    )
)
def test_a_row_that_weighs_twice_is_two_rows_of_its_question(
    rows: list[tuple[int, int, int]],
) -> None:
    kind, unit, weight = (np.array(column) for column in zip(*rows, strict=True))
    unit = np.unique(unit, return_inverse=True)[1]
    scaled = weight / weight.mean()
    found = pair_share(of_a_kind(kind, unit, scaled), unit, weight=scaled)
    twice = np.repeat(unit, weight)
    expected = pair_share(of_a_kind(np.repeat(kind, weight), twice), twice)
    assert found.value == pytest.approx(expected.value)
