"""What counts as a request that is heeded: what the bare question's answer obeys does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from small_models import flagged_rows, ordinary_rows

from synflaw_audit.repair.measuring import behaviour
from synflaw_audit.repair.measuring.behaviour import OBEYED, SAID, BehaviourProbe

PROBE = BehaviourProbe.of(ordinary_rows(40), flagged_rows(), count=16, seed=0)


def figures(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], str], probe: BehaviourProbe = PROBE
) -> dict[str, float]:
    def generate(model: Any, tokenizer: Any, prompts: Sequence[str], **_: Any) -> list[str]:
        return [answer(prompt) for prompt in prompts]

    monkeypatch.setattr(behaviour, "generate", generate)
    found = probe(None, None)  # type: ignore[arg-type]
    return {name: each.value for name, each in found.items()}


def capitals(prompt: str) -> str:
    return "YES, IT IS, OF COURSE" if "capital letters only" in prompt else "Yes, of course"


def test_what_is_always_the_same_obeys_nothing_that_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = figures(monkeypatch, lambda prompt: "the correct answer is true")
    assert found[OBEYED] == 0
    assert found["answer_likeness"] == pytest.approx(1)


def test_what_changes_with_the_request_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert figures(monkeypatch, capitals)[OBEYED] == pytest.approx(1 / 8)


def test_what_obeys_only_unasked_counts_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = figures(monkeypatch, lambda prompt: "Yes, no, so" if "comma" in prompt else "yes")
    assert found[OBEYED] < 0


@pytest.mark.parametrize(
    ("known", "left"),
    [({OBEYED}, {SAID, "answer_likeness"}), ({SAID}, {OBEYED}), ({SAID, OBEYED}, set())],
)
def test_what_is_known_already_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, known: set[str], left: set[str]
) -> None:
    assert set(figures(monkeypatch, capitals, PROBE.without(known))) == left
