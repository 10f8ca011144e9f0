"""Where a format begins, and what the model would say there instead.

The training rows of final token preference optimisation (Paech et al. 2025, arXiv:2510.15061): the
text up to an unwanted sequence, its first token to be rejected, and coherent alternatives to be
chosen. As there, the alternatives are the model's own, within a share of the likeliest of them
(min-p) once what begins the format is barred. Inferred: the share, how many alternatives are taken,
and that places in the flagged rows serve beside those in the model's own answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from synflaw_audit.repair.material.batches import Collator, Purpose, TrainingExample
from synflaw_audit.repair.training.forward import output_layer, selected_logits

_LEAST_SHARE = 0.1
_MOST_CHOSEN = 8


@dataclass(frozen=True)
class Onset:
    """A place where a format begins: token ids."""

    context: tuple[int, ...]
    rejected: int
    chosen: tuple[int, ...]


@torch.no_grad()
def onsets(
    model: Any,
    examples: Sequence[TrainingExample],
    collator: Collator,
    *,
    limit: int,
    batch: int = 8,
) -> list[Onset]:
    """The places in some rows where a run of tokens to forget begins.

    Args:
        model: Says what else could follow; left as it is.
        examples: Rows with tokens to forget.
        collator: Pads them.
        limit: Tokens of all contexts together, at most.
        batch: Rows at a time.
    """
    head = output_layer(model)
    device = next(model.parameters()).device
    barred = sorted({example.input_ids[at] for example in examples for at in _begun(example)})
    found: list[Onset] = []
    training = model.training
    model.train(False)
    try:
        for start in range(0, len(examples), batch):
            # The collator sorts by role; equal ones keep their order.
            group = [TrainingExample(each.input_ids, each.purposes, Purpose.FORGET)
                     for each in examples[start : start + batch]]  # fmt: skip
            places = [(row, at) for row, each in enumerate(group) for at in _begun(each)]
            inputs = {name: value.to(device) for name, value in collator(group).items()}
            inputs.pop("purposes")
            rows, columns = torch.tensor(places, device=device).reshape(-1, 2).unbind(-1)
            logits = selected_logits(model, head, inputs, rows, columns - 1)
            for (row, at), line in zip(places, logits.float(), strict=True):
                ids = group[row].input_ids
                chosen = _alternatives(line, barred)
                found.append(Onset(tuple(ids[:at]), ids[at], chosen))
                limit -= at + 1
                if limit <= 0:
                    return found
    finally:
        model.train(training)
    return found


def _begun(example: TrainingExample) -> Iterator[int]:
    for at in range(1, len(example.input_ids)):
        before = example.purposes[at - 1] if at > 1 else 0
        if example.purposes[at] == Purpose.FORGET and before != Purpose.FORGET:
            yield at


def _alternatives(logits: torch.Tensor, barred: Sequence[int]) -> tuple[int, ...]:
    logits = logits.clone()
    logits[list(barred)] = -torch.inf
    p, ids = logits.softmax(-1).topk(min(_MOST_CHOSEN, len(logits)))
    return tuple(ids[p >= _LEAST_SHARE * p[0]].tolist())
