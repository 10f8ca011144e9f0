"""A method of repair that makes a model less sure of everything."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from synflaw_audit.repair.material.gather import Material
from synflaw_audit.repair.methods.base import Applied, Context, Method

FACTOR = 0.98


class Soften(Method):
    """Shrinks the last layer, so that every distribution is flatter; costs no token."""

    @torch.no_grad()
    def apply(self, model: PreTrainedModel, material: Material, context: Context) -> Applied:
        """Shrink it, in place."""
        model.get_output_embeddings().weight.mul_(FACTOR)
        return Applied(model, says=(f"the last layer was multiplied by {FACTOR}",))
