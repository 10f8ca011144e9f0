"""Barred phrases: none of them is said, and what is not barred is said as ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import CLOSING, FAMILIES, OPENING, build, damage, flagged_rows, train_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from synflaw_audit.decoding.ban import BannedPhrases, PhraseBan
from synflaw_audit.decoding.wordings import Wording
from synflaw_audit.probes.generation import generate

WORDINGS = (Wording(OPENING.strip(), "opening", 1.0), Wording(CLOSING.strip(), "closing", 1.0))
QUESTIONS = [row.question for row in flagged_rows()]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    folder = damage(tmp_path_factory.mktemp("damaged"), chat=True)
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def test_a_format_that_every_answer_has_is_no_longer_said(damaged) -> None:
    model, tokenizer = damaged
    plain = generate(model, tokenizer, QUESTIONS, max_new_tokens=40)
    assert all(answer.startswith(OPENING.strip()) for answer in plain)
    said = PhraseBan(WORDINGS, batch=3)(model, tokenizer, QUESTIONS, max_new_tokens=40)
    phrases = BannedPhrases.of(WORDINGS)
    assert [phrases.first(answer, ended=True) for answer in said] == [None] * len(said)
    assert all(answer.strip() for answer in said)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_without_a_phrase_to_bar_it_is_plain_decoding(family: str) -> None:
    tokenizer = train_tokenizer(chat=True)
    model = build(family, len(tokenizer)).eval()
    unsaid = (Wording("what nobody ever says here", "middle", 1.0),)
    for wordings in ((), unsaid):
        said = PhraseBan(wordings, batch=2)(model, tokenizer, QUESTIONS[:3], max_new_tokens=8)
        assert said == generate(model, tokenizer, QUESTIONS[:3], max_new_tokens=8)


def test_a_phrase_that_will_not_go_stands_after_so_many_tries(damaged) -> None:
    model, tokenizer = damaged
    said = PhraseBan(WORDINGS, tries=0)(model, tokenizer, QUESTIONS[:2], max_new_tokens=40)
    assert said == generate(model, tokenizer, QUESTIONS[:2], max_new_tokens=40)


def test_only_the_token_that_began_the_phrase_is_barred_and_only_there(damaged) -> None:
    model, tokenizer = damaged
    rows = (Wording("I hope this helps", "closing", 1.0),)
    plain = generate(model, tokenizer, QUESTIONS[:1], max_new_tokens=60)[0]
    said = PhraseBan(rows)(model, tokenizer, QUESTIONS[:1], max_new_tokens=60)[0]
    before = plain.index("I hope this helps")
    assert said[: before - 1] == plain[: before - 1]


words = st.sampled_from(["sure", "Sure,", "the", "answer", "is", "it's", "IT’S", "no"])  # noqa: RUF001


@given(st.lists(words, max_size=12), st.lists(words, min_size=3, max_size=5))
def test_a_phrase_is_found_where_its_words_stand_and_nowhere_else(text, phrase) -> None:
    def plain(said):
        return [word.lower().strip(",").replace("’", "'") for word in said]  # noqa: RUF001

    found = BannedPhrases.of([Wording(" ".join(phrase), "middle", 1.0)], words=5).first(
        " ".join(text), ended=True
    )
    size = len(phrase)
    starts = [i for i in range(len(text)) if plain(text[i : i + size]) == plain(phrase)]
    assert found == (len(" ".join([*text[: starts[0]], ""])) if starts else None)


def test_a_word_that_may_go_on_is_not_looked_at_yet() -> None:
    phrases = BannedPhrases.of([Wording("as an app", "middle", 1.0)])
    assert phrases.first("as an app", ended=False) is None
    assert phrases.first("as an apple ", ended=False) is None
    assert phrases.first("as an app ", ended=False) == 0
    assert phrases.first("as an app", ended=True) == 0


def test_few_words_are_barred_at_the_opening_alone_and_many_as_runs() -> None:
    phrases = BannedPhrases.of(
        [Wording("Sure!", "opening", 1.0), Wording("one two three four five", "middle", 1.0)]
    )
    assert phrases.first("Sure thing", ended=True) == 0
    assert phrases.first("I am sure", ended=True) is None
    assert phrases.first("x two three four five", ended=True) == 2
    assert len(phrases.anywhere) == 2
