"""Rows with the student's own mistakes in them, so that it is taught after mistakes too.

KID (Zhong et al. 2024, arXiv:2410.11371, EMNLP): a student learns from perfect prefixes and then
continues its own, where one error brings the next. Instead of having it generate, tokens of a given
answer are masked, predicted by the student, and rewritten; the teacher is asked on the result.
Inferred: which tokens (each with the same probability), that the student predicts greedily from
the unmasked prefix, and the second pass, in which it predicts again after its own first errors: the
cascade. A prediction that is right changes nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from synflaw_audit.repair.material.batches import Purpose
from synflaw_audit.repair.training.forward import selected_logits

_PASSES = 2


@torch.no_grad()
def imperfect(
    model: nn.Module,
    head: nn.Module,
    batch: dict[str, Tensor],
    rate: float,
    generator: torch.Generator,
    passes: int = _PASSES,
) -> Tensor:
    """The batch's tokens, some of the answers' replaced by what the student would have said.

    Tokens that are format are left: the student's own mistake there is the format.

    Args:
        model: The student, as it stands.
        head: Its output layer.
        batch: ``input_ids``, ``attention_mask`` and ``purposes``, shape ``(b, t)``.
        rate: Share of the answers' tokens that the student predicts, in [0, 1].
        generator: Draws them.
        passes: How often it predicts.

    Returns:
        ``input_ids`` of the same shape; the targets stay those of the batch.
    """
    ids = batch["input_ids"]
    may = (batch["purposes"] > 0) & (batch["purposes"] != Purpose.FORGET)
    may[:, 0] = False  # nothing predicts the first token
    drawn = torch.rand(ids.shape, generator=generator).to(ids.device) < rate
    rows, columns = (may & drawn).nonzero(as_tuple=True)
    if not len(rows):
        return ids
    given: dict[str, Any] = {
        name: batch[name] for name in ("attention_mask", "position_ids") if name in batch
    }
    written = ids.clone()
    training = model.training
    model.train(False)
    try:
        for _ in range(passes):
            inputs = {"input_ids": written, **given}
            said = selected_logits(model, head, inputs, rows, columns - 1).argmax(-1)
            written = ids.index_put((rows, columns), said)
    finally:
        model.train(training)
    return written
