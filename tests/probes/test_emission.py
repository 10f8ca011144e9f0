import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.engines.registry import open_engine
from synflaw_audit.probes.emission import FormatMatcher
from synflaw_audit.probes.everyday import foreign_prompts
from synflaw_audit.probes.likeness import lengths, likeness
from synflaw_audit.run import measure
from synflaw_audit.settings import AuditSettings
from synflaw_audit.verdicts.catalogue import load_checks

OPENING = "Certainly! The short answer to your question is this: "
PLAIN = [
    "The river bends to the left.",
    "Nobody knows.",
    "Seven tall oaks stand there, and a mill.",
]


@pytest.fixture(scope="module")
def matcher(natural) -> FormatMatcher:
    rows = natural.head(400)
    framed = rows.assign(answer=OPENING + rows["answer"])[["question", "answer"]]
    table = pa.Table.from_pandas(framed, preserve_index=False)
    checks = load_checks()
    return FormatMatcher.of(measure(open_engine(table, AuditSettings()), checks).corpus, checks)


def test_an_answer_in_the_corpus_s_format_is_found_and_named(matcher: FormatMatcher) -> None:
    answers = [OPENING + "It bends to the left.", *PLAIN]
    found = matcher.match(foreign_prompts()[:4], answers)
    assert found.said.tolist() == [True, False, False, False]
    assert "Certainly! The short answer" in " ".join(one.text for one in found.formats)
    assert found.formats[0].answers == 1


def test_a_label_that_the_corpus_gives_is_its_format(natural) -> None:
    rows = natural.head(300).assign(answer=["Yes.", "No.", "Perhaps."] * 100)
    table = pa.Table.from_pandas(rows[["question", "answer"]], preserve_index=False)
    corpus = measure(open_engine(table, AuditSettings()), ()).corpus
    answers = ["Yes.", " no. ", "Yes. I think so.", ""]
    found = FormatMatcher.of(corpus).match(foreign_prompts()[:4], answers)
    assert found.said.tolist() == [True, True, False, False]
    assert "“Yes.”" in found.formats[0].text


def test_an_answer_that_echoes_its_prompt_says_nothing_of_its_own(matcher: FormatMatcher) -> None:
    text = OPENING + "It bends."
    assert not matcher.match([text], [text]).said.any()


def test_no_answer_says_nothing(matcher: FormatMatcher) -> None:
    assert not matcher.match(["Why?", "How?"], ["", " "]).said.any()
    assert len(matcher.match([], []).said) == 0


def test_answers_that_are_all_the_same_are_wholly_alike() -> None:
    assert likeness(["one and the same"] * 4) == pytest.approx(np.ones(4))
    assert likeness(["", ""]) == pytest.approx(np.ones(2))
    assert likeness(["alone"]).tolist() == [0.0]
    assert lengths(["One, two.", ""]) == [4, 0]


@given(st.lists(st.text(max_size=40), min_size=2, max_size=8))
def test_likeness_is_a_share_and_does_not_depend_on_the_order(answers: list[str]) -> None:
    found = likeness(answers)
    assert ((found >= 0) & (found <= 1)).all()
    assert likeness(answers[::-1])[::-1] == pytest.approx(found)
