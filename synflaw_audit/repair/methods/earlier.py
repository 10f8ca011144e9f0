"""The model from before the damage, and whether its weights can be put beside another's."""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedModel

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.methods.base import Context, Requirement

_SAME_MODEL = (
    "the reference model must be the same model from before the damage; method forgetting does "
    "without one"
)


def earlier_model(context: Context) -> PreTrainedModel:
    """The model from before the damage, loaded anew or as it was given.

    Raises:
        RepairError: None was given.
    """
    if context.load_reference is None:
        raise RepairError(f"method {context.config.method} needs {Requirement.EARLIER_MODEL.value}")
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


def percent(share: float) -> str:
    """A share with as many digits as it was given, and no more than four."""
    return f"{100 * share:.4g}%"
