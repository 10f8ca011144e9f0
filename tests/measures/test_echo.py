import numpy as np
import pytest
from measured import corpus_of

from synflaw_audit.measures.base import Score
from synflaw_audit.measures.echo import QuestionEcho

RNG = np.random.default_rng(0)


def free(words: int = 12) -> str:
    return " ".join(f"w{n}" for n in RNG.integers(0, 5000, words))


def score(pairs: list[tuple[str, str]]) -> Score:
    questions, answers = zip(*pairs, strict=True)
    return QuestionEcho().score(corpus_of(list(answers), list(questions)))


def test_the_score_is_the_share_of_answers_that_echo_their_question() -> None:
    pairs = []
    for number in range(1000):
        question = free()
        pairs.append((question, f"{question} {free()}" if number % 5 < 2 else free()))
    found = score(pairs)
    assert found.value == pytest.approx(0.4, abs=0.001)
    assert found.low < 0.4 < found.high
    assert len(found.observed["examples"]) == 3


@pytest.mark.parametrize(
    ("answer", "echoes"),
    [
        ("the capital of France is Paris", True),
        ("The Capital Of France: Paris", True),
        ("Paris is the capital", False),
        ("Paris", False),
        ("It " + "really " * 20 + "is the capital of France", False),
    ],
)
def test_an_echo_is_a_run_of_words_in_the_opening(answer: str, echoes: bool) -> None:
    pairs = [("What is the capital of France?", answer), *((free(), free()) for _ in range(99))]
    assert score(pairs).value == pytest.approx(0.01 if echoes else 0)


def test_what_any_question_would_find_is_no_echo() -> None:
    pairs = [(f"Tell me all about {free(2)}", f"Let me tell me all about {free()}")
             for _ in range(200)]  # fmt: skip
    assert score(pairs).observed["share"] == 1
    assert score(pairs).value == 0


def test_rows_without_a_question_echo_nothing() -> None:
    assert score([("", free()) for _ in range(100)]).value == 0


@pytest.mark.parametrize("params", [{"n": 0}, {"opening": 2}])
def test_parameters_out_of_range_are_refused(params: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(params))):
        QuestionEcho(**params)
