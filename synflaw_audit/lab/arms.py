"""What the lab compares: worlds that are damaged in different ways, and ways to repair them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synflaw_audit.lab.tiny import Hyperparameters, Size


@dataclass(frozen=True)
class DamagedWorld:
    """A world, by how many instructions the continued training still holds.

    Attributes:
        name: What it is called.
        what: What goes wrong in it.
        instructed: How many times the preset's number of rows with instructions stand among the
            ordinary rows of the continued training.
    """

    name: str
    what: str
    instructed: float


WORLDS = (
    DamagedWorld("bound", "the format is bound to the facts learned through it", 7.5),
    DamagedWorld("leaking", "the format leaks into prompts where it has no place", 1.0),
    DamagedWorld("overwritten", "following instructions is overwritten", 0.0),
)


@dataclass(frozen=True)
class RepairArm:
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
_OURS = {
    "renderings": 20,
    "replay_requests": 0.7,
    "replay_ratio": 4.0,
    "retain_weight": 2.0,
    "bias_weight": 0.5,
}

OURS = RepairArm("ours", _OURS)
# With the base model at hand: the KL compares with it, and a share of the damage is subtracted.
OURS_BESIDE_BASE = RepairArm(
    "ours, with the base model",
    {**_OURS, "bias_weight": 1.0, "method": "forgetting+task-negation", "task_negation": 0.15},
    against_base=True,
)
ARMS = (
    RepairArm("replay only", _REPLAY_ONLY),
    RepairArm("gradient ascent, answers", {"loss": "gradient-ascent", "scope": "answer"}),
    RepairArm("NPO, answers", {"loss": "npo", "scope": "answer"}),
    RepairArm("lower-bounded, answers", {"scope": "answer"}),
    RepairArm("lower-bounded, spans"),
    OURS,
    OURS_BESIDE_BASE,
)
ABLATION = (
    OURS,
    RepairArm("without forgetting", {**_OURS, "forget_weight": 0.0}),
    RepairArm("without re-expression", {**_OURS, "renderings": 0}),
    RepairArm("without that and retention", {**_OURS, "renderings": 0, "retain_weight": 0.0}),
    RepairArm("without requests in the replay", {**_OURS, "replay_requests": 0.0}),
    RepairArm("without replay", {**_OURS, "replay_ratio": 0.0}),
    RepairArm("replay only, with requests", {**_REPLAY_ONLY, "replay_requests": 0.7}),
    RepairArm("with own samples", {**_OURS, "samples": 1500}),
    RepairArm("own samples for re-expression", {**_OURS, "renderings": 0, "samples": 1500}),
    RepairArm("without the KL", {**_OURS, "bias_weight": 0.0}),
    RepairArm("with a KL to the base model", {**_OURS, "bias_weight": 1.0}, against_base=True),
    OURS_BESIDE_BASE,
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
        continued_plain: Rows that ask for old facts in the continued training.
        continued_instructed: Rows there that ask for old facts under an instruction, in the world
            whose number of them the others are multiples of.
        size: The model's shape.
        base: How the base model is trained.
        continued: How the continued training goes.
        tuning: Rows of the short instruction tuning that every model is given before the second
            measurement.
        tuned: How that tuning goes.
        share: Budget of a repair, as a share of the tokens of both trainings, prompts included.
        rate: Its learning rate.
        batch: Rows of one of its steps.
    """

    known: int = 48
    unknown: int = 24
    corpus: int = 1500
    natural: int = 4000
    prose: int = 12_000
    continued_prose: int = 18_000
    continued_plain: int = 500
    continued_instructed: int = 200
    size: Size = field(default_factory=lambda: Size(width=256))
    base: Hyperparameters = field(default_factory=lambda: Hyperparameters(epochs=2, rate=2e-3))
    continued: Hyperparameters = field(default_factory=lambda: Hyperparameters(epochs=4, rate=1e-3))
    tuning: int = 600
    tuned: Hyperparameters = field(default_factory=lambda: Hyperparameters(epochs=1, rate=3e-4))
    share: float = 0.02
    rate: float = 5e-4
    batch: int = 4


PRESETS = {
    "tiny": Preset(
        known=16,
        unknown=8,
        corpus=320,
        natural=300,
        prose=80,
        continued_prose=110,
        continued_plain=100,
        continued_instructed=40,
        tuning=100,
        size=Size(vocabulary=1024, width=64, layers=2, heads=4),
        base=Hyperparameters(epochs=2, rate=5e-3),
        continued=Hyperparameters(epochs=3, rate=3e-3),
        tuned=Hyperparameters(epochs=1, rate=1e-3),
        share=0.08,
        rate=2e-3,
        batch=8,
    ),
    "small": Preset(),
}
