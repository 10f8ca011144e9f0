"""The reference model: what the repaired model must stay close to on ordinary rows.

Three ways to have one: the same model with its LoRA adapters off, which costs no memory; a second
model (a frozen copy of the start, or one that the caller hands over, such as the checkpoint from
before the damage); or what either says of the training rows, cached before the training starts.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Purpose, TrainingExample
from synflaw_audit.repair.methods.forgetting.cache import CachedReference
from synflaw_audit.repair.training.forward import (
    output_layer,
    selected_hidden,
    selected_logits,
)

# The first and the last purpose of the tokens that the KL is taken at.
BIAS_ROWS = {
    "replay": (Purpose.REPLAY, Purpose.REPLAY),
    "content": (Purpose.RETAIN, Purpose.RETAIN),
    "both": (Purpose.RETAIN, Purpose.REPLAY),
}


class Reference(Protocol):
    """Gives the reference's view of chosen positions, without gradient.

    Attributes:
        model: The module that is run.
        head: Its output layer.
    """

    model: Any
    head: nn.Module

    def logits(self, inputs: dict[str, Tensor], rows: Tensor, columns: Tensor) -> Tensor:
        """Logits, shape ``(n, vocabulary)``, for the ``n`` positions."""
        ...

    def hidden(self, inputs: dict[str, Tensor], rows: Tensor, columns: Tensor) -> Tensor:
        """What the output layer is given there, shape ``(n, width)``."""
        ...


class SecondModel:
    """A second model, which is asked and not changed: it may be the caller's own."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.head = output_layer(model)

    @classmethod
    def copy_of(cls, model: Any) -> SecondModel:
        """A frozen copy of the model as it stands."""
        return cls(copy.deepcopy(model))

    @torch.no_grad()
    def logits(self, inputs: dict[str, Tensor], rows: Tensor, columns: Tensor) -> Tensor:
        """The second model's logits."""
        with _evaluating(self._on(rows)) as asked:
            return selected_logits(asked, self.head, inputs, rows, columns)

    @torch.no_grad()
    def hidden(self, inputs: dict[str, Tensor], rows: Tensor, columns: Tensor) -> Tensor:
        """The second model's hidden vectors."""
        with _evaluating(self._on(rows)) as asked:
            return selected_hidden(asked, self.head, inputs, rows, columns)

    def _on(self, where: Tensor) -> nn.Module:
        """The model, moved once to where the batch is."""
        if next(self.model.parameters()).device != where.device:
            nn.Module.to(self.model, where.device)
        return self.model


class AdapterOff:
    """The model in training itself, its LoRA adapters off."""

    def __init__(self, model: Any) -> None:
        if not hasattr(model, "disable_adapter"):
            raise RepairError(
                f"{type(model).__name__} carries no adapter that could be switched off"
            )
        self.model = model
        self.head = output_layer(model)

    @torch.no_grad()
    def logits(self, inputs: dict[str, Tensor], rows: Tensor, columns: Tensor) -> Tensor:
        """The base model's logits."""
        with _evaluating(self.model), self.model.disable_adapter():
            return selected_logits(self.model, self.head, inputs, rows, columns)

    @torch.no_grad()
    def hidden(self, inputs: dict[str, Tensor], rows: Tensor, columns: Tensor) -> Tensor:
        """The base model's hidden vectors."""
        with _evaluating(self.model), self.model.disable_adapter():
            return selected_hidden(self.model, self.head, inputs, rows, columns)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Dropout off, and back to what it was."""
    training = model.training
    model.train(False)
    try:
        yield model
    finally:
        model.train(training)


def make_reference(
    settings: RepairConfig,
    model: Any,
    given: PreTrainedModel | None,
    examples: Sequence[TrainingExample],
) -> Reference | CachedReference | None:
    """The reference that the settings ask for; None where no term of the loss compares.

    Args:
        settings: What is compared, and how.
        model: The model to be trained, not wrapped, as it stands before the first step.
        given: Another model to compare with.
        examples: The training rows.

    Raises:
        RepairError: The vocabularies differ, or the cache would become too large.
    """
    if not (
        settings.bias_weight
        or (settings.forgetting_loss.needs_reference and settings.forget_weight)
    ):
        return None
    if given is not None:
        check_vocabulary(model, given)
    if settings.reference == "cached":
        first, last = BIAS_ROWS[settings.bias_rows]
        return CachedReference.of(
            model if given is None else given,
            examples,
            purposes=range(first, last + 1),
            top_k=settings.reference_top_k,
            limit=settings.reference_cache_mb * 1e6,
            batch_size=settings.per_device_eval_batch_size,
        )
    if given is not None:
        return SecondModel(given)
    return AdapterOff(model) if hasattr(model, "disable_adapter") else SecondModel.copy_of(model)


def check_vocabulary(model: Any, reference: PreTrainedModel) -> None:
    """Check that two models speak of the same tokens.

    Raises:
        RepairError: Their vocabularies differ in size.
    """
    sizes = [each.get_input_embeddings().num_embeddings for each in (model, reference)]
    if sizes[0] != sizes[1]:
        raise RepairError(
            f"the reference model has {sizes[1]} tokens, the model {sizes[0]}: a KL between them "
            "means nothing; give a checkpoint of the same model"
        )
