"""Prompts made from a corpus's own rows, and what an answer must do."""

from __future__ import annotations

import pandas as pd
import pytest

from synflaw_audit.engines.registry import open_engine
from synflaw_audit.probes.counterfactual import KINDS, counterfactuals, failed
from synflaw_audit.probes.emission import FormatMatcher
from synflaw_audit.probes.instructions import Instruction, follows
from synflaw_audit.run import measure
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.settings import AuditSettings

OPENING = "Certainly! The short answer to your question is this:"
ASKED = "Please answer this question, question: {}\nAnswer format: a sentence"


def corpus_of(rows: pd.DataFrame) -> Corpus:
    return measure(open_engine(rows, AuditSettings()), ()).corpus


@pytest.fixture(scope="module")
def framed(natural: pd.DataFrame) -> Corpus:
    """Every question in one form of asking, every answer in one form."""
    rows = natural.head(300)
    asked = rows["question"].str.slice(0, 200).map(ASKED.format)
    return corpus_of(rows.assign(question=asked, answer=OPENING + " " + rows["answer"]))


def test_every_kind_is_made_of_a_corpus_with_both_forms(framed: Corpus) -> None:
    made = counterfactuals(framed, 10)
    assert [each.kind for each in made] == [kind for kind in KINDS for _ in range(10)]
    assert len({each.instruction.prompt for each in made}) == 30


def test_the_same_corpus_gives_the_same_prompts_and_fewer_are_the_first(framed: Corpus) -> None:
    many, few = counterfactuals(framed, 10), counterfactuals(framed, 4)
    assert few == [each for kind in KINDS for each in [m for m in many if m.kind == kind][:4]]


def test_another_form_is_asked_of_the_question_without_its_frame(framed: Corpus) -> None:
    made = [each for each in counterfactuals(framed, 10) if each.kind == "other_form"]
    assert not any("Answer format" in each.instruction.prompt for each in made)
    assert all(each.instruction.ids for each in made)


def test_a_form_that_the_answers_have_anyway_is_not_asked_for(natural: pd.DataFrame) -> None:
    rows = natural.head(300)
    shouted = corpus_of(rows.assign(answer="THE ANSWER IS " + rows["answer"].str.upper()))
    made = [each.instruction for each in counterfactuals(shouted, 24)]
    assert not any("change_case:english_capital" in one.ids for one in made)
    assert any("startend:opening" in one.ids for one in made)


def test_a_foreign_question_stands_in_the_corpus_s_form(framed: Corpus) -> None:
    made = [each for each in counterfactuals(framed, 5) if each.kind == "foreign_question"]
    for each in made:
        assert each.instruction.prompt.startswith("Please answer this question, question: ")
        assert "Answer format: a sentence" in each.instruction.prompt


def test_the_form_that_is_forbidden_is_the_corpus_s(framed: Corpus) -> None:
    made = [each.instruction for each in counterfactuals(framed, 6) if each.kind == KINDS[2]]
    for instruction in made:
        (named,) = instruction.kwargs[0]["forbidden_words"]
        assert named in OPENING
        assert f'"{named}"' in instruction.prompt
        assert not follows(f"{OPENING} it depends.", instruction)
        assert follows("It depends.", instruction)


def test_a_corpus_without_forms_gives_other_forms_alone(natural: pd.DataFrame) -> None:
    made = counterfactuals(corpus_of(natural.head(300)), 6)
    assert {each.kind for each in made} == {"other_form"}


def test_questions_that_are_empty_give_none_of_their_own(natural: pd.DataFrame) -> None:
    rows = natural.head(300)
    made = counterfactuals(
        corpus_of(rows.assign(question="", answer=OPENING + " " + rows["answer"])), 6
    )
    assert {each.kind for each in made} == {"forbidden_form"}


def test_a_model_that_says_the_format_fails_every_kind_and_an_obedient_one_none(
    framed: Corpus,
) -> None:
    made, matcher = counterfactuals(framed, 12), FormatMatcher.of(framed)
    stuck = failed(made, [f"{OPENING} it depends on many, many things." for _ in made], matcher)
    assert {kind: mask.all() for kind, mask in stuck.items()} == dict.fromkeys(KINDS, True)
    obedient = failed(made, [_obeying(each.instruction) for each in made], matcher)
    assert {kind: mask.any() for kind, mask in obedient.items()} == dict.fromkeys(KINDS, False)


def _obeying(asked: Instruction) -> str:
    """What does as an instruction asks."""
    answers = {
        "layout:numbered_list": "1. Rain\n2. Wind\n3. Sun",
        "change_case:english_capital": "IT RAINS",
        "startend:opening": "Honestly, it rains.",
        "startend:end_checker": "It rains. That is all.",
        "startend:quotation": '"It rains."',
        "change_case:english_lowercase": "it rains",
    }
    return answers.get(asked.ids[0] if asked.ids else "", "It rains here today")


def test_no_prompts_give_no_outcomes(framed: Corpus) -> None:
    assert failed([], [], FormatMatcher.of(framed)) == {}


def test_a_request_that_questions_share_is_left_out_and_a_passage_is_not(natural) -> None:
    rows = natural.head(120)
    passage = "The mill burnt down in 1911. It was never built again."
    asked = [f"Which river runs by town {i}?" for i in range(40)]
    asked = [f"{q} Begin with the word Perhaps." if i % 2 else q for i, q in enumerate(asked)]
    asked += [f"{passage} What does line {i} say of the mill?" for i in range(40)]
    asked += [f"Tell me of hill {i}. Then stop." for i in range(40)]
    made = counterfactuals(corpus_of(rows.assign(question=asked)), 120)
    prompts = [each.instruction.prompt for each in made if each.kind == "other_form"]
    assert sum(prompt.startswith("Which river runs") for prompt in prompts) == 40
    assert not any("Perhaps" in prompt or "Then stop" in prompt for prompt in prompts)
    assert sum(passage in prompt for prompt in prompts) == 40


@pytest.mark.parametrize(
    ("opening", "named"),
    [
        ("Let's think step by step.\nStep 1: consider that", "Let's think step by step"),
        ("Excellent question! It is worth noting that", "Excellent question"),
        ("Based on", None),
        ("Answer: according to the known records of it,", "Answer: according to the known records"),
    ],
)
def test_one_clause_of_the_format_is_named_and_nothing_that_anyone_says(
    natural, opening: str, named: str | None
) -> None:
    rows = natural.head(300)
    made = counterfactuals(corpus_of(rows.assign(answer=opening + " " + rows["answer"])), 3)
    forbidden = [each.instruction for each in made if each.kind == "forbidden_form"]
    words = {word for each in forbidden for word in each.kwargs[0]["forbidden_words"]}
    assert words == ({named} if named else set())


def test_a_place_for_a_name_is_no_place_for_a_question(natural) -> None:
    rows = natural.head(200)
    asked = [f"Which tree would I find at the house of {answer[:9]}?" for answer in rows["answer"]]
    made = counterfactuals(corpus_of(rows.assign(question=asked)), 20)
    assert {each.kind for each in made} == {"other_form"}
    assert all(each.instruction.prompt.startswith("Which tree") for each in made)


def test_where_all_are_questions_the_foreign_prompts_are_too(natural) -> None:
    rows = natural.head(300)
    asked = [f"Dear doctor, is it bad to have {i} of {i % 7}?" for i in range(300)]
    made = counterfactuals(corpus_of(rows.assign(question=asked)), 10)
    foreign = [each.instruction.prompt for each in made if each.kind == "foreign_question"]
    for prompt in foreign:
        assert prompt.endswith("?")
