"""Ordinary rows under more requests than they came with."""

from __future__ import annotations

import pytest

from synflaw_audit.errors import RepairError
from synflaw_audit.forms.registry import detect
from synflaw_audit.forms.requests import learn_requests
from synflaw_audit.repair import RepairConfig, Row
from synflaw_audit.repair.material.redress import with_requests

ASKING = [
    *(Row(f"What does {n} say? Answer in capital letters.", f"{n.upper()} YES") for n in "abcde"),
    *(Row(f"Who is {n}? End with: So long.", f"A friend of {n}. So long.") for n in "fghij"),
]
PLAIN = [Row(f"Where is {n}?", f"{n.title()} went to sea") for n in ("ada", "bela", "cy", "dora")]
LONG = [Row(f"Why {n}?", " ".join([f"because of {n}"] * 9)) for n in "klmnopqrst"]


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_share_of_the_rows_makes_a_request_and_obeys_it(share: float) -> None:
    rows = [*ASKING, *PLAIN, *LONG]
    made = with_requests(rows, share, seed=0)
    requests = learn_requests([(row.question, row.answer) for row in rows])
    asked = [(row, requests.of(row.question)) for row in made]
    assert made[: len(rows)] == rows
    assert sum(found is not None for _, found in asked) / len(made) == pytest.approx(share, abs=0.1)
    for row, found in asked:
        if found is not None:
            assert found[0] in detect(row.question, row.answer)


def test_plain_rows_are_told_under_requests_and_long_ones_left_alone() -> None:
    new = set(with_requests([*ASKING, *PLAIN, *LONG], 0.8, seed=0)) - {*ASKING, *PLAIN, *LONG}
    assert any("Ada" in row.answer or "ADA" in row.answer for row in new)
    assert not any("because" in row.answer.lower() for row in new)


def test_a_request_is_not_made_on_top_of_another() -> None:
    for row in with_requests([*ASKING, *PLAIN, *LONG], 0.9, seed=1):
        assert not ("capital letters" in row.question and "End with" in row.question)


def test_rows_that_ask_enough_or_nothing_are_left_as_they_are() -> None:
    assert with_requests(ASKING + LONG, 0.3, seed=0) == ASKING + LONG
    assert with_requests(LONG, 0.9, seed=0) == LONG


def test_the_same_seed_gives_the_same_rows() -> None:
    rows = [*ASKING, *PLAIN, *LONG]
    assert with_requests(rows, 0.8, seed=3) == with_requests(rows, 0.8, seed=3)
    assert with_requests(rows, 0.8, seed=3) != with_requests(rows, 0.8, seed=4)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_cannot_be_reached_is_refused(share: float) -> None:
    with pytest.raises(RepairError, match="replay_requests"):
        RepairConfig(use_cpu=True, replay_requests=share)
