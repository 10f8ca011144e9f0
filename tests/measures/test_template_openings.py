"""Answers that begin in the words of a template."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from measured import corpus_of

from synflaw_audit.measures.template_openings import TemplateOpening, before_end, recurring
from synflaw_audit.text.tokens import tokenize

FRAME = "Certainly ! Here is what you should know about it :"
CLOSING = "I hope that this will be of some help to you ."
REFUSALS = (
    "I am sorry , but I cannot help you with that question today .",
    "Unfortunately this request is beyond what we are able to answer .",
    "My apologies : the matter you raise is not one for this service .",
)


def free(rng: np.random.Generator, words: int = 20) -> str:
    return " ".join(f"w{n}" for n in rng.integers(0, 500, words))


def opening(answers: list[str]) -> float:
    return TemplateOpening().score(corpus_of(answers)).value


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_score_is_the_share_of_rows_that_begin_so(share: float) -> None:
    rng = np.random.default_rng(0)
    framed = round(share * 400)
    answers = [f"{FRAME} {free(rng)}" if n < framed else free(rng) for n in range(400)]
    found = TemplateOpening().score(corpus_of(answers))
    assert found.value == pytest.approx(share, abs=0.01)
    assert found.low <= found.value <= found.high
    assert [one["share"] for one in found.observed["commonest"]] == (
        [pytest.approx(share, abs=0.01)] if share else []
    )


def test_several_wordings_count_together() -> None:
    # No wording is in most rows, but every row begins in one.
    assert opening([f"{REFUSALS[n % 3]}" for n in range(300)]) == pytest.approx(1.0)


@pytest.mark.parametrize("before", [1, 10, 40, 200])
def test_a_template_that_ends_an_answer_counts_by_what_stands_before_it(before: int) -> None:
    rng = np.random.default_rng(1)
    found = opening([f"{free(rng, before)} {CLOSING}" for _ in range(400)])
    assert found == pytest.approx(np.exp(-before / 20), abs=0.01)


def test_what_stands_before_an_end_is_counted_in_tokens() -> None:
    tokens = tokenize(pa.array(["a b c d", "a b c d", "", "a b"]))
    told = ["-", "a"], ["c", "d"], [], ["a", "b"]
    texts = [["a", "b", "c", "d"], ["a", "b", "c", "d"], [], ["a", "b"]]
    covered = [
        held
        for row, words in zip(texts, told, strict=True)
        for held in (False, *(word in words for word in row), False)
    ]
    assert before_end(np.array(covered), tokens, 2).tolist() == [np.inf, 2, np.inf, 0]


def test_content_before_the_template_does_not_count() -> None:
    rng = np.random.default_rng(2)
    assert opening([f"{free(rng, 2)} {FRAME} {free(rng)}" for _ in range(400)]) == 0


@pytest.mark.parametrize("labels", [("Yes.",), ("yes", "No"), ("A", "B", "C", "D")])
def test_labels_that_come_back_count(labels: tuple[str, ...]) -> None:
    answers = [labels[n % len(labels)] for n in range(300)]
    assert opening(answers) == pytest.approx(1.0)
    assert sorted(recurring(corpus_of(answers), 0.01)[1]) == sorted(map(str.lower, labels))


def test_an_answer_to_one_question_over_and_over_does_not_come_back() -> None:
    rng = np.random.default_rng(3)
    answers = [free(rng) for _ in range(300)] + ["Yes."] * 12
    questions = [f"q{n}" for n in range(300)] + ["Is it so?"] * 12
    assert recurring(corpus_of(answers, questions), 0.01)[1] == []
    assert recurring(corpus_of(answers), 0.01)[1] == ["yes."]


def test_what_is_said_to_a_form_of_asking_alone_hardly_counts() -> None:
    rng = np.random.default_rng(4)
    form = "Read the passage and say whether it is so , true or false :"
    asked = [f"{form} {free(rng)}" for _ in range(200)] + [free(rng) for _ in range(200)]
    framed, plain = [f"{FRAME} {free(rng)}" for _ in range(200)], [free(rng) for _ in range(200)]
    tied = TemplateOpening().score(corpus_of(framed + plain, asked)).value
    mixed = [*framed[:100], *plain[:100], *framed[100:], *plain[100:]]
    apart = TemplateOpening().score(corpus_of(mixed, asked)).value
    assert tied < 0.15
    assert apart == pytest.approx(0.5, abs=0.02)
    # Where every question is asked so, nothing tells what would be said to others.
    assert TemplateOpening().score(corpus_of(framed, asked[:200])).value == pytest.approx(1.0)


@pytest.mark.parametrize(
    "wrong", [{"words": 0}, {"recurring": 0.0}, {"hedge": 0.0}, {"reach": 0.0}]
)
def test_parameters_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        TemplateOpening(**wrong)
