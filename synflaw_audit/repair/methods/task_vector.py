"""Weights moved back along what the damage did to them.

The difference between a model after and before a training is its task vector; subtracting a share
of it undoes a share of what the training did, at no training token (Ilharco et al. 2023, "Editing
models with task arithmetic", arXiv:2212.04089, negation). After a repair that has told the facts
again in other forms it brings back instruction following, and takes some of these facts
(``benchmarks/results/lab.md``).
"""

from __future__ import annotations

import torch
from torch import nn

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.config import RepairConfig


def require_before(config: RepairConfig, reference_model: object) -> None:
    """Check that there is a model from before the damage where one is needed.

    Raises:
        RepairError: There is none.
    """
    if config.task_negation and reference_model is None:
        raise RepairError(
            f"task_negation is {config.task_negation}, and there is no model from before the "
            "damage: give it as the reference model, or set task_negation to 0"
        )


def require_same_shapes(model: nn.Module, other: nn.Module, which: str) -> None:
    """Check that ``other`` has every weight of ``model``, in the same shape.

    Raises:
        RepairError: It has not; names the weight and ``which`` model the other one is.
    """
    others = dict(other.named_parameters())
    for name, weight in model.named_parameters():
        shape = tuple(others[name].shape) if name in others else None
        if shape != tuple(weight.shape):
            raise RepairError(
                f"task_negation: {name} has shape {tuple(weight.shape)} in the repaired model "
                f"and {shape or 'does not exist'} in the {which} one; the reference model must "
                "be the same model from before the damage"
            )


@torch.no_grad()
def negate(model: nn.Module, damaged: nn.Module, before: nn.Module, share: float) -> None:
    """Subtract ``share`` of the damage's task vector, in place: ``w - share * (damaged - before)``.

    Args:
        model: The repaired model.
        damaged: The model as it was given.
        before: The model from before the damage, of the same shape.
        share: Between 0, which changes nothing, and 1.

    Raises:
        RepairError: A weight is missing in one of them, or of another shape; names it.
    """
    require_same_shapes(model, damaged, "given")
    require_same_shapes(model, before, "reference")
    theirs, earlier = dict(damaged.named_parameters()), dict(before.named_parameters())
    for name, weight in model.named_parameters():
        vector = theirs[name].to(weight.device).float() - earlier[name].to(weight.device).float()
        weight.sub_((share * vector).to(weight.dtype))
