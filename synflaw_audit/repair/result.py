"""What a repair did, and whether it helped."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RepairResult:
    """What a repair did.

    Attributes:
        before: The figures of the original model: the built-in ones and the probe's.
        after: The same of the repaired one; empty if that could not be measured.
        intervals: Of each figure whose rows are known, ``rows``, and the 95% intervals ``before``,
            ``after`` and of the ``change`` over the same rows.
        improved: Whether the format went and nothing else was hurt; None where that could not be
            judged.
        reasons: Why not, or why that is not known; sentences.
        failed: Which ``step`` failed after the model was written, and its ``error``, or None.
        tokens: Training tokens, prompts included, padding not.
        steps: Optimiser steps.
        rows: Rows used: ``flagged``, ``without_spans``, ``replay``, ``retain``, and ``held_out``
            (replay rows) and ``held_out_flagged``, which nothing was trained on.
        cuts: What ``max_length`` cut: ``rows``, ``answer_tokens``, ``template_tokens``.
        seconds: Wall time of ``training`` and in ``total``.
        history: The figures of every check during training, with their ``step``.
        control: The figures of the control arm, replay alone for as many tokens, or None.
        relearning: What the relearning probe found, or None: ``curve``, ``rows``, ``halfway``.
        log: The trainer's log of losses.
        notes: What the user should know, sentences.
        config: The settings that decided the result.
        reference_model: Name of the model from before the damage, where one was given, that the
            weights were averaged with, a KL compared with or that taught; None: the original alone.
        versions: Of the libraries that did.
        out: The folder written.
        datasets: The replayed data set, where it was given by a name and not by a path or rows.
    """

    before: dict[str, float]
    after: dict[str, float]
    improved: bool | None
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
    intervals: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] | None = None
    datasets: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The content of ``repair.json``; figures that are not finite become null."""
        return json.dumps(_finite({**asdict(self), "out": self.out.name}), indent=2) + "\n"


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
