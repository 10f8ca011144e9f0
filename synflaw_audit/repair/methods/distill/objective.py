"""A teacher is followed in format and ordinary answers; content is learned as it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import torch
from torch import Tensor, nn

from synflaw_audit.repair.material.batches import Purpose
from synflaw_audit.repair.methods.distill.divergences import BY_TOKEN, DivergenceParts, atkd, parts
from synflaw_audit.repair.methods.distill.imperfect import imperfect
from synflaw_audit.repair.methods.forgetting.reference import Reference
from synflaw_audit.repair.methods.preference.objectives import RowsObjective
from synflaw_audit.repair.scores import cross_entropy
from synflaw_audit.repair.training.forward import in_chunks, selected_logits
from synflaw_audit.settings.repair import TeachingName

TEACHINGS: tuple[str, ...] = get_args(TeachingName)


@dataclass(frozen=True)
class Distillation(RowsObjective):
    """Items are rows. The loss is a divergence from the teacher, and cross-entropy of the content.

    The teacher knows nothing of the content that the flagged rows tell, so that following it there
    would take it away again; on their format and on ordinary rows it shows what to say.

    Attributes:
        teaching: The divergence: ``atkd``, or a key of :data:`~.divergences.BY_TOKEN`.
        content_weight: Of the content's cross-entropy.
        rate: Of imperfect tokens, see :mod:`.imperfect`; 0 is plain distillation.
        generator: Draws them.
    """

    teaching: str = "atkd"
    content_weight: float = 1.0
    rate: float = 0.0
    generator: torch.Generator = field(default_factory=torch.Generator)

    def __call__(
        self, model: nn.Module, head: nn.Module, batch: dict[str, Tensor], reference: Reference
    ) -> Tensor:
        """The divergence over the batch, and the mean of the content's cross-entropy."""
        purposes = batch["purposes"][:, 1:]
        rows, columns = purposes.nonzero(as_tuple=True)
        ids = batch["input_ids"][rows, columns + 1]
        content = purposes[rows, columns] == Purpose.RETAIN
        inputs = {name: value for name, value in batch.items() if name != "purposes"}
        if self.rate:
            inputs["input_ids"] = imperfect(model, head, batch, self.rate, self.generator)
        total = torch.zeros((), device=ids.device)
        logits = selected_logits(model, head, inputs, rows, columns)
        if content.any() and self.content_weight:
            pair = (logits[content], ids[content])
            (values,) = in_chunks(lambda x, y: (cross_entropy(x, y),), pair, self.chunk)
            total = total + self.content_weight * values.mean()
        taught = ~content
        if taught.any():
            theirs = reference.logits(inputs, rows[taught], columns[taught])
            total = total + self._taught(logits[taught], theirs, ids[taught])
        return total

    def _taught(self, student: Tensor, teacher: Tensor, ids: Tensor) -> Tensor:
        if self.teaching == "atkd":
            found = in_chunks(
                lambda x, y, z: tuple(parts(x.float(), y.float(), z)),
                (student, teacher, ids),
                self.chunk,
            )
            return atkd(DivergenceParts(*found))
        measure = BY_TOKEN[self.teaching]
        (values,) = in_chunks(
            lambda x, y: (measure(x.float(), y.float()),), (student, teacher), self.chunk
        )
        return values.mean()
