"""The trainer of a preference objective: items in their order, the loss over a micro-batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, Trainer

from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.methods.forgetting.reference import AdapterOff, Reference, SecondModel
from synflaw_audit.repair.methods.preference.objectives import Objective
from synflaw_audit.repair.training.forward import output_layer


class PreferenceTrainer(Trainer):
    """``transformers.Trainer`` over the items of an :class:`~.objectives.Objective`.

    Args:
        model: The model; with LoRA, a PEFT model.
        args: The settings.
        items: In the order of training.
        objective: The loss.
    """

    def __init__(
        self, model: PreTrainedModel, args: RepairConfig, items: Sequence[Any], objective: Objective
    ) -> None:
        super().__init__(
            model=model,
            args=args,
            train_dataset=items,
            data_collator=objective.collate,
        )
        self.failure: str | None = None
        self._objective = objective
        inner = self.accelerator.unwrap_model(self.model)
        self._head = output_layer(inner)
        self._reference = _reference(inner) if objective.needs_reference else None

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The objective over one micro-batch."""
        loss = self._objective(model, self._head, inputs, self._reference)  # type: ignore[arg-type]
        return (loss, {}) if return_outputs else loss

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor | Any],
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """One micro-batch; a loss that is not finite stops the run and is named in ``failure``."""
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        if not bool(torch.isfinite(loss).all()):
            self.failure = f"the loss was not finite at step {self.state.global_step + 1}"
            self.control.should_training_stop = True
        return loss


def _reference(model: Any) -> Reference:
    return AdapterOff(model) if hasattr(model, "disable_adapter") else SecondModel.copy_of(model)
