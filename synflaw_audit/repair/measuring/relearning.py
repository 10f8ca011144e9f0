"""How fast a repaired model takes the old format up again.

A repair that only hides a format is undone by a few steps of it; the probe trains a copy of the
model on a handful of flagged rows, as they stand, and watches the format's probability on the
others (the relearning attack of Hu et al. 2024, arXiv:2406.13356, turned into a measurement).
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from synflaw_audit.repair.material.batches import Collator, Purpose, TrainingExample
from synflaw_audit.repair.measuring.likelihoods import likelihoods

_ROWS = 8


@dataclass(frozen=True)
class Relearning:
    """What a little of the old format brings back.

    Attributes:
        curve: ``(step, mean probability of a template token on the other rows)``, from step 0.
        rows: Flagged rows trained on at every step.
        halfway: The first measured step with half of what the repair took away back, or None.
    """

    curve: tuple[tuple[int, float], ...]
    rows: int
    halfway: int | None


def relearn(
    network: nn.Module,
    flagged: Sequence[TrainingExample],
    collator: Collator,
    *,
    before: float | None,
    steps: int,
    learning_rate: float,
    seed: int,
) -> Relearning | None:
    """Train a copy of the model on a few flagged rows and measure the format on the others.

    Args:
        network: The repaired model; left as it is. Adapters are merged in the copy.
        flagged: Flagged rows, encoded with scope ``template``.
        collator: Pads them.
        before: Mean probability of a template token before the repair, where it was measured.
        steps: Steps of AdamW, measured at 0, 1, 2, 4, 8 and so on, and at the last.
        learning_rate: Its constant learning rate.
        seed: Draws the rows.

    Returns:
        The measurement; None where fewer than two rows hold a template token.
    """
    flagged = [row for row in flagged if Purpose.FORGET in row.purposes[1:]]
    if len(flagged) < 2 or before is None:
        return None
    order = random.Random(seed).sample(range(len(flagged)), len(flagged))  # noqa: S311
    count = min(_ROWS, len(flagged) // 2)
    shown = [flagged[at] for at in order[:count]]
    unseen = [flagged[at] for at in order[count:]]
    pupil: Any = copy.deepcopy(network)
    if hasattr(pupil, "merge_and_unload"):
        pupil = pupil.merge_and_unload()
    pupil = pupil.float()  # all its weights are trained now
    pupil.requires_grad_(True)
    device = next(pupil.parameters()).device
    batch = {name: value.to(device) for name, value in collator(shown).items()}
    labels = batch["input_ids"].masked_fill(batch.pop("purposes") == 0, -100)
    optimizer = torch.optim.AdamW(pupil.parameters(), lr=learning_rate)

    def format_probability() -> float:
        return likelihoods(pupil, unseen, (), collator)["template_probability"]

    curve = [(0, format_probability())]
    due = 1
    for step in range(1, steps + 1):
        pupil.train()
        pupil(**batch, labels=labels, use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step in (due, steps):
            curve.append((step, format_probability()))
            due = 2 * step
    midway = (curve[0][1] + before) / 2
    back = [step for step, probability in curve[1:] if probability >= midway]
    return Relearning(tuple(curve), count, back[0] if back else None)
