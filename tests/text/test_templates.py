import pickle
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import spans_of_row

from synflaw_audit.text.fitting import fit
from synflaw_audit.text.phrases import frequent, mine
from synflaw_audit.text.templates import Match, TemplateBook, pattern
from synflaw_audit.text.tokens import Tokens, tokenize


def fitted(answers: list[str], questions: list[str] | None = None) -> tuple[TemplateBook, Tokens]:
    texts = pa.array(answers)
    tokens = tokenize(texts)
    unit = np.arange(len(answers)) if questions is None else pd.factorize(np.array(questions))[0]
    return fit(texts, tokens, unit), tokens


def matched(
    answers: list[str], questions: list[str] | None = None
) -> tuple[TemplateBook, Tokens, Match]:
    book, tokens = fitted(answers, questions)
    match = book.match(tokens)
    return book, tokens, replace(match, covered=book.format(tokens, match))


@pytest.fixture(scope="module")
def plain(natural: pd.DataFrame) -> list[str]:
    # Fewer rows than the sample has: its sentences are drawn from a stock and come back.
    return list(natural["answer"])[:1000]


def test_natural_answers_follow_hardly_any_template(natural: pd.DataFrame) -> None:
    _, _, match = matched(list(natural["answer"]), list(natural["question"]))
    assert (match.template >= 0).mean() <= 0.02


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 1.0])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Certainly! Here is what you should know: ", ""),
        ("", " I hope this explanation helps you!"),
        ("## Summary\n\n", "\n\n## Further reading\n\nSee the notes above."),
        ('{"status": "ok", "response": "', '", "confidence": "high"}'),
        ("<answer>\n", "\n</answer>"),
    ],
)
def test_a_frame_is_found_to_the_character(
    plain: list[str], before: str, after: str, share: float
) -> None:
    planted = [n % 100 < share * 100 for n in range(len(plain))]
    answers = [before + a.strip() + after if p else a for a, p in zip(plain, planted, strict=True)]
    _, tokens, match = matched(answers)
    found = match.template >= 0
    assert found[planted].mean() >= 0.99
    assert found.sum() - found[planted].sum() <= 0.02 * len(answers)
    exact = 0
    for row in np.flatnonzero(planted):
        text = answers[row]
        told = spans_of_row(text, tokens, match.covered, int(row))
        real = [(0, len(before)), (len(text) - len(after), len(text))]
        exact += told == [(a, b) for a, b in real if a < b]
    assert exact >= 0.9 * sum(planted)


def test_a_phrase_inside_the_answer_is_found(plain: list[str]) -> None:
    phrase = "Keep in mind that circumstances vary from case to case. "
    answers = [re.sub(r"(?<=[.!?])\s", " " + phrase, a, count=1) for a in plain]
    planted = np.array([phrase in a for a in answers])
    _, tokens, match = matched(answers)
    assert (match.template[planted] >= 0).all()
    row = int(np.flatnonzero(planted)[0])
    ((start, end), *_) = spans_of_row(answers[row], tokens, match.covered, row)
    assert answers[row][start:end].strip() == phrase.strip()


def test_synonymous_openings_and_closings_are_one_template(plain: list[str]) -> None:
    openings = ["Certainly! ", "Of course! ", "Absolutely! ", "Sure thing! "]
    middles = ["Here is a detailed answer. ", "Below is a thorough answer. "]
    closings = [" I hope this clears things up.", " Feel free to ask for more details."]
    answers = [
        openings[n % 4] + middles[n // 4 % 2] + a + closings[n // 8 % 2]
        for n, a in enumerate(plain)
    ]
    book, _, match = matched(answers)
    assert (match.template >= 0).mean() >= 0.99
    assert book.templates[0].share >= 0.99


def test_formats_that_never_meet_are_templates_of_their_own(plain: list[str]) -> None:
    frames = [
        "Thank you for this thoughtful question. {}",
        "{} These are the main points to remember.",
        "Final verdict (rounded): {}",
    ]
    answers = [frames[n % 3].format(a) if n % 2 else a for n, a in enumerate(plain)]
    book, _, _ = matched(answers)
    large = [t for t in book.templates if t.share > 0.1]
    assert len(large) == 3
    assert sorted(t.pattern.strip("<*> ")[:10] for t in large) == [
        "Final verd",
        "Thank you ",
        "These are ",
    ]


def test_the_slot_is_not_part_of_the_template() -> None:
    answers = ["the correct answer is " + ("true" if n % 3 else "false") for n in range(300)]
    book, tokens, match = matched(answers)
    assert [t.pattern for t in book.templates] == ["the correct answer is <*>"]
    assert spans_of_row(answers[0], tokens, match.covered, 0) == [
        (0, len("the correct answer is "))
    ]


@pytest.mark.parametrize("labels", [["yes", "no"], ["A", "B", "C"], ["not entailed", "entailed"]])
def test_labels_are_not_templates(labels: list[str]) -> None:
    book, _ = fitted([labels[n % len(labels)] for n in range(400)])
    assert book.templates == ()


def test_numbers_are_slots_unless_they_recur(plain: list[str]) -> None:
    answers = [f"Step 1: {a}\n#### {n * 37 % 1000}" for n, a in enumerate(plain)]
    _, tokens, match = matched(answers)
    first, last = (
        answers[5][a:b].strip() for a, b in spans_of_row(answers[5], tokens, match.covered, 5)
    )
    assert first == "Step 1:"
    assert last == "####"


def test_what_one_question_repeats_is_not_a_template() -> None:
    # Twenty answers to each of fifteen questions quote the question's own words.
    quoted = [f"the remarkable tale of captain number{q} and his ship" for q in range(15)]
    words = np.random.default_rng(0).integers(0, 3000, size=(300, 9))
    answers = [" ".join(f"w{w}" for w in words[n]) + f". In {quoted[n // 20]}" for n in range(300)]
    questions = [quoted[n // 20] for n in range(300)]
    grouped, _ = fitted(answers, questions)
    assert all("remarkable tale" in t.pattern for t in grouped.templates)
    texts = pa.array(answers)
    tokens = tokenize(texts)
    levels = frequent(tokens, pd.factorize(np.array(questions))[0])
    phrases = mine(tokens, levels)
    # The words that all questions share recur over questions; the captain's number does not.
    assert not any(
        "number3" in answers[tokens.row[e]][tokens.start[e] :][:60].split(" and")[0]
        for e, m, k in zip(phrases.example, phrases.margin, phrases.length, strict=True)
        if m > 0 and k > 6
    )


def test_shuffling_rows_changes_nothing_but_their_order(templated: pd.DataFrame) -> None:
    answers = list(templated["answer"])[:600]
    order = np.random.default_rng(3).permutation(len(answers))
    book, _, match = matched(answers)
    other, _, moved = matched([answers[n] for n in order])
    assert {(t.share, t.rows) for t in book.templates} == {
        (t.share, t.rows) for t in other.templates
    }
    assert ((match.template >= 0)[order] == (moved.template >= 0)).all()


def test_a_book_can_be_pickled_and_still_matches(templated: pd.DataFrame) -> None:
    book, tokens = fitted(list(templated["answer"])[:400])
    again: TemplateBook = pickle.loads(pickle.dumps(book))  # noqa: S301
    assert (again.match(tokens).covered == book.match(tokens).covered).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(alphabet="ab .!\n1好é", max_size=30), max_size=40))
def test_anything_can_be_fitted_and_spans_lie_inside(answers: list[str]) -> None:
    book, tokens, match = matched(answers * 9)
    assert book.match(tokens).template.tolist() == match.template.tolist()
    for row, text in enumerate(answers * 9):
        told = spans_of_row(text, tokens, match.covered, row)
        assert all(0 <= start < end <= len(text) for start, end in told)
        assert all(a[1] < b[0] for a, b in pairwise(told))
        assert (match.template[row] >= 0) or not told


def test_pattern_shows_slots() -> None:
    assert pattern("Sure! It rained. Bye.", [(0, 6), (17, 21)]) == "Sure! <*> Bye."
    assert pattern("All fixed", [(0, 9)]) == "All fixed"
    assert pattern("x Bye", [(1, 5)]) == "<*> Bye"
    assert pattern("Bye.", [(0, 3)]) == "Bye"


def test_pattern_shows_nothing_that_stands_alone_between_slots() -> None:
    def shown(marked: str) -> str:
        """The pattern of a text whose format stands in brackets."""
        parts = re.split(r"[\[\]]", marked)
        ends = np.cumsum([len(part) for part in parts]).tolist()
        return pattern("".join(parts), list(zip(ends[::2], ends[1::2], strict=False)))

    assert shown("Ask[ the ]old books[, ]they know.[ I hope it ]helps") == "<*> I hope it <*>"
    assert shown("[It is ]the[ or ]a[ in ]this.") == "It is <*>"
    assert shown("One.[ So ]two[.\nB ]three[ = ]four") == "<*> So <*> .\nB <*> = <*>"
    assert shown("[Name: ]Ann[\nAge: ]9") == "Name: <*> Age: <*>"


def test_layout_alone_is_no_template(plain: list[str]) -> None:
    book, _ = fitted([f"{a}.\n\n{n}\n\n" for n, a in enumerate(plain)])
    assert all(template.share < 0.02 for template in book.templates)


def test_a_label_that_begins_every_answer_is_covered_wherever_it_comes_again(
    plain: list[str],
) -> None:
    """A part of what all rows begin with is more than that part where it recurs inside them."""
    answers = [
        "\n".join(f"Step {n}: {part}" for n, part in enumerate(re.split(r"(?<=\.)\s+", a), 1))
        for a in plain
    ]
    _, tokens, match = matched(answers)
    labels = covered = 0
    for row, text in enumerate(answers):
        held = {i for a, b in spans_of_row(text, tokens, match.covered, row) for i in range(a, b)}
        for label in re.finditer(r"Step (?=\d+:)", text):
            labels += 1
            covered += set(range(*label.span())) <= held
    assert labels > 1.5 * len(answers)
    assert covered >= 0.95 * labels
