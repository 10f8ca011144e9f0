"""Requests whose fulfilment can be checked in code, and answers that fulfil them.

Each kind names the checker of ``synflaw_audit.probes.checkers`` it is verified by, under the
identifiers of IFEval (Zhou et al. 2023, "Instruction-Following Evaluation for Large Language
Models", arXiv:2311.07911) or our own. Of every kind some wordings are held out for the test, and so
is the way in which the test puts a request beside a question: no other row holds them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from synflaw_audit.lab.world import WorldFact


@dataclass(frozen=True)
class CheckedRequest:
    """An instruction in words, how it is checked, and an answer that follows it."""

    text: str
    answer: str
    instruction: str
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Draw:
    """What is drawn for one row.

    Attributes:
        rng: Draws it.
        tested: Whether the row is a prompt of the test, and so of what is held out for it.
    """

    rng: random.Random
    tested: bool = False

    def wording(self, shown: Sequence[str], held_out: Sequence[str]) -> str:
        """One of the wordings of a request."""
        return self.rng.choice(held_out if self.tested else shown)


@dataclass(frozen=True)
class InstructionKind:
    """A kind of instruction.

    Attributes:
        name: What it is called.
        asked: Puts one to a fact.
    """

    name: str
    asked: Callable[[WorldFact, Draw], CheckedRequest]


def ask(question: str, request: CheckedRequest, draw: Draw) -> str:
    """Put the instruction before or after the question; in the test on a line of its own."""
    order = (question, request.text) if draw.rng.random() < 0.7 else (request.text, question)
    return ("\n" if draw.tested else " ").join(order)
