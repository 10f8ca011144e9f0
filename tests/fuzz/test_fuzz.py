"""Some hundreds of hostile files; ``make fuzz N=10000`` takes more."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hostile import BOMBS, Hostile, hostile
from invariants import check_gate, check_reading

READ, GATED = 400, 16


@pytest.mark.parametrize("first", range(0, READ, 50))
def test_every_row_of_every_file_is_accounted_for(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 50):
        try:
            check_reading(hostile(seed), tmp_path)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error


@pytest.mark.parametrize("seed", range(1000, 1000 + GATED))
def test_the_gate_writes_all_or_nothing(tmp_path: Path, seed: int) -> None:
    check_gate(hostile(seed), tmp_path)


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_that_asks_for_much_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    name, make = BOMBS[kind]
    check_reading(Hostile(name, make(random.Random(0)), None, kind), tmp_path)  # noqa: S311


def test_a_seed_is_a_file() -> None:
    assert [hostile(seed).data for seed in range(40)] == [hostile(seed).data for seed in range(40)]
