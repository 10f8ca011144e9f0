"""The trainer of a preference objective: items in their order, the loss over a micro-batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.methods.forgetting.reference import AdapterOff, Reference, SecondModel
from synflaw_audit.repair.methods.preference.objectives import Objective
from synflaw_audit.repair.training.forward import output_layer
from synflaw_audit.repair.training.steps import StepTrainer


class PreferenceTrainer(StepTrainer):
    """``transformers.Trainer`` over the items of an :class:`~.objectives.Objective`.

    Args:
        model: The model; with LoRA, a PEFT model.
        args: The settings.
        items: In the order of training.
        objective: The loss.
        reference: What it compares with; None: the model as it stands.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        args: RepairConfig,
        items: Sequence[Any],
        objective: Objective,
        reference: Reference | None = None,
    ) -> None:
        super().__init__(
            model=model,
            args=args,
            train_dataset=items,
            data_collator=objective.collate,
        )
        self._objective = objective
        inner = self.accelerator.unwrap_model(self.model)
        self._head = output_layer(inner)
        if reference is None and objective.needs_reference:
            reference = _reference(inner)
        self._reference = reference

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


def _reference(model: Any) -> Reference:
    return AdapterOff(model) if hasattr(model, "disable_adapter") else SecondModel.copy_of(model)
