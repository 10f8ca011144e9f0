"""What a preference training is made of: the items of a step, and the loss over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from synflaw_audit.repair.material.batches import Collator, Purpose, TrainingExample
from synflaw_audit.repair.methods.forgetting.reference import Reference
from synflaw_audit.repair.methods.preference import losses
from synflaw_audit.repair.methods.preference.onsets import Onset
from synflaw_audit.repair.scores import cross_entropy
from synflaw_audit.repair.training.forward import in_chunks, selected_logits

AnswerPair = tuple[TrainingExample, TrainingExample]


@dataclass(frozen=True)
class Objective(ABC):
    """A loss over items, and how items become a batch.

    Attributes:
        collator: Pads rows.
        chunk: Positions whose logits are worked on in float32 at a time.
        needs_reference: Whether the loss compares with the model as it was.
    """

    collator: Collator
    chunk: int
    needs_reference: ClassVar[bool] = True

    @abstractmethod
    def collate(self, items: Sequence[Any]) -> dict[str, Tensor]:
        """A batch: ``input_ids``, ``attention_mask`` and what else the loss is told."""

    @abstractmethod
    def __call__(
        self, model: nn.Module, head: nn.Module, batch: dict[str, Tensor], reference: Reference
    ) -> Tensor:
        """The loss of a batch, a scalar with a gradient."""

    @staticmethod
    @abstractmethod
    def tokens(item: Any) -> int:
        """Tokens of an item, prompts included."""


@dataclass(frozen=True)
class RowsObjective(Objective):
    """Items are rows to train on."""

    def collate(self, items: Sequence[TrainingExample]) -> dict[str, Tensor]:
        """Rows of all roles."""
        return self.collator(items)

    @staticmethod
    def tokens(item: TrainingExample) -> int:
        """Of the row."""
        return len(item.input_ids)


@dataclass(frozen=True)
class Answers(Objective):
    """Items are pairs of a chosen and a rejected answer to one question."""

    def collate(self, items: Sequence[AnswerPair]) -> dict[str, Tensor]:
        """The rejected rows first, then the chosen ones, each in the order of the pairs."""
        # The collator sorts by role, and leaves equal roles in their order.
        return self.collator([row for pair in items for row in pair])

    @staticmethod
    def tokens(item: AnswerPair) -> int:
        """Of both answers."""
        return sum(len(row.input_ids) for row in item)

    def _sums(
        self, batch: dict[str, Tensor], logits_at: Any
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Log-likelihoods of the rejected and of the chosen answers, and their tokens."""
        purposes = batch["purposes"][:, 1:]
        rows, columns = purposes.nonzero(as_tuple=True)
        ids = batch["input_ids"][rows, columns + 1]
        logits = logits_at(_features(batch), rows, columns)
        values = -in_chunks(lambda x, y: (cross_entropy(x, y),), (logits, ids), self.chunk)[0]
        count = len(purposes)
        sums = values.new_zeros(count).index_add(0, rows, values)
        tokens = values.new_zeros(count).index_add(0, rows, torch.ones_like(values))
        half = count // 2
        return (sums[:half], sums[half:]), (tokens[:half], tokens[half:])


@dataclass(frozen=True)
class DPOObjective(Answers):
    """See :func:`~.losses.dpo`."""

    def __call__(
        self, model: nn.Module, head: nn.Module, batch: dict[str, Tensor], reference: Reference
    ) -> Tensor:
        """Mean over the pairs."""
        with torch.no_grad():
            (old_rejected, old_chosen), _ = self._sums(batch, reference.logits)
        (rejected, chosen), _ = self._sums(batch, _asked(model, head))
        return losses.dpo(chosen, rejected, old_chosen, old_rejected).mean()


@dataclass(frozen=True)
class SimPOObjective(Answers):
    """See :func:`~.losses.simpo`."""

    needs_reference = False

    def __call__(
        self, model: nn.Module, head: nn.Module, batch: dict[str, Tensor], reference: Reference
    ) -> Tensor:
        """Mean over the pairs."""
        (rejected, chosen), (less, more) = self._sums(batch, _asked(model, head))
        return losses.simpo(chosen / more, rejected / less).mean()


@dataclass(frozen=True)
class JensUnObjective(RowsObjective):
    """Items are rows: answers to give instead (role RETAIN) and ordinary ones (role REPLAY).

    See :func:`~.losses.one_hot_divergence` and :func:`~.losses.divergence`. Inferred: both terms
    weigh the same; what the paper has answered with "No idea" is answered without the format here.
    """

    def __call__(
        self, model: nn.Module, head: nn.Module, batch: dict[str, Tensor], reference: Reference
    ) -> Tensor:
        """Sum of the two means over tokens."""
        purposes = batch["purposes"][:, 1:]
        total = torch.zeros((), device=purposes.device)
        rows, columns = (purposes > 0).nonzero(as_tuple=True)
        instead = purposes[rows, columns] == Purpose.RETAIN
        ids = batch["input_ids"][rows, columns + 1]
        logits = selected_logits(model, head, _features(batch), rows, columns)

        def forget(x: Tensor, y: Tensor) -> tuple[Tensor]:
            return (losses.one_hot_divergence(-cross_entropy(x, y)),)

        def retain(x: Tensor, y: Tensor) -> tuple[Tensor]:
            return (losses.divergence(x.float(), y.float()),)

        if instead.any():
            pair = (logits[instead], ids[instead])
            total = total + in_chunks(forget, pair, self.chunk)[0].mean()
        if not instead.all():
            kept = ~instead
            theirs = reference.logits(_features(batch), rows[kept], columns[kept])
            total = total + in_chunks(retain, (logits[kept], theirs), self.chunk)[0].mean()
        return total


@dataclass(frozen=True)
class FTPOObjective(Objective):
    """Items are places where the format would begin. See :func:`~.losses.ftpo`."""

    def collate(self, items: Sequence[Onset]) -> dict[str, Tensor]:
        """The contexts; ``rejected``, ``(b,)``; ``chosen``, filled with -1, ``(b, most)``."""
        rows = [
            TrainingExample(list(item.context), [0] * len(item.context), Purpose.NONE)
            for item in items
        ]
        most = max(len(item.chosen) for item in items)
        filled = [[*item.chosen, *[-1] * (most - len(item.chosen))] for item in items]
        batch = self.collator(rows)
        batch["rejected"] = torch.tensor([item.rejected for item in items])
        batch["chosen"] = torch.tensor(filled)
        return batch

    @staticmethod
    def tokens(item: Onset) -> int:
        """Of the context, and the token that follows it."""
        return len(item.context) + 1

    def __call__(
        self, model: nn.Module, head: nn.Module, batch: dict[str, Tensor], reference: Reference
    ) -> Tensor:
        """Over the batch."""
        mask = batch["attention_mask"]
        rows = torch.arange(len(mask), device=mask.device)
        # The last token of each row, on whichever side the padding is.
        columns = mask.shape[1] - 1 - mask.flip(-1).argmax(-1)
        logits = selected_logits(model, head, _features(batch), rows, columns).float()
        theirs = reference.logits(_features(batch), rows, columns).float()
        # One column more takes what only fills.
        width = logits.shape[1]
        chosen = torch.zeros(len(rows), width + 1, dtype=torch.bool, device=mask.device)
        chosen.scatter_(-1, batch["chosen"].where(batch["chosen"] >= 0, width), True)
        return losses.ftpo(logits, theirs, batch["rejected"], chosen[:, :width])


def _features(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """What of a batch the model itself is given."""
    names = ("input_ids", "attention_mask", "position_ids")
    return {name: batch[name] for name in names if name in batch}


def _asked(model: nn.Module, head: nn.Module) -> Any:
    return lambda inputs, rows, columns: selected_logits(model, head, inputs, rows, columns)
