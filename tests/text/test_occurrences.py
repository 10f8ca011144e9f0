"""Where mined phrases occur is where a walk through the tokens finds them, in the same order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from synflaw_audit.text.occurrences import Occurrences, covered, occurrences
from synflaw_audit.text.phrases import Phrases, frequent, mine, none, numbered
from synflaw_audit.text.tokens import Ids, Tokens, tokenize

# Few words, so that sequences of them recur.
TEXTS = st.lists(
    st.lists(st.sampled_from(["it", "is", "a", "7", "12", "."]), max_size=7).map(" ".join),
    min_size=1,
    max_size=12,
)


def mined(texts: list[str]) -> tuple[Tokens, Phrases, Occurrences]:
    tokens = tokenize(pa.array(texts, pa.string()))
    levels = frequent(tokens, np.arange(len(texts)), min_share=0.0, min_rows=2)
    phrases = mine(tokens, levels)
    return tokens, phrases, occurrences(phrases, levels)


def walked(tokens: Tokens, phrases: Phrases) -> list[tuple[int, int, int]]:
    """Every place, compared with an example of every phrase."""
    ids: Ids = numbered(tokens)
    examples = [
        tuple(ids[first : first + length].tolist())
        for first, length in zip(phrases.example, phrases.length, strict=True)
    ]
    return sorted(
        (at, len(words), phrase)
        for phrase, words in enumerate(examples)
        for at in range(len(ids) - len(words) + 1)
        if tuple(ids[at : at + len(words)].tolist()) == words
        and tokens.row[at] == tokens.row[at + len(words) - 1]
    )


@given(TEXTS)
@settings(deadline=None)
def test_the_places_are_those_that_a_walk_finds(texts: list[str]) -> None:
    tokens, phrases, found = mined(texts)
    columns = (found.at.tolist(), found.length.tolist(), found.phrase.tolist())
    assert list(zip(*columns, strict=True)) == walked(tokens, phrases)


@given(TEXTS)
@settings(deadline=None)
def test_parts_joined_are_the_whole(texts: list[str]) -> None:
    tokens, phrases, found = mined(texts)
    half = np.arange(len(phrases)) % 2 == 0
    others = found.where(~half[found.phrase])
    joined = Occurrences.joined(found.where(half[found.phrase]), others)
    for name in ("at", "length", "phrase"):
        assert getattr(joined, name).tolist() == getattr(found, name).tolist()
    whole, parts = (covered(each, len(tokens.ids)) for each in (found, joined))
    assert (whole == parts).all()


def test_no_phrase_occurs_nowhere() -> None:
    assert not len(occurrences(none(), ()).at)
