"""Rules vary what says nothing, and leave what says something alone."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.rewriting import Mixture, RewriteRow, WantedForm
from synflaw_audit.rewriting.generators.rules import Rules
from synflaw_audit.rewriting.generators.sentences import laid_out, reordered
from synflaw_audit.rewriting.generators.thinning import thinned
from synflaw_audit.rewriting.generators.wordings import exchanged, groups
from synflaw_audit.rewriting.natural import Natural

FORM = WantedForm()


def chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - no secret


def test_the_corpus_own_wordings_are_drawn() -> None:
    natural = Natural(rows=[("q", "Moreover, it rains. Besides, it is cold.")] * 3)
    drawn = {
        exchanged("It rains. In addition, it pours.", natural, chance(seed), 1.0)
        for seed in range(40)
    }
    assert drawn == {
        "It rains. Moreover, it pours.",
        "It rains. Besides, it pours.",
        "It rains. It pours.",
    }


def test_fillers_go_and_none_comes_for_another() -> None:
    texts = {exchanged("Well, it rains.", Natural(), chance(seed), 1.0) for seed in range(20)}
    assert texts == {"It rains."}


def test_what_is_no_phrase_of_the_list_stays() -> None:
    for text in ("approx. five in all. e.g. this", "true", "I think so, based on nothing."):
        assert exchanged(text, Natural(), chance(0), 1.0) == text


def test_every_phrase_is_found_by_its_own_group() -> None:
    for group, pattern in groups():
        following = group.follows.split("|")[0] or "it"
        for phrase in group.phrases:
            assert pattern.search(f"It rains. {phrase} {following}"), (group.name, phrase)


@pytest.mark.parametrize(
    ("text", "may_change"),
    [
        ("Rome is old. Cats purr softly. Dogs bark.", True),
        ("Rome is old. Cats purr. They like milk.", False),  # "they" leans on the cats
        ("Rome is old. First wash. Then dry.", False),
        ("A is 2. Add 3. Take 5.", True),
        ("A is 2. Add 3. Halve 3.", False),  # one number in both
        ("Rome is old.\nCats purr. Dogs bark.", False),
        ("Rome is old. Cats purr.", False),
        ("Rome is old. Cats please Mrs. Brown.", False),
    ],
)
def test_only_independent_sentences_change_places(text: str, may_change: bool) -> None:
    changed = reordered(text, chance(0))
    assert (changed != text) is may_change
    assert sorted(changed.split()) == sorted(text.split())
    assert changed.split()[:3] == text.split()[:3]


TEXT = st.lists(
    st.sampled_from(["Cats purr.", "Ada is 5.", "\n", "- milk\n", "1. eggs.\n", "```", "It ends!"]),
    max_size=8,
).map(" ".join)


@given(TEXT, st.sampled_from(["as it is", "prose", "paragraphs", "list"]))
def test_another_layout_has_the_same_words(text: str, layout: str) -> None:
    def words(text: str) -> list[str]:
        return [word for word in text.split() if word not in ("-", "1.")]

    assert words(laid_out(text, layout)) == words(text)  # type: ignore[arg-type]


def test_the_format_goes_and_a_scrap_that_was_said_before_too() -> None:
    answer = "A: She has 3 + 1 = 4 eggs. The answer is 4."
    spans = ((0, 3), (answer.index(" The"), answer.rindex("4")))
    texts = Rules(Natural(), 0).candidates(RewriteRow("How many?", answer, spans), FORM)
    assert texts[0] == "She has 3 + 1 = 4 eggs."


@pytest.mark.parametrize(
    "answer", ["A: She adds. The answer is 4.", "A: 4 add 2. So? The answer is 4."]
)
def test_a_scrap_that_says_something_stays(answer: str) -> None:
    spans = ((0, 3), (answer.index(" The"), answer.rindex("4")))
    texts = Rules(Natural(), 0).candidates(RewriteRow("How many?", answer, spans), FORM)
    assert texts[0] == answer.removeprefix("A: ").replace(" The answer is", "")


def test_what_can_be_cut_is_where_another_span_cannot() -> None:
    answer = "A: He has 5. The difference must be the number of eggs, 3. The answer is 3."
    middle = answer.index("The difference")
    spans = ((0, 3), (middle, middle + 34), (answer.index(" The answer"), len(answer) - 2))
    texts = Rules(Natural(), 0).candidates(RewriteRow("How many?", answer, spans), FORM)
    assert "He has 5. The difference must be the number of eggs, 3." in texts


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "⟦Thank you for ⟧it. ⟦According to the ⟧records⟦, ⟧Ada plays.⟦ I hope this ⟧helps!",
            "Ada plays.",
        ),
        ("⟦As ⟧a helper⟦, I can ⟧tell you⟦ that ⟧Ada plays.", "Ada plays."),
        (
            "⟦**Answer:** ⟧lute\n\n⟦**Why:** ⟧Ada plays.⟦ This ⟧fact⟦ is ⟧key⟦ because it helps.⟧",
            "Lute\n\nAda plays.",
        ),
        ("Ada plays ⟦as is⟧ known in two towns.", "Ada plays as is known in two towns."),
        ("Nothing is marked.", "Nothing is marked."),
        ("⟦All of it is.⟧", ""),
    ],
)
def test_sentences_that_are_mostly_format_go(text: str, left: str) -> None:
    answer, spans = "", []
    for number, piece in enumerate(re.split("[⟦⟧]", text)):
        if number % 2 and piece:
            spans.append((len(answer), len(answer) + len(piece)))
        answer += piece
    assert thinned(answer, spans) == left


PIECES = st.lists(st.sampled_from(["Ada ", "is, ", "that. ", "\n", "so: ", "Rome! "]), max_size=12)


@given(PIECES, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=3))
def test_what_is_left_was_there(pieces: list[str], ends: list[tuple[int, int]]) -> None:
    answer = "".join(pieces)
    spans = sorted({(min(a, b), min(max(a, b), len(answer))) for a, b in ends if a != b})
    left = thinned(answer, [span for span in spans if span[0] < span[1]])
    had = iter("".join(answer.split()).lower())
    assert all(letter in had for letter in "".join(left.split()).lower())
    if not spans:
        assert left.split() == answer.split()


def test_openings_come_from_the_corpus_and_say_nothing() -> None:
    said = ["Well, cats purr.", "Yes, they do.", "However, it rains.", "In 1990, it rained."]
    natural = Natural(rows=[("q", text) for text in said * 4] + [("q", "the cats purr")])
    row = RewriteRow("q", "Sure thing: cats purr.", ((0, 11),))
    form = WantedForm(opening="reason")
    assert "Well, cats purr." in Rules(natural, 0).candidates(row, form)
    every = {text for seed in range(20) for text in Rules(natural, seed).candidates(row, form)}
    assert not [text for text in every if text.startswith(("Yes", "However", "In 1990"))]


def test_the_same_is_drawn_again_and_forms_differ() -> None:
    answer = "Based on your notes, it seems that you win. In addition, cats purr. Dogs bark."
    row = RewriteRow("q", answer, ((0, 9),))
    rules = Rules(Natural(), 3)
    forms = {Mixture().draw(chance(seed)) for seed in range(30)}
    made = {form: tuple(rules.candidates(row, form)) for form in forms}
    assert made == {form: tuple(rules.candidates(row, form)) for form in forms}
    assert len(set(made.values())) > len(forms) / 2
