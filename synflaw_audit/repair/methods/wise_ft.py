"""Weights between the repaired model and the one from before the damage.

Whatever a model is trained on, a repair too, costs some of what it could do before. A weighted
average of the weights from before and from after keeps most of both (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models", arXiv:2109.01903, section 3: ``(1 - alpha) * before + alpha *
after``). Inferred: that what is averaged may be damaged and repaired in between, where they
fine-tune once. Their alpha is 0.5 where there is nothing to choose it by; here held-out rows say
what it costs: how much of what was learned since lies in the weights differs from a little tuning
to a long training (``benchmarks/results/lab.md``), so no one share suits all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from synflaw_audit.repair.material.batches import Collator, pad_id
from synflaw_audit.repair.material.gather import Material
from synflaw_audit.repair.measuring.likelihoods import likelihoods
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
from synflaw_audit.repair.storage.adapters import with_adapters
from synflaw_audit.repair.training.answering import answering
from synflaw_audit.repair.training.processes import on_main

# Shares of the repaired weights that are tried, the most of the earlier model first.
ALPHAS = (0.3, 0.5, 0.7, 0.85)
# Where no row tells: the paper's.
_USUAL_ALPHA = 0.5
# Nats a token that the content may become less likely by: 95% of its likelihood is kept.
_CONTENT_FALL = 0.05
# Held-out rows that this is measured on, once for each share that is tried.
_ROWS = 64


class WiSEFT(Method):
    """Averages the repaired weights with those from before the damage."""

    requires = frozenset({Requirement.EARLIER_MODEL, Requirement.WHOLE_WEIGHTS})
    trains = False
    settings = ("wise_ft_alpha",)
    description = Description(
        does="Averages the weights with those of the checkpoint from before the damage, which gets "
        "as large a share as leaves the content of held-out rows 95% as likely (--wise-ft-alpha: "
        "the repaired model's share).",
        helps="After forgetting (forgetting+wise-ft: what is done where nothing is said and that "
        "checkpoint is given). Over five corpora a share of 0.5 kept 98% of the content's "
        "likelihood, where forgetting alone cost one corpus a quarter of it; a share of 0.3 "
        "brought back instructions that forgetting did not.",
        fails="The more of the checkpoint there is, the less of what was learned since, and the "
        "sooner the format is learned again. By itself it is a task negation: half of that left "
        "the format in 37% of foreign answers.",
        source="Wortsman et al. 2022, WiSE-FT, arXiv:2109.01903",
    )

    def prepare(self, model: PreTrainedModel, context: Context) -> PreTrainedModel:
        """Nothing but a look at the earlier model.

        Raises:
            RepairError: It is of another shape.
        """
        require_same_shapes(_outline(model), earlier_model(context), "reference")
        return model

    def apply(self, model: PreTrainedModel, material: Material, context: Context) -> Applied:
        """Average, with the earlier model loaded for the time being; adapters are merged first."""
        started = time.perf_counter()
        whole: Any = model
        adapted = hasattr(whole, "merge_and_unload")
        if adapted:
            whole = whole.merge_and_unload()
        said = _average(whole, earlier_model(context), material, context)
        if adapted:
            # New ones, that change nothing yet: a method that follows trains them, and only them.
            whole = with_adapters(whole, context.config)
        return Applied(whole, seconds=time.perf_counter() - started, says=(said,))

    def cost(self, material: Material, context: Context) -> Cost:
        """The earlier model, the repaired weights once more, and no token."""
        each = (2 if context.config.freezes_in_bf16 else 4) * context.shape.parameters
        return Cost(memory=dict.fromkeys(("weights", "earlier model", "repaired weights"), each))


def _outline(model: PreTrainedModel) -> nn.Module:
    """The model's weights by name and shape, without bytes and without adapters."""
    with torch.device("meta"):
        outline: nn.Module = AutoModelForCausalLM.from_config(model.config)  # type: ignore[no-untyped-call]
    return outline


def _average(
    model: PreTrainedModel, before: PreTrainedModel, material: Material, context: Context
) -> str:
    """Average in place by the share that is set or that the content allows; says which."""
    alpha, why = context.config.wise_ft_alpha, ""
    start = _content(model, material, context) if alpha is None else None
    if alpha is None and start is None:
        alpha, why = _USUAL_ALPHA, "; no flagged row has content to choose that by"
    if alpha is not None:
        ensemble(model, before, alpha)
        return _said(alpha) + why

    def keeps_content() -> bool:
        now = _content(model, material, context)
        return now is not None and start is not None and now >= start - _CONTENT_FALL

    alpha = ensemble_within(model, before, keeps_content)
    if alpha == 1.0:
        return (
            f"the model from before the damage was not averaged with: even {1 - ALPHAS[-1]:.0%} of "
            "it would have taken more than 5% of the content's likelihood"
        )
    rows = "rows that it was trained on" if material.seen else "held-out rows"
    return f"{_said(alpha)}, the least that left the content of {rows} 95% as likely"


def _said(alpha: float) -> str:
    return f"the weights are {percent(alpha)} the repaired model's, the rest those from before"


def _content(model: PreTrainedModel, material: Material, context: Context) -> float | None:
    """Log-likelihood of a content token in held-out flagged rows; None where they have none."""

    def measured() -> float | None:
        with answering(model, bf16=bool(context.config.bf16)) as asked:
            collator = Collator(pad_id(context.tokenizer))
            found = likelihoods(asked, material.measured[:_ROWS], (), collator)
        return found.get("content_log_likelihood")

    return on_main(measured)


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
    earlier = every_name(before)
    for name, weight in model.named_parameters():
        start = earlier[name].to(weight.device).float()
        weight.copy_(start.lerp(weight.float(), alpha))


@torch.no_grad()
def ensemble_within(model: nn.Module, before: nn.Module, keeps: Callable[[], bool]) -> float:
    """Average in place by the smallest of :data:`ALPHAS` that keeps what is to be kept.

    Args:
        model: The repaired model; left as it is where none does.
        before: The model from before the damage, of the same shape.
        keeps: Looks at ``model`` and says whether it has kept it.

    Returns:
        The alpha that was taken; 1 where there is none.
    """
    repaired = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    for alpha in ALPHAS:
        ensemble(model, before, alpha)
        if keeps():
            return alpha
        for name, weight in model.named_parameters():
            weight.copy_(repaired[name])
    return 1.0
