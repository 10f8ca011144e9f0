"""What a repair did, and whether it helped."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# Of the figures a probe may report, those that are judged.
_MUST_NOT_RISE = "template_emission"
_MUST_NOT_FALL = "instruction_following"
# Share of the format's probability that a repair must at least take away to have helped.
_LEAST_FALL = 0.05


@dataclass(frozen=True)
class RepairResult:
    """What a repair did.

    Attributes:
        before: The built-in likelihoods and the probe's figures of the original model.
        after: The same of the repaired one.
        improved: Whether the format became less likely and nothing else was hurt.
        reasons: Why not, where not; sentences.
        tokens: Training tokens, prompts included, padding not.
        steps: Optimiser steps.
        rows: Rows used: ``flagged``, ``without_spans``, ``replay``, ``held_out``, ``retain``.
        cuts: What ``max_length`` cut: ``rows``, ``answer_tokens``, ``template_tokens``.
        seconds: Wall time of ``training`` and in ``total``.
        history: The figures of every check during training, with their ``step``.
        control: The figures of the control arm, replay alone for as many tokens, or None.
        relearning: What the relearning probe found, or None: ``curve``, ``rows``, ``halfway``.
        log: The trainer's log of losses.
        notes: What the user should know, sentences.
        config: The settings that decided the result.
        reference_model: Name of the model that the KL compared with, or None for the original.
        versions: Of the libraries that did.
        out: The folder written.
    """

    before: dict[str, float]
    after: dict[str, float]
    improved: bool
    reasons: tuple[str, ...]
    tokens: int
    steps: int
    rows: dict[str, int]
    cuts: dict[str, int]
    seconds: dict[str, float]
    history: tuple[dict[str, float], ...]
    control: dict[str, float] | None
    relearning: dict[str, Any] | None
    log: tuple[dict[str, float], ...]
    notes: tuple[str, ...]
    config: dict[str, Any]
    reference_model: str | None
    versions: dict[str, str]
    out: Path = field(compare=False)

    def to_json(self) -> str:
        """The content of ``repair.json``; figures that are not finite become null."""
        return json.dumps(_finite({**asdict(self), "out": self.out.name}), indent=2) + "\n"


def judge(
    before: Mapping[str, float], after: Mapping[str, float], *, max_perplexity_rise: float
) -> list[str]:
    """Why a repair does not count as an improvement; empty where it does.

    ``template_probability`` must have fallen by a twentieth, unless a probe shows the gain itself:
    ``template_emission`` fell or ``instruction_following`` rose. Held-out perplexity must not have
    risen beyond the bound, and neither of the probe's two figures may have become worse.

    Args:
        before: Figures of the original model.
        after: Figures of the repaired one.
        max_perplexity_rise: Relative rise of ``replay_perplexity`` that is still accepted.
    """
    reasons = []
    broken = [name for name, value in after.items() if not math.isfinite(value)]
    if broken:
        reasons.append(f"Not finite after the repair: {', '.join(broken)}.")
    name = "template_probability"
    old, new = before.get(name, math.nan), after.get(name, math.nan)
    gained = after.get(_MUST_NOT_RISE, 0) < before.get(_MUST_NOT_RISE, 0) or after.get(
        _MUST_NOT_FALL, 0
    ) > before.get(_MUST_NOT_FALL, 0)
    if not new <= old * (1 - _LEAST_FALL) and not gained:
        reasons.append(
            f"The format is hardly less likely: {name} went from {old:.4g} to {new:.4g}."
        )
    name = "replay_perplexity"
    if name in before and after[name] > before[name] * (1 + max_perplexity_rise):
        reasons.append(
            f"Ordinary text suffered: {name} rose from {before[name]:.4g} to {after[name]:.4g}."
        )
    if after.get(_MUST_NOT_RISE, 0) > before.get(_MUST_NOT_RISE, 0):
        reasons.append(f"The probe's {_MUST_NOT_RISE} rose.")
    if after.get(_MUST_NOT_FALL, 0) < before.get(_MUST_NOT_FALL, 0):
        reasons.append(f"The probe's {_MUST_NOT_FALL} fell.")
    return reasons


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
