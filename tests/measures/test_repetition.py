import numpy as np
import pytest
from measured import corpus_of

from synflaw_audit.measures.repetition import SelfRepetition

RNG = np.random.default_rng(0)


def free(words: int) -> str:
    """Words that hardly ever meet twice."""
    return " ".join(f"w{n}" for n in RNG.integers(0, 50_000, words))


FRAMED = [f"so this is what I say {free(10)}" for _ in range(2000)]


def share(answers: list[str], questions: list[str] | None = None, **params: int) -> float:
    return SelfRepetition(**params).score(corpus_of(answers, questions)).value


def test_the_share_counts_n_grams_that_others_say() -> None:
    # 16 words give 13 4-grams, 3 of them in the words that all answers share.
    assert share(FRAMED) == pytest.approx(3 / 13, abs=5e-3)
    assert share(FRAMED, n=2) == pytest.approx(5 / 15, abs=2e-2)
    assert share([free(16) for _ in range(500)]) == pytest.approx(0, abs=1e-3)


def test_a_rare_phrase_counts_by_its_chance_to_be_met() -> None:
    # One row in fifty; a draw of 160 tokens is ten rows, so (1 - 1/50) ** 10 miss it.
    answers = [f"so this is what I say {free(10)}" if n % 50 == 0 else free(16)
               for n in range(5000)]  # fmt: skip
    expected = 3 / 13 / 50 * (1 - 0.98**10)
    assert share(answers, draw=160) == pytest.approx(expected, abs=3e-4)


def test_rows_and_copies_of_the_corpus_do_not_matter() -> None:
    mixed = [row if number % 3 else free(30) for number, row in enumerate(FRAMED)]
    assert share(mixed[:1000]) == pytest.approx(share(mixed), abs=0.01)


def test_answers_to_one_question_do_not_repeat_each_other() -> None:
    texts = [free(12) for _ in range(300)]
    rows = [f"{text} {end}" for text in texts for end in ("x", "y")]
    asked = [f"q{number}" for number in range(300) for _ in range(2)]
    assert share(rows, asked) == 0
    assert share(rows) > 0.5


def test_numbers_are_alike_and_commonest_phrases_are_shown() -> None:
    answers = [f"add {n} and {n + 1} to get {2 * n + 1} {free(5)}" for n in range(300)]
    score = SelfRepetition().score(corpus_of(answers))
    assert score.value > 0.3
    assert score.observed["commonest"][0]["share"] == 1
    assert "and" in score.observed["commonest"][0]["text"]


@pytest.mark.parametrize("params", [{"n": 0}, {"draw": 0}])
def test_parameters_out_of_range_are_refused(params: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(params))):
        SelfRepetition(**params)
