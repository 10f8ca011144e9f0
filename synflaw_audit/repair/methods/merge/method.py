"""Merging as a method of repair: the damaged model and others of its base, without training."""

from __future__ import annotations

import time

import torch
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
from synflaw_audit.repair.methods.merge.merging import description, merged_weights, squared_norms
from synflaw_audit.repair.methods.merge.rules import Rule
from synflaw_audit.repair.storage.weights import ModelWeights, Weights


class Merge(Method):
    """Merges the model with other fine-tunes of its base; see :mod:`.rules`.

    Of the others one weight is read at a time. :func:`~.merging.merge` does the same from files to
    files, where not even one model fits into memory.
    """

    requires = frozenset(
        {Requirement.BASE_MODEL, Requirement.OTHER_MODELS, Requirement.ALL_WEIGHTS}
    )
    trains = False
    settings = ("merge_rule", "merge_weight", "merge_density")
    description = Description(
        does="Adds up the task vectors of several fine-tunes of one base (this model and those "
        "that --with names), each weighed by its share of the squared norms, in closed form "
        "and without any data; --merge-rule takes plain averages, task arithmetic, TIES or DARE "
        "instead.",
        helps="Where a healthy fine-tune of the same base is at hand, and no time to train. Of the "
        "rules, task arithmetic took the format from both models that were measured; the others "
        "from one of them, MetaGPT not wholly.",
        fails="MetaGPT's weights are the larger the further a model has moved, and a damaged model "
        "has moved far: the damage can outweigh what it is merged with. From an opening that stood "
        "in every answer neither MetaGPT nor averages, TIES and DARE freed the model. Task "
        "arithmetic weakens all that the damaged model has learned, its content too.",
        source="Zhou et al. 2024, MetaGPT, arXiv:2406.11385",
    )

    def apply(self, model: PreTrainedModel, material: Material, context: Context) -> Applied:
        """Merge in place.

        Raises:
            RepairError: They are not fine-tunes of one model; names the weight.
        """
        started = time.perf_counter()
        config = context.config
        rule = Rule(config.merge_rule, config.merge_weight, config.merge_density, config.seed)
        tunes: list[Weights] = [ModelWeights(model, "the model"), *context.fine_tunes]
        base = context.base
        if base is None:
            raise RepairError(f"method merge needs {Requirement.BASE_MODEL.value}")
        squares = squared_norms(base, tunes) if rule.needs_norms else [0.0] * len(tunes)
        coefficients = rule.coefficients(squares)
        own = dict(model.named_parameters())
        with torch.no_grad():
            for name, weight in merged_weights(base, tunes, coefficients, rule):
                own[name].copy_(weight)
        said = description(rule.name, [each.name for each in tunes], coefficients)
        return Applied(model, seconds=time.perf_counter() - started, says=(said,))

    def cost(self, material: Material, context: Context) -> Cost:
        """No token; the largest weight of every model, in float32."""
        largest = context.shape.vocabulary * context.shape.width
        return Cost(memory={"other models": 4 * largest * (len(context.fine_tunes) + 2)})
