"""Logits of chosen positions only, from any causal LM, and per-token scores from them in chunks.

Most positions of a batch are prompt or padding; their logits would be computed, held in full
vocabulary width, and thrown away. So the positions are chosen where it is cheapest: at the input of
the output layer, by a hook, inside the model's own forward pass. Whatever the model does to its
logits afterwards (soft caps, scales) still happens, and so does whatever wraps the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from synflaw_audit.errors import RepairError

# Positions that tell whether logits are a plain product: those of a long row would take a gigabyte.
_LOOKED_AT = 32


def selected_logits(
    model: nn.Module, head: nn.Module, inputs: dict[str, Tensor], rows: Tensor, columns: Tensor
) -> Tensor:
    """The model's logits at the chosen positions.

    Args:
        model: The model, wrapped or not, called as ``model(**inputs)``.
        head: Its output layer (``get_output_embeddings()`` of the unwrapped model).
        inputs: ``input_ids`` and ``attention_mask`` of shape ``(b, t)``.
        rows: Row of each position, int64, shape ``(n,)``; any order.
        columns: Column of each position, likewise.

    Returns:
        Shape ``(n, vocabulary)`` in the model's own float type.

    Raises:
        RepairError: The model does not call its output layer on all positions.
    """
    return _forward(model, head, inputs, rows, columns, len(rows))[1]


def selected_hidden(
    model: nn.Module, head: nn.Module, inputs: dict[str, Tensor], rows: Tensor, columns: Tensor
) -> Tensor:
    """The vectors that the output layer is given at the chosen positions, shape ``(n, width)``.

    The layer itself sees one position only. Arguments and errors as for :func:`selected_logits`.
    """
    return _forward(model, head, inputs, rows, columns, 1)[0]


def is_plain(model: nn.Module, head: nn.Module, inputs: dict[str, Tensor]) -> bool:
    """Whether the model's logits are its output layer's product and nothing else.

    Asked of the model itself, on the beginning of the first row: a soft cap, a scale, an adapter on
    the output layer or weights that are sharded or quantised make it False.
    """
    if type(head) is not nn.Linear or head.weight.shape != (head.out_features, head.in_features):
        return False
    if not head.weight.is_floating_point() or type(head.weight.data) is not Tensor:
        return False
    row = {name: value[:1] for name, value in inputs.items()}
    columns = torch.arange(row["input_ids"].shape[1], device=row["input_ids"].device)[:_LOOKED_AT]
    with torch.no_grad():
        hidden, logits = _forward(
            model, head, row, torch.zeros_like(columns), columns, len(columns)
        )
        again = nn.functional.linear(hidden, head.weight, head.bias)
    return torch.allclose(again.float(), logits.float(), rtol=1e-3, atol=1e-4)


def _forward(
    model: nn.Module,
    head: nn.Module,
    inputs: dict[str, Tensor],
    rows: Tensor,
    columns: Tensor,
    keep: int,
) -> tuple[Tensor, Tensor]:
    """Hidden vectors at the chosen positions, and the logits of the first ``keep`` of them."""
    shape = inputs["input_ids"].shape
    chosen: list[Tensor] = []

    def choose(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden = args[0]
        if hidden.shape[:2] != shape:
            raise RepairError(
                f"{type(head).__name__} was given {tuple(hidden.shape)}, not one vector a position "
                f"of a batch of {tuple(shape)}: this architecture is not supported"
            )
        chosen.append(hidden[rows, columns])
        return (chosen[0][:keep].unsqueeze(0), *args[1:])

    handle = head.register_forward_pre_hook(choose)
    try:
        logits: Tensor = model(**inputs, use_cache=False).logits
    finally:
        handle.remove()
    if len(chosen) != 1 or logits.shape[:2] != (1, min(keep, len(rows))):
        raise RepairError(
            f"{type(model).__name__} does not make its logits from its output layer "
            f"{type(head).__name__}: this architecture is not supported"
        )
    return chosen[0], logits[0]


def output_layer(model: nn.Module) -> nn.Module:
    """The layer that turns hidden vectors into logits.

    Raises:
        RepairError: The model has none: it is no causal LM.
    """
    getter = getattr(model, "get_output_embeddings", None)
    head = getter() if getter is not None else None
    if not isinstance(head, nn.Module):
        raise RepairError(f"{type(model).__name__} has no output embeddings: not a causal LM")
    return head


def in_chunks(
    function: Callable[..., tuple[Tensor, ...]], tensors: Sequence[Tensor], size: int
) -> tuple[Tensor, ...]:
    """Apply a function of ``(n, ...)`` tensors chunk by chunk and join what it returns.

    Each chunk is recomputed in the backward pass instead of being kept, so the float32 copies that
    ``function`` makes exist for one chunk at a time.
    """
    pieces = []
    for at in range(0, max(1, len(tensors[0])), size):
        chunk = [tensor[at : at + size] for tensor in tensors]
        pieces.append(
            checkpoint(function, *chunk, use_reentrant=False, preserve_rng_state=False)
            if torch.is_grad_enabled()
            else function(*chunk)
        )
    return tuple(torch.cat(parts) for parts in zip(*pieces, strict=True))
