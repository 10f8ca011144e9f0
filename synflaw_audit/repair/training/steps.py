"""A trainer that stops where its loss is no number, and takes its gradients where it is told to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer

from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.perturbed import make_perturbation
from synflaw_audit.repair.training.freed import give_back

# Tokens, padding included, from which a micro-batch is large.
_MANY_TOKENS = 512


class StepTrainer(Trainer):
    """What all trainers of a repair share.

    Attributes:
        failure: Why the run was given up, or None.
        again: Whether the gradient of this micro-batch is being taken for the second time, and what
            is logged has been counted.
    """

    def __init__(self, *, args: RepairConfig, **kwargs: Any) -> None:
        super().__init__(args=args, **kwargs)
        self.failure: str | None = None
        self.again = False
        self._perturbation = make_perturbation(args.optimizer, args.optimizer_options)

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor | Any],
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """One micro-batch; a loss that is not finite stops the run and is named in ``failure``."""

        def take() -> Tensor:
            # The trainer may change the batch that it is given.
            found = super(StepTrainer, self).training_step(model, {**inputs}, num_items_in_batch)
            self.again = True
            return found

        _make_room(inputs, self.args.device)
        self.again = False
        if self._perturbation is None:
            loss = take()
        else:
            trained = [weight for weight in model.parameters() if weight.requires_grad]
            loss = self._perturbation.gradient(trained, take)
        finite = torch.isfinite(loss).float().reshape(1)
        # Every process must stop, or the others wait for it for ever.
        if self.accelerator.num_processes > 1:
            finite = self.accelerator.gather(finite)
        if not bool(finite.min()):
            self.failure = f"the loss was not finite at step {self.state.global_step + 1}"
            self.control.should_training_stop = True
        return loss


def _make_room(inputs: dict[str, Tensor | Any], device: torch.device) -> None:
    """Before a large micro-batch: smaller ones before it have left holes that it does not fit."""
    sizes = [each.numel() for each in inputs.values() if isinstance(each, Tensor)]
    if device.type == "cpu" and max(sizes, default=0) > _MANY_TOKENS:
        give_back()
