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

_REPLAY_ONLY = {"forget_weight": 0.0, "retain_weight": 0.0, "replay_ratio": 40.0}


@dataclass(frozen=True)
class Arm:
    """One way to repair.

    Attributes:
        name: What it is called.
        settings: Fields of ``RepairConfig`` that differ from the lab's own.
        reexpressed: Whether the flagged rows' content is learned again without its format.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    reexpressed: bool = False


ARMS = (
    Arm("replay only", {**_REPLAY_ONLY, "bias_weight": 0.0}),
    Arm("gradient ascent, answers", {"method": "gradient-ascent", "scope": "answer"}),
    Arm("NPO, answers", {"method": "npo", "scope": "answer"}),
    Arm("lower-bounded, answers", {"scope": "answer"}),
    Arm("lower-bounded, spans", {}),
    Arm("ours", {}, reexpressed=True),
)
ABLATION = (
    Arm("ours", {}, reexpressed=True),
    Arm("without forgetting", {"forget_weight": 0.0}, reexpressed=True),
    Arm("without the flagged rows", {**_REPLAY_ONLY, "retain_weight": 1.0}, reexpressed=True),
    Arm("without re-expression", {}),
    Arm("without replay", {"replay_ratio": 0.0, "bias_weight": 0.0}, reexpressed=True),
    Arm("without the KL", {"bias_weight": 0.0}, reexpressed=True),
)


@dataclass(frozen=True)
class Preset:
    """How large the lab is."""

    known: int = 48
    unknown: int = 24
    corpus: int = 1500
    natural: int = 1000
    prose: int = 1000
    size: Size = field(default_factory=Size)
    base: Training = field(default_factory=lambda: Training(epochs=1.5, rate=3e-3))
    continued: Training = field(default_factory=lambda: Training(epochs=4, rate=2e-3))
    tokens: int = 120_000
    rate: float = 1e-3


PRESETS = {
    "tiny": Preset(
        known=16,
        unknown=8,
        corpus=320,
        natural=300,
        prose=80,
        size=Size(vocabulary=1024, width=64, layers=2, heads=4),
        base=Training(epochs=2, rate=5e-3),
        continued=Training(epochs=3, rate=3e-3),
        tokens=15_000,
        rate=2e-3,
    ),
    "small": Preset(),
}
