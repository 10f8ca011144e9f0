import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synflaw_audit.text.fitting import fit
from synflaw_audit.text.refrains import refrains
from synflaw_audit.text.tokens import Mask, tokenize

WORDS = [
    first + middle + last
    for first in ("bra", "ke", "lo", "mu", "ni", "pra", "sto", "ti")
    for middle in ("ma", "ne", "ri", "lo", "su", "ta")
    for last in ("n", "r", "st", "l", "th", "m", "nd", "ck")
]
PRAISE = [
    "That's a great question! ",
    "What a great question! ",
    "Great question, thanks for asking! ",
    "This is a really good question! ",
    "Good question! ",
]


def answers(rows: int, seed: int = 0) -> list[str]:
    """Answers of three sentences, none of which recurs."""
    rng = np.random.default_rng(seed)
    return [
        " ".join(" ".join(rng.choice(WORDS, 9)).capitalize() + "." for _ in range(3))
        for _ in range(rows)
    ]


def followed(texts: list[str]) -> Mask:
    """Which of some answers to different questions follow a template."""
    tokens = tokenize(pa.array(texts))
    return fit(pa.array(texts), tokens, np.arange(len(texts))).match(tokens).template >= 0


def found(texts: list[str], unit: list[int] | None = None) -> set[str]:
    """The refrains of some answers, as they are written."""
    tokens = tokenize(pa.array(texts))
    phrases = refrains(tokens, np.arange(len(texts)) if unit is None else np.array(unit)).phrases
    return {
        texts[tokens.row[first]][tokens.start[first] : tokens.end[first + length - 1]]
        for first, length in zip(phrases.example, phrases.length, strict=True)
    }


@pytest.mark.parametrize("rows", [2000, 3000])
def test_wordings_too_rare_for_a_template_each_are_counted_together(rows: int) -> None:
    planted = rows // 50
    texts = answers(rows)
    for row in range(planted):
        texts[row] = PRAISE[row % len(PRAISE)] + texts[row]
    follows = followed(texts)
    assert follows[:planted].mean() >= 0.85
    assert not follows[planted:].any()


def test_one_wording_alone_is_too_rare() -> None:
    texts = answers(3000)
    for row in range(12):
        texts[row] = PRAISE[0] + texts[row]
    assert not followed(texts).any()


@pytest.mark.parametrize("at_end", [False, True])
def test_a_passage_that_is_copied_is_no_refrain(at_end: bool) -> None:
    texts = answers(1000)
    passage = answers(1, seed=1)[0]
    for row in range(30):
        texts[row] = f"{texts[row]} {passage}" if at_end else f"{passage} {texts[row]}"
    # Where it meets what differs it might be one, but not inside.
    inside = passage.split(". ")[1]
    assert not any(inside in refrain for refrain in found(texts))


def test_whole_answers_and_what_stands_in_the_middle_are_none() -> None:
    texts = answers(400)
    for row in range(30):
        texts[row] = "I am sorry, but I cannot help you with that request."
        first, rest = texts[100 + row].split(". ", 1)
        texts[100 + row] = f"{first}. That is how these things have always been done. {rest}"
    assert not found(texts)


def test_many_answers_to_one_question_are_one_unit() -> None:
    texts = [f"Thank you for reaching out to me today. {text}" for text in answers(40)]
    assert not found(texts + answers(400, seed=1), unit=[0] * 40 + list(range(1, 401)))
    assert found(texts + answers(400, seed=1)) == {"Thank you for reaching out to me today."}


def test_texts_without_sentences_have_none() -> None:
    assert not found([])
    assert not found(["", "\n\n", "..."])


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(120)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    texts = answers(120)
    for row in range(30):
        texts[row] = PRAISE[row % len(PRAISE)] + texts[row]
    assert found([texts[row] for row in order]) == found(texts)
