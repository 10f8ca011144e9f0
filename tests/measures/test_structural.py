from dataclasses import replace

import numpy as np
import pytest
from measured import corpus_of

from synflaw_audit.measures.base import Score
from synflaw_audit.measures.structural import StructuralTokens

RNG = np.random.default_rng(0)


def free(mean: float = 40) -> str:
    """Words drawn by chance, a few of them common, in a text of a random length."""
    words = RNG.zipf(1.5, 4 + RNG.poisson(mean))
    return " ".join(f"w{word}" for word in words)


def score(answers: list[str], top: int = 5) -> Score:
    return StructuralTokens(top).score(corpus_of(answers))


def tokens(found: Score) -> list[str]:
    return [str(token["token"]) for token in found.observed["tokens"]]


def test_words_that_fall_by_chance_are_no_structure() -> None:
    assert score([free() for _ in range(2000)]).value < 0.03


def test_words_that_stand_once_in_every_row_are() -> None:
    found = score([f"Thus: {free()} hence {free()} is so" for _ in range(1000)])
    assert set(tokens(found)) == {"Thus", ":", "hence", "is", "so"}
    assert found.value == pytest.approx(1, abs=0.01)


def test_a_bursty_word_is_no_structure_however_common() -> None:
    answers = [free() + (" gene" * 6 if number % 3 == 0 else "") for number in range(1500)]
    assert "gene" not in tokens(score(answers))


def test_the_number_and_length_of_rows_do_not_matter() -> None:
    answers = [f"Thus {free()} hence" if n % 2 else free() for n in range(4000)]
    whole = score(answers).value
    assert whole > 0.1
    assert score(answers[:1000]).value == pytest.approx(whole, abs=0.03)
    long = [f"Thus {free(120)} hence" if n % 2 else free(120) for n in range(4000)]
    assert score(long).value == pytest.approx(whole, abs=0.03)


def test_the_interval_holds_the_score_of_the_whole() -> None:
    answers = [f"Thus {free()} hence" if n % 2 else free() for n in range(6000)]
    whole = score(answers).value
    parts = [score(answers[at : at + 200]) for at in range(0, 6000, 200)]
    # 95% of 30, less two standard deviations.
    assert sum(part.low <= whole <= part.high for part in parts) >= 26


def test_what_the_reference_spreads_as_evenly_is_taken_off() -> None:
    def written(number: int, word: str) -> list[str]:
        return [f"Thus {free()} {word}" for _ in range(number)]

    corpus, reference = corpus_of(written(500, "hence")), corpus_of(written(500, "so"))
    found = StructuralTokens(2).score(replace(corpus, reference=reference))
    assert tokens(found)[0] == "hence"
    assert "Thus" not in tokens(found)
    assert found.value == pytest.approx(0.5, abs=0.05)
    same = StructuralTokens(2).score(replace(corpus, reference=corpus))
    assert same.value == pytest.approx(0, abs=0.01)


def test_marks_that_end_sentences_do_not_count() -> None:
    assert score([f"{free()}." for _ in range(500)]).value < 0.05


def test_top_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="top"):
        StructuralTokens(0)
