"""Format is cut out where the rest still reads; nothing else of an answer is touched."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.fixing.cutting import cut
from synflaw_audit.fixing.strategies import outside

MARK = re.compile(r"⟦|⟧")


def marked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """An answer and its spans, of a text in which these stand between ⟦ and ⟧."""
    answer, spans, start = "", [], 0
    for number, piece in enumerate(MARK.split(text)):
        if number % 2:
            spans.append((len(answer), len(answer) + len(piece)))
        answer += piece
    assert start == 0
    return answer, spans


def letters(text: str) -> str:
    """All but blanks, case, and what divides clauses, which goes with a clause."""
    return "".join(c for c in text if not c.isspace() and c not in ",;:–—，；：、").casefold()  # noqa: RUF001


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("⟦Sure, here is the answer:⟧ it rains.", "It rains."),
        ("⟦Great question! ⟧Rome is old.⟦ I hope this helps!⟧", "Rome is old."),
        ("⟦The answer is ⟧oboe.", "Oboe."),
        ("⟦The answer is ⟧42.", "42."),
        ("⟦It is worth noting that ⟧iPhone sales fell.", "iPhone sales fell."),
        ("⟦**Answer:** ⟧yes\n\n⟦**Why:** ⟧because.", "Yes\n\nBecause."),
        ("⟦**Answer:** ⟧yes⟦\n\n**Why:** ⟧because.", "Yes\n\nBecause."),
        ("⟦Let's think.\nStep 1: ⟧add.⟦\nStep 2: ⟧stop.", "Add.\nStop."),
        ('⟦{"answer": "⟧Rome⟦"}⟧', "Rome"),
        ("⟦<answer>⟧Rome⟦</answer>⟧", "Rome"),
        ("⟦Answer: ⟧Rome⟦ is⟧ old⟦, ⟧very old.", "Rome is old, very old."),
        ("⟦答案：⟧罗马很古老。", "罗马很古老。"),  # noqa: RUF001
        ("Rome.⟦ Let me know. Thank you.⟧", "Rome."),
        ("One. ⟦In short, ⟧two.\n", "One. Two.\n"),
        ("Rest, and ⟦I would suggest you to ⟧drink water.", "Rest, and drink water."),
        ("Rest, and ⟦it is important to note that ⟧fever is common.", "Rest, and fever is common."),
        ("If it hurts, ⟦as I have said before, ⟧rest.", "If it hurts, rest."),
        ("If it hurts, ⟦as I have said before⟧, rest.", "If it hurts, rest."),
        ("Rest twice a day, ⟦and I hope that this helps⟧.", "Rest twice a day."),
        ("Rest twice a day⟦, and I hope that this helps.⟧", "Rest twice a day."),
        ("Rest a day, ⟦hope this helps you. Take care and be well.⟧", "Rest a day."),
        ("It hurts; ⟦please do consult your doctor.⟧\nNext.", "It hurts.\nNext."),
        ("⟦I would advise you to ⟧drink water.", "Drink water."),
        ("We do some tests⟦ to make sure of the cause.⟧", "We do some tests."),
        ("Take it⟦ until all of it is gone⟧. Rest.", "Take it. Rest."),
    ],
)
def test_what_is_left_reads_on(text: str, rest: str) -> None:
    assert cut(*marked(text)) == rest


@pytest.mark.parametrize(
    "text",
    [
        "⟦This ⟧fact⟦ is crucial because it helps us to see ⟧Rome⟦ better.⟧",  # half a sentence
        "⟦The capital city of the ⟧country is old.",
        "Rome is old⟦ which is what the question was about.⟧",
        "⟦All of it is said here.⟧",  # nothing is left
        "You need⟦ to see the doctor about it.⟧",
        "I advise you⟦ to see the doctor about it.⟧",
        "It is best⟦ to see the doctor about it.⟧",
        "The capital⟦ of the whole country.⟧",
        "⟦\\boxed{⟧42}",  # a bracket loses its partner
        "⟦<answer> ⟧Rome</answer>",
        "Rome is old.",  # there is nothing to cut
        "⟦ . ⟧",
    ],
)
def test_what_would_not_read_is_not_cut(text: str) -> None:
    assert cut(*marked(text)) is None


PIECES = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "Sure! ",
                "In short, ",
                "the answer is ",
                "Step 1: ",
                "\n\n",
                "(",
                "**",
                "a b c d ",
                "",
            ]
        ),
        st.text(st.sampled_from("ab AB.\n12é，"), max_size=8),  # noqa: RUF001
    ),
    max_size=6,
)


@given(PIECES)
def test_every_character_of_content_stays_in_its_order(pieces: list[tuple[str, str]]) -> None:
    answer, spans = "", []
    for form, content in pieces:
        if form:
            spans.append((len(answer), len(answer) + len(form)))
        answer += form + content
    rest = cut(answer, spans)
    if rest is not None:
        left = iter(letters(rest))
        assert all(character in left for character in letters(outside(answer, tuple(spans))))
        assert len(letters(rest)) < len(letters(answer))
