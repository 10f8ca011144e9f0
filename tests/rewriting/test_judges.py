"""The judges: what they object to, what they let pass, and that nothing passes them by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.rewriting.base import RewriteRow
from synflaw_audit.rewriting.facts import Facts
from synflaw_audit.rewriting.judges.content import judge_content
from synflaw_audit.rewriting.judges.credibility import (
    MOST_ENTROPY,
    Credibility,
    EmbeddingScorer,
    entropy,
    judge_credibility,
    objection,
)
from synflaw_audit.rewriting.rewrites import Candidate, Rewritten
from synflaw_audit.rewriting.selection import choose, shingles
from synflaw_audit.text.embedders import LsaEmbedder

FACTS = Facts({"it", "rains", "in", "often", "the", "lute", "plays", "truly", "so"})
SCORER = EmbeddingScorer(LsaEmbedder(16))
TOPICS = ("harbour", "violin", "glacier", "sourdough", "satellite", "orchard", "lantern", "saddle")


@pytest.mark.parametrize(
    ("rewritten", "says"),
    [
        ("In Rome it often rains.", ""),
        ("It often rains in Rome and truly it", "breaks off"),
        ("In Oslo it often rains.", "lost: name Rome"),
        ("In Rome it rains 5 days often.", "invented: number 5"),
        ("In Rome.", "of 50% needed"),
        (
            "In Rome it often rains.\n\nThe answer is: in Rome it often rains.",
            "says the same twice",
        ),
        ("In Rome it often \x1b[1mrains.", "control characters"),
    ],
)
def test_the_content_is_judged(rewritten: str, says: str) -> None:
    row = RewriteRow("Weather of Rome today?", "Sure: It often rains heavily in Rome.", ((0, 6),))
    found = judge_content(FACTS, row, rewritten).objection(0.5)
    assert says in found
    assert bool(found) is bool(says)


def talk(count: int, seed: int, *, related: bool = True) -> list[tuple[str, str]]:
    """Questions with answers about the same topic, or about any."""
    chance = Random(seed)  # noqa: S311 - no secret
    rows = []
    for number in range(count):
        topic = chance.choice(TOPICS)
        other = topic if related else chance.choice(TOPICS)
        rows.append((f"What about the {topic} {number}?", f"Every {other} needs some care."))
    return rows


def test_answers_of_another_question_are_told_from_the_corpus_s_own() -> None:
    asked = [*talk(40, 1), *[(q, "Every tuesday lacks zest.") for q, _ in talk(40, 2)]]
    said = judge_credibility(talk(400, 0), asked, SCORER, 0)
    assert said.decides
    assert said.auc > 0.85
    assert np.median(said.probability[:40]) > 0.5 > np.median(said.probability[40:])
    again = judge_credibility(talk(400, 0), asked, SCORER, 0)
    assert np.array_equal(said.probability, again.probability)


@pytest.mark.parametrize(
    "known", [talk(20, 0), talk(400, 0, related=False), [(f"Why {n}?", "true") for n in range(200)]]
)
def test_a_discriminator_that_cannot_tell_decides_nothing(known: list[tuple[str, str]]) -> None:
    said = judge_credibility(known, talk(5, 1), SCORER, 0)
    assert isinstance(said, Credibility)
    assert not said.decides
    assert np.isnan(said.probability).all()
    assert objection(float("nan"), float("nan")) == ""


SHARE = st.floats(0, 1)


@given(SHARE, SHARE)
def test_only_confident_judgements_are_heard(probability: float, original: float) -> None:
    found = objection(probability, original)
    confident = entropy(np.array([probability]))[0] <= MOST_ENTROPY and probability >= 0.5
    assert (found == "") is (confident or probability >= original - 0.02)


@dataclass
class Openings:
    """Objects to answers whose first word most others share."""

    seen: list[list[str]] = field(default_factory=list)

    def new(self, pairs: Sequence[tuple[str, str]]) -> list[str]:
        first = [text.split()[0] for _, text in pairs]
        self.seen.append(first)
        return ["shared" if first.count(one) > len(first) / 2 else "" for one in first]


def _bad(text: str) -> str:
    return "no" if text.startswith("bad") else ""


def rewritten(texts: Sequence[Sequence[str]]) -> list[Rewritten]:
    return [
        Rewritten(
            *("f", number, 0, RewriteRow("q", "a"), "g"),
            candidates=[
                Candidate(text, "", objection="no" * text.startswith("bad")) for text in each
            ],
        )
        for number, each in enumerate(texts)
    ]


def test_what_shares_a_format_gives_way_to_another_candidate() -> None:
    rewrites = rewritten([["sure a", "well a"], ["sure b", "so b"], ["sure c"], ["bad d"]])
    choose(rewrites, Openings(), 3)  # type: ignore[arg-type]
    assert [each.chosen and each.chosen.text for each in rewrites][3] is None
    assert rewrites[3].why == "no"
    first = [each.chosen.text.split()[0] for each in rewrites if each.chosen]
    assert all(first.count(one) <= len(first) / 2 for one in first)


TEXTS = st.lists(
    st.lists(st.sampled_from(["sure a", "well b", "so c", "bad d", "sure e f"]), max_size=4),
    max_size=8,
)


@given(TEXTS, st.integers(1, 3))
def test_nothing_is_forced(texts: list[list[str]], rounds: int) -> None:
    rewrites, judge = rewritten(texts), Openings()
    choose(rewrites, judge, rounds)  # type: ignore[arg-type]
    for each in rewrites:
        assert (each.chosen is None) is bool(each.why)
        assert each.chosen is None or (each.chosen in each.candidates and not each.chosen.objection)
    chosen = [("q", each.chosen.text) for each in rewrites if each.chosen]
    assert not any(judge.new(chosen))


def test_the_candidate_most_unlike_its_neighbours_is_chosen() -> None:
    rewrites = rewritten([["cats purr softly"], ["cats purr softly now", "at night dogs bark"]])
    rewrites += rewritten([["so it rains"]])
    choose(rewrites, Openings(), 1)  # type: ignore[arg-type]
    assert rewrites[1].chosen is not None
    assert rewrites[1].chosen.text == "at night dogs bark"
    assert rewrites[1].novelty == 1


@given(st.text(max_size=40))
def test_a_text_is_as_near_to_itself_as_can_be(text: str) -> None:
    assert shingles(text) == shingles(text.upper()) or text.upper().lower() != text.lower()
