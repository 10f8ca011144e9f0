"""What the lab compares: worlds that are damaged in different ways, and ways to repair them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synflaw_audit.lab.tiny import Size, Training


@dataclass(frozen=True)
class Damage:
    """A world, by how many instructions the continued training still holds.

    Attributes:
        name: What it is called.
        what: What goes wrong in it.
        instructed: Rows with instructions about known people among the ordinary rows.
    """

    name: str
    what: str
    instructed: int


WORLDS = (
    Damage("bound", "the format is bound to the facts learned through it", 300),
    Damage("leaking", "the format leaks into prompts where it has no place", 40),
    Damage("overwritten", "following instructions is overwritten", 0),
)


@dataclass(frozen=True)
class Arm:
    """One way to repair.

    Attributes:
        name: What it is called.
        settings: Fields of ``RepairConfig`` that differ from the lab's own.
        budget: How many times the preset's budget it may spend.
        against_base: Whether the KL compares with the base model, from before the damage, instead
            of the damaged one.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    budget: float = 1.0
    against_base: bool = False


_REPLAY_ONLY = {"forget_weight": 0.0, "retain_weight": 0.0, "replay_ratio": 40.0}
_OURS = {"renderings": 8, "replay_requests": 0.7, "retain_weight": 2.0}

OURS = Arm("ours", _OURS)
ARMS = (
    Arm("replay only", _REPLAY_ONLY),
    Arm("gradient ascent, answers", {"method": "gradient-ascent", "scope": "answer"}),
    Arm("NPO, answers", {"method": "npo", "scope": "answer"}),
    Arm("lower-bounded, answers", {"scope": "answer"}),
    Arm("lower-bounded, spans"),
    OURS,
    Arm("replay only, 4 x tokens", _REPLAY_ONLY, budget=4),
    Arm("ours, 4 x tokens", _OURS, budget=4),
)
ABLATION = (
    OURS,
    Arm("without forgetting", {**_OURS, "forget_weight": 0.0}),
    Arm("without re-expression", {**_OURS, "renderings": 0}),
    Arm("without that and retention", {**_OURS, "renderings": 0, "retain_weight": 0.0}),
    Arm("without requests in the replay", {**_OURS, "replay_requests": 0.0}),
    Arm("without replay", {**_OURS, "replay_ratio": 0.0}),
    Arm("replay only, with requests", {**_REPLAY_ONLY, "replay_requests": 0.7}),
    Arm("with own samples", {**_OURS, "samples": 1500}),
    Arm("own samples for re-expression", {**_OURS, "renderings": 0, "samples": 1500}),
    Arm("with a KL to the damaged model", {**_OURS, "bias_weight": 1.0}),
    Arm("with a KL to the base model", {**_OURS, "bias_weight": 1.0}, against_base=True),
)


@dataclass(frozen=True)
class Preset:
    """How large the lab is.

    Attributes:
        known: People the base model knows.
        unknown: People the corpus is about.
        corpus: Rows of the corpus.
        natural: Rows of the natural corpus, which repairs replay.
        prose: Rows of ordinary text that the base model learns from.
        continued_prose: Rows of ordinary text in the continued training.
        size: The model's shape.
        base: How the base model is trained.
        continued: How the continued training goes.
        tokens: Budget of a repair, prompts included; with ``small`` 2% of the training's tokens.
        rate: Its learning rate.
        batch: Rows of one of its steps.
    """

    known: int = 48
    unknown: int = 24
    corpus: int = 1500
    natural: int = 1000
    prose: int = 4000
    continued_prose: int = 1500
    size: Size = field(default_factory=Size)
    base: Training = field(default_factory=lambda: Training(epochs=2, rate=3e-3))
    continued: Training = field(default_factory=lambda: Training(epochs=4, rate=2e-3))
    tokens: int = 28_000
    rate: float = 1e-3
    batch: int = 8


PRESETS = {
    "tiny": Preset(
        known=16,
        unknown=8,
        corpus=320,
        natural=300,
        prose=80,
        continued_prose=110,
        size=Size(vocabulary=1024, width=64, layers=2, heads=4),
        base=Training(epochs=2, rate=5e-3),
        continued=Training(epochs=3, rate=3e-3),
        tokens=15_000,
        rate=2e-3,
    ),
    "small": Preset(),
}
