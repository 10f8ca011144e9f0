from __future__ import annotations

from math import log

import pytest
from peers import PEERS, commonest_opening, frequent_gram_share, self_repetition

VARIED = [f"alpha{i} beta{i * 7} gamma{i * 13} delta{i * 17} end" for i in range(100)]
UNIFORM = ["here is the answer you want: yes"] * 100


@pytest.mark.parametrize("name", [name for name in PEERS if name != "brevity"])
def test_every_peer_is_higher_where_answers_are_uniform(name: str) -> None:
    assert PEERS[name](UNIFORM) > PEERS[name](VARIED)


def test_self_repetition_sums_over_the_other_answers() -> None:
    # One gram in three answers: each sees it in the two others.
    assert self_repetition(["a b c d"] * 3) == pytest.approx(log(1 + 2))
    assert self_repetition(["a b c d", "e f g h"]) == 0


def test_shares_are_of_answers() -> None:
    answers = ["it is true that", *(f"w{i} x{i} y{i} z{i}" for i in range(3))]
    assert commonest_opening(answers) == 0.25
    assert frequent_gram_share(["the answer is yes"] * 5 + answers) == 5 / 9
