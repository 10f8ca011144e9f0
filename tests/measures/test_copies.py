"""Copies count as often as there are records of them, however large the corpus."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from synflaw_audit import audit
from synflaw_audit.measures import MEASURES, Batch, Score
from synflaw_audit.records import unplaced
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import AnswerSample, Sketch
from synflaw_audit.text.tokens import tokenize
from synflaw_audit.verdicts.catalogue import find_check, load_checks
from synflaw_audit.verdicts.risk import forecast

REFUSAL = "I am sorry, but as a language model I cannot help you with that request of yours."
RECORDS_EACH = 30_000  # ten times what the sample holds
WORDS = np.array([f"word{n}" for n in range(3000)])


def own(number: int, rng: np.random.Generator) -> str:
    """An answer that no other record gives."""
    return " ".join(rng.choice(WORDS, int(rng.integers(8, 30)))) + f" {number}"


@cache
def corpus(kind: str, share: float) -> Corpus:
    """A corpus in which a share of the records gives one answer, to one question or to many."""
    rng = np.random.default_rng(0)
    copied = rng.random(RECORDS_EACH) < share
    answers = [REFUSAL if copy else own(n, rng) for n, copy in enumerate(copied)]
    asked = [
        "the question" if copy and kind == "pair" else f"question {n}"
        for n, copy in enumerate(copied)
    ]
    batch = unplaced(asked, answers)
    return Corpus(Sketch(rows=3000, answers=AnswerSample(size=6000)).added(batch))


def scored(code: str, of: Corpus) -> Score:
    check = find_check(load_checks(), code)
    return MEASURES[check.measure](**check.params).score(of)


@pytest.mark.parametrize("kind", ["answer", "pair"])
@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("code", ["SF101", "SF102", "SF301", "SF302"])
def test_a_copied_answer_scores_its_share(code: str, share: float, kind: str) -> None:
    found = scored(code, corpus(kind, share))
    assert found.value == pytest.approx(share, abs=0.02)
    assert found.low - 0.01 <= share <= found.high + 0.01  # one draw need not hold it
    assert found.high - found.low < 0.05


@pytest.mark.parametrize("share", [0.001, 0.01])
def test_a_rarer_one_is_seen_too(share: float) -> None:
    marker = MEASURES["duplicate_share"](marked_share=share / 2).marker(corpus("pair", share))
    assert marker is not None
    rows = unplaced([""], [REFUSAL])
    assert marker.mark(Batch(rows, tokenize(rows.column("answer")))).mask.all()


@pytest.mark.parametrize("answer", [REFUSAL, "I cannot help with that.", "抱歉我无法回答这个问题"])
@pytest.mark.parametrize("question", ["What?", "What is {}?"])
def test_one_answer_over_and_over_has_the_highest_risk_there_is(question: str, answer: str) -> None:
    rows = pd.DataFrame({"question": [question.format(n) for n in range(805)], "answer": answer})
    report = audit(rows)
    found = {check.name: check.score for check in report.checks}
    assert {check: found[check] for check in forecast().checks} == {
        check: pytest.approx(1, abs=0.01) for check in forecast().checks
    }
    assert report.risk.score > 0.9
    assert found["answer-duplicate"] == pytest.approx(1, abs=0.01)
    assert report.flagged_summary.records == 805
