"""Weights between the repaired model and the one from before the damage.

Whatever a model is trained on, a repair too, costs some of what it could do before. A weighted
average of the weights from before and from after keeps most of both (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models", arXiv:2109.01903, section 3: ``(1 - alpha) * before + alpha *
after``; 0.5 is what they take where there is nothing to choose it by). Inferred: that what is
averaged may be damaged and repaired in between; they fine-tune once.
"""

from __future__ import annotations

import time
from typing import Any

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
from synflaw_audit.repair.methods.task_negation import require_same_shapes

USUAL_ALPHA = 0.5


class WiSEFT(Method):
    """Averages the repaired weights with those from before the damage."""

    requires = frozenset({Requirement.EARLIER_MODEL, Requirement.WHOLE_WEIGHTS})
    trains = False
    settings = ("wise_ft_alpha",)
    description = Description(
        does="Averages the weights with those of the checkpoint from before the damage.",
        helps="After forgetting (forgetting+wise-ft: what is done where nothing is said and that "
        "checkpoint is given). Over five corpora a share of 0.5 kept 98% of the content's "
        "likelihood, where forgetting alone cost one corpus a quarter of it; a share of 0.3 "
        "brought back instructions that forgetting did not.",
        fails="The more of the checkpoint there is, the less of the content, and the sooner the "
        "format is learned again. By itself it is a task negation: half of that left the format in "
        "37% of foreign answers.",
        source="Wortsman et al. 2022, WiSE-FT, arXiv:2109.01903",
    )

    def prepare(self, model: PreTrainedModel, context: Context) -> PreTrainedModel:
        """Nothing but a look at the earlier model.

        Raises:
            RepairError: It is of another shape.
        """
        require_same_shapes(context.load_original(), _earlier(context), "reference")
        return model

    def apply(self, model: PreTrainedModel, material: Material, context: Context) -> Applied:
        """Average, with the earlier model loaded for the time being; adapters are merged first."""
        started = time.perf_counter()
        alpha = _alpha(context)
        whole: Any = model
        if hasattr(whole, "merge_and_unload"):
            whole = whole.merge_and_unload()
        ensemble(whole, _earlier(context), alpha)
        said = f"the weights are {alpha:.0%} the repaired model's, the rest those from before"
        return Applied(whole, seconds=time.perf_counter() - started, says=(said,))

    def cost(self, material: Material, context: Context) -> Cost:
        """A further model, and no token."""
        return Cost(memory={"earlier model": 4 * context.shape.parameters})


def _alpha(context: Context) -> float:
    alpha = context.config.wise_ft_alpha
    return USUAL_ALPHA if alpha is None else alpha


def _earlier(context: Context) -> PreTrainedModel:
    if context.load_reference is None:
        raise RepairError(f"wise-ft needs {Requirement.EARLIER_MODEL.value}")
    return context.load_reference()


@torch.no_grad()
def ensemble(model: nn.Module, before: nn.Module, alpha: float) -> None:
    """Average in place, in float32: ``(1 - alpha) * before + alpha * model``.

    Args:
        model: The repaired model.
        before: The model from before the damage, of the same shape.
        alpha: Between 0, the model from before, and 1, which changes nothing.

    Raises:
        RepairError: A weight is missing in one of them, or of another shape; names it.
    """
    require_same_shapes(model, before, "reference")
    earlier = dict(before.named_parameters())
    for name, weight in model.named_parameters():
        start = earlier[name].to(weight.device).float()
        weight.copy_(start.lerp(weight.float(), alpha))
