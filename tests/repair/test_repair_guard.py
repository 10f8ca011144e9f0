"""When a training is stopped as harmful: not for a stumble that it recovers from."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from synflaw_audit.repair.methods.guard import Guard

GOOD = {"replay_perplexity": 5.0, "repetition": 0.1}
LOOPING = {"replay_perplexity": 5.0, "repetition": 0.9}
BEYOND = {"replay_perplexity": 9.0, "repetition": 0.1}
BROKEN = {"replay_perplexity": math.nan, "repetition": 0.1}


def watched(figures: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch) -> tuple[Guard, int]:
    """A guard that saw these figures at its checks, and at which of them it stopped the run."""
    seen = iter([GOOD, *figures])
    monkeypatch.setattr(Guard, "_measure", lambda _, step: {"step": float(step), **next(seen)})
    nothing: Any = None
    guard = Guard(
        nn.Linear(1, 1), [], [nothing], nothing,
        checks=len(figures), max_rise=0.1, stop_below=None, batch_size=1,
    )  # fmt: skip
    for step in range(1, len(figures) + 1):
        control: Any = SimpleNamespace(should_training_stop=False)
        state: Any = SimpleNamespace(global_step=step, max_steps=len(figures))
        guard.on_step_end(nothing, state, control)
        if control.should_training_stop:
            return guard, step
    return guard, 0


@pytest.mark.parametrize("harm", [LOOPING, BEYOND])
def test_a_stumble_stops_nothing(harm: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    guard, stopped = watched([harm, GOOD, harm, GOOD], monkeypatch)
    assert not stopped
    assert guard.failure is None


@pytest.mark.parametrize("harm", [LOOPING, BEYOND])
def test_harm_that_lasts_stops_the_run(
    harm: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    guard, stopped = watched([GOOD, harm, harm, GOOD], monkeypatch)
    assert stopped == 3
    assert guard.failure


@pytest.mark.parametrize("harm", [LOOPING, BEYOND])
def test_harm_at_the_end_is_no_stumble(
    harm: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    guard, stopped = watched([GOOD, GOOD, harm], monkeypatch)
    assert stopped == 3
    assert guard.failure


def test_what_is_not_finite_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    guard, stopped = watched([BROKEN, GOOD, GOOD], monkeypatch)
    assert stopped == 1
    assert guard.failure
    assert "not finite" in guard.failure
