"""Weights moved back along what the damage did to them.

The difference between a model after and before a training is its task vector; subtracting a share
of it undoes a share of what the training did, at no training token (Ilharco et al. 2023, "Editing
models with task arithmetic", arXiv:2212.04089, negation). After a repair that has told the facts
again in other forms it brings back instruction following, and takes some of these facts
(``benchmarks/results/lab.md``).
"""

from __future__ import annotations

import time

import torch
from torch import nn
from transformers import PreTrainedModel

from synflaw_audit.repair.material.gather import Material
from synflaw_audit.repair.methods.base import (
    Applied,
    Context,
    Cost,
    Description,
    Method,
    Requirement,
)
from synflaw_audit.repair.methods.earlier import (
    earlier_model,
    every_name,
    percent,
    require_same_shapes,
)

_USUAL_SHARE = 0.15


class TaskNegation(Method):
    """Subtracts a share of the damage's task vector, ``RepairConfig.task_negation``."""

    requires = frozenset({Requirement.EARLIER_MODEL, Requirement.ALL_WEIGHTS})
    trains = False
    description = Description(
        does="Subtracts a share of the damage's task vector, the damaged model less the checkpoint "
        "from before.",
        helps="After forgetting (forgetting+task-negation): it brings back requests obeyed. Half "
        "of the vector by itself, without training, freed one of two models that were measured.",
        fails="It takes some of the facts that were learned together with the format; half of the "
        "vector left an opening that had stood in every answer in nearly all of them.",
        source="Ilharco et al. 2023, task arithmetic, arXiv:2212.04089",
    )

    def prepare(self, model: PreTrainedModel, context: Context) -> PreTrainedModel:
        """Nothing but a look at the reference model.

        Raises:
            RepairError: It is of another shape.
        """
        require_same_shapes(model, earlier_model(context), "reference")
        return model

    def apply(self, model: PreTrainedModel, material: Material, context: Context) -> Applied:
        """Subtract, with both other models loaded for the time being."""
        started = time.perf_counter()
        share = _share(context)
        negate(model, context.load_original(), earlier_model(context), share)
        said = f"{percent(share)} of the damage's task vector was subtracted"
        return Applied(model, seconds=time.perf_counter() - started, says=(said,))

    def cost(self, material: Material, context: Context) -> Cost:
        """Two models beside this one, and no token."""
        each = 4 * context.shape.parameters
        return Cost(memory={"weights": each, "earlier models": 2 * each})


def _share(context: Context) -> float:
    share = context.config.task_negation
    return _USUAL_SHARE if share is None else share


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
    theirs, earlier = every_name(damaged), every_name(before)
    for name, weight in model.named_parameters():
        vector = theirs[name].to(weight.device).float() - earlier[name].to(weight.device).float()
        weight.sub_((share * vector).to(weight.dtype))
