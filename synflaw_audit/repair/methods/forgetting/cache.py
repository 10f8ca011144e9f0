"""The reference's probabilities, computed once and kept: the likeliest tokens and a tail bucket.

A position takes ``6 k`` bytes, 192 at ``k`` = 32: an id in four bytes, and in two a probability.
The largest probability is not kept: it is what the others leave of 1, so that rounding them to half
precision does not change the sum.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.material.batches import Collator, Purpose, TrainingExample
from synflaw_audit.repair.methods.forgetting.top_k import TopK
from synflaw_audit.repair.training.forward import output_layer, selected_logits

BYTES_A_TOKEN = 6  # an int32 and a float16


@dataclass(frozen=True)
class _Row:
    """What is kept of one row.

    Attributes:
        columns: The positions, ascending, int32 of shape ``(m,)``.
        ids: Their likeliest tokens, likeliest first, int32 of shape ``(m, k)``.
        rest: Probabilities of all of these but the first, then of the tail; float16, ``(m, k)``.
    """

    columns: Tensor
    ids: Tensor
    rest: Tensor


class CachedReference:
    """A reference that is no model any more, for the rows it was made of.

    Args:
        rows: What is kept, by the row's token ids.
    """

    def __init__(self, rows: dict[bytes, _Row]) -> None:
        self._rows = rows

    @classmethod
    def of(
        cls,
        model: Any,
        examples: Iterable[TrainingExample],
        *,
        purposes: Iterable[int],
        top_k: int,
        limit: float,
        batch_size: int = 8,
    ) -> CachedReference:
        """Run the model, its adapters off, over all rows that hold a target of these purposes.

        Args:
            model: The model, not wrapped; neither trained nor kept.
            examples: The rows, in any order and as often as they are visited.
            purposes: Of the tokens predicted at the positions to keep.
            top_k: Tokens to keep at each.
            limit: Bytes that may be kept.
            batch_size: Rows at a time.

        Raises:
            RepairError: More would be kept than ``limit`` allows.
        """
        wanted = wanted_columns(examples, purposes)
        check_size(wanted, top_k, limit)
        head = output_layer(model)
        device = next(model.parameters()).device
        order = sorted(wanted.values(), key=lambda each: len(each[0].input_ids))
        rows: dict[bytes, _Row] = {}
        training = model.training
        model.train(False)
        adapters_off = getattr(model, "disable_adapter", contextlib.nullcontext)
        try:
            with torch.no_grad(), adapters_off():
                for at in range(0, len(order), batch_size):
                    chunk = order[at : at + batch_size]
                    rows |= _look(model, head, chunk, top_k, device)
        finally:
            model.train(training)
        return cls(rows)

    @property
    def size(self) -> int:
        """Bytes kept."""
        return sum(
            tensor.numel() * tensor.element_size()
            for row in self._rows.values()
            for tensor in (row.ids, row.rest)
        )

    def at(self, inputs: dict[str, Tensor], rows: Tensor, columns: Tensor) -> TopK:
        """What was kept at ``n`` positions of a batch.

        Args:
            inputs: ``input_ids`` and ``attention_mask``, shape ``(b, t)``.
            rows: Row of each position, shape ``(n,)``.
            columns: Column of each, likewise.

        Raises:
            RepairError: A position is of no row that was seen.
        """
        device = rows.device
        inputs = {name: inputs[name].cpu() for name in ("input_ids", "attention_mask")}
        rows, columns = rows.cpu(), columns.cpu()
        order, ids, rest = [], [], []
        for number in torch.unique(rows).tolist():
            where = (rows == number).nonzero().squeeze(-1)
            present = inputs["attention_mask"][number].bool()
            kept = self._rows.get(_key(inputs["input_ids"][number][present].tolist()))
            # On left padding the row's first token stands further on.
            sought = columns[where] - present.int().argmax()
            if kept is None or not torch.isin(sought, kept.columns).all():
                raise RepairError(
                    "the batch holds a row that the cached reference was not made of; use "
                    "reference = 'live' for rows outside the training set"
                )
            found = torch.searchsorted(kept.columns, sought.to(kept.columns.dtype))
            order.append(where)
            ids.append(kept.ids[found])
            rest.append(kept.rest[found])
        back = torch.cat(order).argsort()
        smaller = torch.cat(rest)[back].float()
        first = (1 - smaller.sum(-1, keepdim=True)).clamp(min=0)
        p = torch.cat([first, smaller[:, :-1]], dim=-1)
        return TopK(torch.cat(ids)[back].long().to(device), p.to(device), smaller[:, -1].to(device))


Wanted = dict[bytes, tuple[TrainingExample, list[int]]]


def wanted_columns(examples: Iterable[TrainingExample], purposes: Iterable[int]) -> Wanted:
    """Every distinct row, and where the logits stand that predict its targets of some purposes."""
    chosen = frozenset(map(int, purposes))
    wanted: Wanted = {}
    for example in examples:
        columns = [
            at - 1 for at, purpose in enumerate(example.purposes) if at and purpose in chosen
        ]
        if columns:
            key = _key(example.input_ids)
            known = wanted.get(key, (example, []))[1]
            wanted[key] = (example, sorted({*known, *columns}))
    return wanted


def check_size(wanted: Wanted, top_k: int, limit: float) -> int:
    """How many bytes will be kept.

    Raises:
        RepairError: More than ``limit``; names the numbers and the ways out.
    """
    positions = sum(len(columns) for _, columns in wanted.values())
    size = positions * top_k * BYTES_A_TOKEN
    if size > limit:
        raise RepairError(
            f"caching the reference takes {positions:,} positions x {top_k * BYTES_A_TOKEN} bytes "
            f"= {size / 1e6:,.0f} MB, more than reference_cache_mb = {limit / 1e6:,.0f}; raise it, "
            "lower reference_top_k or tokens, or leave reference = 'live'"
        )
    return size


def _look(
    model: Any,
    head: torch.nn.Module,
    chunk: Sequence[tuple[TrainingExample, list[int]]],
    top_k: int,
    device: torch.device,
) -> dict[bytes, _Row]:
    # One role for all, or the collator would put the rows into another order.
    examples = [TrainingExample(each.input_ids, each.purposes, Purpose.REPLAY) for each, _ in chunk]
    batch = {name: value.to(device) for name, value in Collator(0)(examples).items()}
    del batch["purposes"]
    rows = [row for row, (_, columns) in enumerate(chunk) for _ in columns]
    places = [at for _, columns in chunk for at in columns]
    logits = selected_logits(
        model, head, batch, torch.tensor(rows, device=device), torch.tensor(places, device=device)
    )
    probabilities, ids = logits.float().softmax(-1).topk(min(top_k, logits.shape[-1] - 1))
    tail = (1 - probabilities.sum(-1, keepdim=True)).clamp(min=0)
    rest = torch.cat([probabilities[:, 1:], tail], dim=-1).half().cpu()
    sizes = [len(columns) for _, columns in chunk]
    parts = zip(chunk, torch.split(ids.int().cpu(), sizes), torch.split(rest, sizes), strict=True)
    return {
        _key(example.input_ids): _Row(torch.tensor(columns, dtype=torch.int32), kept, left)
        for (example, columns), kept, left in parts
    }


def _key(ids: Sequence[int]) -> bytes:
    return np.asarray(ids, dtype=np.int32).tobytes()
