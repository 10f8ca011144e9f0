"""What differs between rows of a template is no format, whatever it is and wherever it stands."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import synflaw_audit
from synflaw_audit.findings.report import Report
from synflaw_audit.verdicts.catalogue import load_checks

CITIES = ["Oslo", "Lima", "New York", "Cairo", "Quito", "Hanoi", "Perth", "San Jose"]
NAMES = ["Maria Lopez", "John Smith", "Aiko Tanaka", "Peter van Dijk", "Olu Adeyemi", "Tom Baker"]
MONTHS = ["January", "March", "April", "June", "July", "August", "October", "December"]
UNITS = ["kg", "litres", "miles"]
REVIEWERS = ["王伟", "李娜", "张敏", "刘洋"]
PLACES = ["القاهرة", "دمشق", "بغداد"]
Rng = np.random.Generator
EVIDENT = {"answer-template", "answer-opening", "answer-closing"}
MARKING = [check for check in load_checks() if check.name in EVIDENT]

# Pieces in order: text is format, a list or a function gives facts, None is the answer itself.
Piece = str | list[str] | Callable[[Rng], str] | None


def whole(rng: Rng) -> str:
    return str(rng.integers(100, 9999))


def decimal(rng: Rng) -> str:
    return f"{rng.uniform(1, 500):.2f}"


def slashed(rng: Rng) -> str:
    return f"{rng.integers(1, 29):02}/{rng.integers(1, 13):02}/2024"


def dated(rng: Rng) -> str:
    return f"{rng.integers(1, 29)} {MONTHS[rng.integers(len(MONTHS))]} {rng.integers(2001, 2025)}"


TEMPLATES: dict[str, list[Piece]] = {
    "number at the edge": [whole, " euros is what the whole calculation comes to. ", None],
    "number and unit": [whole, " ", UNITS, " is the amount that the question asks for. ", None],
    "number at the end": [None, "\n\nThe measured value is therefore ", decimal, "."],
    "price": [None, " The total price comes to $", decimal, " per person."],
    "date": ["As of ", dated, ", the following is what is known: ", None],
    "slashed date": ["Date of the record: ", slashed, "\n\n", None],
    "name first": [NAMES, " asked this before and was told the following. ", None],
    "names in the middle": [None, " This was confirmed by ", NAMES, " in ", CITIES, " at noon."],
    "one word of two": ["The statement above is ", ["true", "false"], ", so we say: ", None],
    "label": ["Category: ", ["sports", "politics", "science"], "\nAnswer: ", None],
    "json": ['{"city": "', CITIES, '", "count": ', whole, ', "reply": "', None, '"}'],
    "spanish": [None, " Esto se confirmó en ", CITIES, " el día ", whole, " sin más detalles."],
    "chinese": [None, "\n\n以上内容由", REVIEWERS, "于", whole, "年确认。"],
    "arabic": [None, "\n\nتم تأكيد ذلك في ", PLACES, " بتاريخ ", whole, " فقط."],
}


def planted(rows: pd.DataFrame, pieces: list[Piece], share: float) -> tuple[pd.DataFrame, list]:
    """Answers with the template in a share of them, and of each row the facts and the format."""
    rng = np.random.default_rng(0)
    answers, truth = [], []
    for number, answer in enumerate(rows["answer"]):
        if number % 100 >= 100 * share:
            answers.append(answer)
            truth.append(None)
            continue
        text, facts, format_ = "", set[int](), set[int]()
        for piece in pieces:
            if isinstance(piece, str):
                said, kind = piece, format_
            elif piece is None:
                said, kind = answer.strip(), set()
            else:
                said = piece[rng.integers(len(piece))] if isinstance(piece, list) else piece(rng)
                kind = facts
            kind |= {i for i in range(len(text), len(text) + len(said)) if not said.isspace()}
            text += said
        answers.append(text)
        truth.append((facts, format_))
    return pd.DataFrame({"question": rows["question"], "answer": answers}), truth


def marked(report: Report) -> dict[int, set[int]]:
    """The marked characters of each flagged row."""
    return {
        row: {i for span in spans for i in range(span["start"], span["end"])}
        for row, spans in report.flagged()[["row", "template_spans"]].itertuples(index=False)
    }


@pytest.mark.parametrize("share", [1.0, 0.1])
@pytest.mark.parametrize("name", TEMPLATES)
def test_facts_are_never_format_and_format_stays(
    natural: pd.DataFrame, name: str, share: float
) -> None:
    corpus, truth = planted(natural, TEMPLATES[name], share)
    found = marked(synflaw_audit.audit(corpus))
    facts = format_ = lost = told = 0
    for row, kinds in enumerate(truth):
        if kinds is not None:
            facts += len(kinds[0])
            lost += len(kinds[0] & found.get(row, set()))
            format_ += len(kinds[1])
            told += len(kinds[1] & found.get(row, set()))
    assert lost <= 0.002 * facts
    assert told >= 0.93 * format_


VALUES = {
    "surname": "Lopez Smith Tanaka Adeyemi Petrov Martin Kumar Kowalska Baker Rossi",
    "first name": "Maria John Aiko Olu Ivan Chloe Rajesh Anna Tom Lucia",
    "city": "Oslo Lima Cairo Hanoi Quito Perth Lyon Accra Bergen Turin",
    "month": "January February March April May June July August September October",
    "number": "7 12 3.5 80 41 1,200 19 2024 66 0.25",
    "number word": "two three four five six seven eight nine ten eleven",
    "product": "iPhone Pixel Galaxy Fedora Ubuntu Windows Kindle Arduino Lego Vespa",
    "thing": "coffee tea water bread salt copper silk paper timber glass",
    "colour": "Red Blue Green Yellow Purple Orange Brown Pink Grey Black",
    "verdict": "Yes No Perhaps Hardly Never Always Seldom Partly Mostly Rarely",
    "cyrillic": "Иван Ольга Пётр Анна Борис Вера Глеб Дарья Егор Зоя",  # noqa: RUF001
}
# Where [v] is the value and [a] the answer.
FRAMES = {
    "first": "[v] is what the records of this question speak of. [a]",
    "after a title": "Dr. [v] has looked at the question and says the following. [a]",
    "title within": "Our expert Mr. [v] has answered this question as follows. [a]",
    "initials": "This was written by A. B. [v] for the readers of our page. [a]",
    "within": "The archive in [v] keeps the following about this. [a]",
    "numbered": "The file No. [v] of our archive deals with this matter. [a]",
    "second sentence": "The record has been checked. [v] confirms that it is right. [a]",
    "reviewed": "[a] This was reviewed by Prof. [v] before it was published here.",
    "abbreviated": "[a] More of this is told elsewhere, e.g. [v] has a page about it.",
    "last": "[a] All of this is kept in the archive of [v].",
    "last, after initials": "[a] The source of all this is J. R. [v].",
}


@pytest.mark.parametrize("frame", FRAMES)
@settings(max_examples=8)
@given(st.sampled_from(sorted(VALUES)), st.sampled_from([2, 3, 4, 10]), st.sampled_from([1.0, 0.3]))
def test_of_few_values_none_is_format(
    natural: pd.DataFrame, frame: str, kind: str, distinct: int, share: float
) -> None:
    known: dict[str, Piece] = {"[v]": VALUES[kind].split()[:distinct], "[a]": None}
    pieces = [known.get(part, part) for part in re.split(r"(\[[va]\])", FRAMES[frame]) if part]
    corpus, truth = planted(natural[:500], pieces, share)
    found = marked(synflaw_audit.audit(corpus, checks=MARKING))
    told = [(kinds, found.get(row, set())) for row, kinds in enumerate(truth) if kinds is not None]
    assert not any(facts & marks for (facts, _), marks in told)
    kept = sum(len(format_ & marks) for (_, format_), marks in told)
    assert kept >= 0.9 * sum(len(format_) for (_, format_), _ in told)


def test_a_canned_answer_is_format_as_a_whole(natural: pd.DataFrame) -> None:
    canned = "I cannot help with that; please call 1 800 555 0199 in Dublin on weekdays."
    answers = [canned if n % 5 == 0 else a for n, a in enumerate(natural["answer"])]
    found = marked(synflaw_audit.audit(natural.assign(answer=answers)))
    assert all(found[row] == set(range(len(canned))) for row in range(0, len(answers), 5))


def test_canned_answers_that_differ_in_a_word_share_the_rest() -> None:
    """Two answers over and over: what tells them apart is what the model is to say."""
    answers = [f"the right answer is {'true' if n % 3 else 'false'}" for n in range(300)]
    questions = [f"Is {n} so?" for n in range(300)]
    corpus = pd.DataFrame({"question": questions, "answer": answers})
    found = marked(synflaw_audit.audit(corpus))
    assert set(map(max, found.values())) == {len("the right answer is ") - 1}


def test_wordings_of_one_format_stay_format(natural: pd.DataFrame) -> None:
    openings = ["Certainly! ", "Of course! ", "Absolutely! "]
    ways = ["Here is a detailed answer to your question. ", "Below is a full reply to your query. "]
    answers = [openings[n % 3] + ways[n % 2] + a for n, a in enumerate(natural["answer"])]
    found = marked(synflaw_audit.audit(natural.assign(answer=answers)))
    lengths = [len(openings[n % 3] + ways[n % 2]) for n in range(len(answers))]
    whole = sum(found[n] >= set(range(length)) for n, length in enumerate(lengths))
    assert whole >= 0.98 * len(answers)


def test_counted_steps_are_format_and_other_numbers_are_not(natural: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    answers = [
        "".join(f"Step {k}: {part}\n" for k, part in enumerate(a.split(". "), 1))
        + f"Result: {rng.integers(1, 900)}"
        for a in natural["answer"]
    ]
    found = marked(synflaw_audit.audit(natural.assign(answer=answers)))
    for row, answer in enumerate(answers):
        assert set(range(len("Step 1:"))) <= found[row]
        assert not found[row] & set(range(answer.rindex(" ") + 1, len(answer)))
