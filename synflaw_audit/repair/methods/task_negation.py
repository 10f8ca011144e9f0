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

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.material.gather import Material
from synflaw_audit.repair.methods.base import (
    Applied,
    Context,
    Cost,
    Description,
    Method,
    Requirement,
)

_USUAL_SHARE = 0.15
_SAME_MODEL = (
    "the reference model must be the same model from before the damage; method forgetting does "
    "without one"
)


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
        require_same_shapes(model, _earlier(context), "reference")
        return model

    def apply(self, model: PreTrainedModel, material: Material, context: Context) -> Applied:
        """Subtract, with both other models loaded for the time being."""
        started = time.perf_counter()
        share = _share(context)
        negate(model, context.load_original(), _earlier(context), share)
        said = f"{percent(share)} of the damage's task vector was subtracted"
        return Applied(model, seconds=time.perf_counter() - started, says=(said,))

    def cost(self, material: Material, context: Context) -> Cost:
        """Two models beside this one, and no token."""
        each = 4 * context.shape.parameters
        return Cost(memory={"weights": each, "earlier models": 2 * each})


def _share(context: Context) -> float:
    share = context.config.task_negation
    return _USUAL_SHARE if share is None else share


def percent(share: float) -> str:
    """A share with as many digits as it was given, and no more than four."""
    return f"{100 * share:.4g}%"


def _earlier(context: Context) -> PreTrainedModel:
    if context.load_reference is None:
        raise RepairError(f"task-negation needs {Requirement.EARLIER_MODEL.value}")
    return context.load_reference()


def require_same_shapes(model: nn.Module, other: nn.Module, which: str) -> None:
    """Check that ``other`` has every weight of ``model``, in the same shape.

    Weights that are one in ``model``, tied, must be alike in ``other``; the other way round each of
    them meets the one.

    Raises:
        RepairError: It has not; names the weight and ``which`` model the other one is.
    """
    others = every_name(other)
    met: dict[nn.Parameter, str] = {}
    for name, weight in every_name(model).items():
        shape = tuple(others[name].shape) if name in others else None
        if shape != tuple(weight.shape):
            raise RepairError(
                f"{name} has shape {tuple(weight.shape)} in the repaired model "
                f"and {shape or 'does not exist'} in the {which} one; {_SAME_MODEL}"
            )
        first = met.setdefault(weight, name)
        if first != name and not torch.equal(others[first], others[name]):
            raise RepairError(
                f"{first} and {name} are one weight (tied) in the repaired model and two in the "
                f"{which} one; {_SAME_MODEL}"
            )


def every_name(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights by name; one that is tied to another is found by either name."""
    return dict(model.named_parameters(remove_duplicate=False))


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
