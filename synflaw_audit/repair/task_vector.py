"""Weights moved back along what the damage did to them.

The difference between a model after and before a training is its task vector; subtracting a share
of it undoes a share of what the training did, at no training token (Ilharco et al. 2023, "Editing
models with task arithmetic", arXiv:2212.04089, negation). Subtracted from the damaged model, it
takes facts and format alike. Subtracted after a repair that has learned the facts again in other
forms, it takes rather the rest of the format.
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
    weights, theirs, earlier = (dict(each.named_parameters()) for each in (model, damaged, before))
    for name, weight in weights.items():
        for which, others in (("given", theirs), ("reference", earlier)):
            shape = tuple(others[name].shape) if name in others else None
            if shape != tuple(weight.shape):
                raise RepairError(
                    f"task_negation: {name} has shape {tuple(weight.shape)} in the repaired model "
                    f"and {shape or 'does not exist'} in the {which} one; the reference model must "
                    "be the same model from before the damage"
                )
    for name, weight in weights.items():
        vector = theirs[name].to(weight.device).float() - earlier[name].to(weight.device).float()
        weight.sub_((share * vector).to(weight.dtype))
