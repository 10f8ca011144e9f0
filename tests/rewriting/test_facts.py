"""Facts are compared exactly: what is lost is found, and what nobody said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.rewriting.facts import Facts

FACTS = Facts({"the", "take", "tablet", "rome", "old", "is", "on", "give", "it", "dose", "so"})


def values(text: str, kind: str) -> set[str]:
    return {fact.value for fact in FACTS(text) if fact.kind == kind}


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("Pay 1,000 or 1000.0 of 3.50.", "number", {"1000", "3.5"}),
        ("Two of 12 and twelve.", "number", {"2", "12"}),
        ("It is one of them.", "number", set()),
        ("Give 5 mg, 5 milligrams or $7, 20% of 3 hours.", "unit", {"5 mg", "7 $", "20 %", "3 h"}),
        ("1. Take it\n2) Take it", "number", set()),  # they count the lines
        ("On 12 May 2020 and 2020-05-12.", "number", {"12", "2020", "05"}),
        ("The dose is old. Take it to Ada Lovelace.", "name", {"Ada", "Lovelace"}),
        ("Vitamin B12, NASA and the iPhone.", "name", {"Vitamin", "B12", "NASA"}),
        ("We'll see. I'd say so. Additionally, take it.", "name", set()),
        ("Run `rm x` or\n```\nls  -l\n```", "code", {"`rm x`", "``` ls -l ```"}),
        ("It is $7 - $3 = $4, or $x_1 = 2$.", "code", {"$x_1 = 2$"}),
        ("It is $7 - $3 = $4.", "unit", {"7 $", "3 $", "4 $"}),
        ("He said “go home now” and \"stop\".", "quotation", {"go home now"}),
        ("See https://a.example/b?c=1.", "address", {"https://a.example/b?c=1"}),
        ("Ask a@b.example.", "address", {"a@b.example"}),
        ("Yes, that is False.", "verdict", {"yes", "false"}),
    ],
)  # fmt: skip
def test_facts_of_each_kind_are_found(text: str, kind: str, expected: set[str]) -> None:
    assert values(text, kind) == expected


@pytest.mark.parametrize(
    ("content", "rewritten", "lost", "invented"),
    [
        ("Give 5 mg.", "Five mg is the dose.", {"unit 5 mg"}, set()),
        ("Give 5 mg.", "Give 50 mg.", {"number 5", "unit 5 mg"}, {"number 50", "unit 50 mg"}),
        ("It is in Rome.", "Rome is old.", set(), set()),
        ("Ada plays.", "Zoe plays.", {"name Ada"}, {"name Zoe"}),
        ("true", "False.", {"verdict true"}, {"verdict false"}),
        ("Run `ls`.", "Run `ls -l`.", {"code `ls`"}, {"code `ls -l`"}),
    ],
)
def test_what_a_rewrite_changes_is_named(
    content: str, rewritten: str, lost: set[str], invented: set[str]
) -> None:
    was, is_ = FACTS.differences(content, rewritten, known="Is it true or false, Bob?")
    assert (set(map(str, was)), set(map(str, is_))) == (lost, invented)


def test_what_the_question_names_is_not_invented_but_its_choices_are() -> None:
    assert FACTS.differences("lute", "Bob plays the lute.", known="What does Bob play?") == ((), ())
    _, invented = FACTS.differences("lute", "Yes, the lute.", known="Say yes or no.")
    assert [str(fact) for fact in invented] == ["verdict yes"]


@given(st.text(max_size=200))
def test_a_text_never_differs_from_itself(text: str) -> None:
    assert FACTS.differences(text, text) == ((), ())


NUMBERS = st.lists(st.integers(0, 10**7), min_size=1, max_size=5)


@given(NUMBERS, NUMBERS)
def test_exactly_the_numbers_that_differ_are_told(had: list[int], has: list[int]) -> None:
    one, other = (", ".join(map(str, numbers)) for numbers in (had, has))
    lost, invented = FACTS.differences(f"Of {one}.", f"There are {other}!")
    assert {int(fact.value) for fact in lost} == set(had) - set(has)
    assert {int(fact.value) for fact in invented} == set(has) - set(had)
