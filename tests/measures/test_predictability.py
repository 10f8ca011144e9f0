import numpy as np
import pytest
from measured import corpus_of

from synflaw_audit.measures.base import Score
from synflaw_audit.measures.predictability import FormatPredictability

RNG = np.random.default_rng(0)
FRAME = "Certainly ! Here is what you should know about it :"


def free(words: int = 20) -> str:
    return " ".join(f"w{n}" for n in RNG.integers(0, 500, words))


def score(answers: list[str], questions: list[str] | None = None) -> Score:
    return FormatPredictability().score(corpus_of(answers, questions))


def test_free_answers_are_not_explained() -> None:
    assert score([free() for _ in range(600)]).value == 0


def test_the_score_is_the_share_of_bits_that_templates_carry() -> None:
    # Every answer is 11 words of format and 20 drawn from 500, which have 31 tokens in all.
    found = score([f"{FRAME} {free()}" for _ in range(800)])
    format_bits, content_bits = 11 * np.log2(33), 20 * np.log2(33 / 20 * 500)
    assert found.value == pytest.approx(format_bits / (format_bits + content_bits), abs=0.02)
    assert found.observed["rows_with_a_template"] == 1
    assert found.observed["fixed_tokens"] == pytest.approx(11 / 31, abs=0.01)
    assert found.low < found.value < found.high


def test_a_template_of_one_question_explains_no_other() -> None:
    # Each question has a phrase of its own, so what one half teaches says nothing of the other.
    phrases = [free(12) for _ in range(20)]
    answers = [f"{phrases[n % 20]} {free()}" for n in range(600)]
    asked = [f"q{n % 20}" for n in range(600)]
    grouped = score([*answers, *(free() for _ in range(200))],
                    [*asked, *(f"r{n}" for n in range(200))])  # fmt: skip
    assert grouped.value < 0.02
    assert score(answers).value > 0.2


def test_what_the_question_says_is_not_fixed() -> None:
    answers = [f"{FRAME} {free()}" for _ in range(400)]
    asked = [f"Begin with {FRAME} {n}" for n in range(400)]
    found = score(answers, asked)
    assert found.value > 0.2
    assert found.observed["fixed_tokens"] == pytest.approx(0, abs=0.01)


def test_neither_number_nor_share_of_rows_needs_the_whole() -> None:
    answers = [f"{FRAME} {free()}" if n % 2 else free() for n in range(2400)]
    whole = score(answers).value
    assert whole > 0.05
    assert score(answers[:600]).value == pytest.approx(whole, abs=0.02)


def test_rows_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        FormatPredictability(1)
