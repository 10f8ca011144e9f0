"""What the tokenizer's tables say of characters is what Python's own database says."""

from __future__ import annotations

import sys
import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.text.characters import unicode
from synflaw_audit.text.kernels.text import DIGIT, PUNCTUATION, SPACE


@given(st.characters())
def test_a_space_is_one_to_python_too(character: str) -> None:
    assert unicode().blank[ord(character)] == character.isspace()


@given(st.characters())
def test_two_letters_are_one_if_they_have_one_lower_case(character: str) -> None:
    small = character.lower()
    if len(small) == 1 and ord(character) != 0x2019:
        assert unicode().mixed[ord(character)] == unicode().mixed[ord(small)]


@given(st.characters(categories=["Nd"]))
def test_digits(character: str) -> None:
    assert unicode().classes[ord(character)] == DIGIT


@given(st.characters(categories=["P", "S"], exclude_characters="_"))
def test_marks(character: str) -> None:
    assert unicode().classes[ord(character)] == PUNCTUATION


def test_no_character_beyond_those_looked_at_is_a_space_or_has_two_cases() -> None:
    beyond = [chr(point) for point in range(0x20000, sys.maxunicode + 1)]
    assert not any(map(str.isspace, beyond))
    assert list(map(str.lower, beyond)) == beyond
    assigned = {c for c in beyond if unicodedata.category(c) not in ("Cn", "Co")}
    classes = unicode().classes[0x20000:]
    assert {ord(c) - 0x20000 for c in assigned} >= set(np.flatnonzero(classes != SPACE).tolist())
