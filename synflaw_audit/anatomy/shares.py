"""Which modules a training changed: the share of the task vector by module and layer.

The task vector is the trained weights less the base's (Ilharco et al., "Editing models with task
arithmetic", ICLR 2023, arXiv:2212.04089). Its squared norm is the sum over all weights, so each
module's part of it is a share.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from synflaw_audit.errors import InputError

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.(\d+)\.")


@dataclass(frozen=True)
class ModuleShare:
    """What training did to one module, or to the modules of one name in one layer.

    Attributes:
        module: Such as "self_attn.q_proj"; the parameter's own name outside the layers.
        layer: From 0; None outside the layers.
        norm: Of its part of the task vector.
        relative: The norm, by the norm of the base's weights.
        share: Of the task vector's squared norm; 0 where nothing was changed.
    """

    module: str
    layer: int | None
    norm: float
    relative: float
    share: float


def module_shares(model: PreTrainedModel, base: PreTrainedModel) -> tuple[ModuleShare, ...]:
    """The shares of every module, layer by layer; they sum to 1, or to 0 of equal models.

    Raises:
        InputError: The two are not of one architecture and size.
    """
    sums: dict[tuple[str, int | None], list[float]] = {}
    for name, changed, kept in _pairs(model, base):
        found = _LAYER.search(name)
        layer = int(found[1]) if found else None
        module = (name[found.end() :] if found else name).removesuffix(".weight")
        squares = sums.setdefault((module.removesuffix(".bias"), layer), [0.0, 0.0])
        squares[0] += changed
        squares[1] += kept
    whole = sum(changed for changed, _ in sums.values())
    return tuple(
        ModuleShare(
            module,
            layer,
            changed**0.5,
            (changed / kept) ** 0.5 if kept else 0.0,
            changed / whole if whole else 0.0,
        )
        for (module, layer), (changed, kept) in sums.items()
    )


@torch.no_grad()
def _pairs(model: PreTrainedModel, base: PreTrainedModel) -> Iterator[tuple[str, float, float]]:
    """Each parameter's name, the squared norm of its change and of the base's weights."""
    theirs = dict(base.named_parameters())
    ours = dict(model.named_parameters())
    if ours.keys() != theirs.keys() or any(ours[n].shape != theirs[n].shape for n in ours):
        raise InputError(
            f"{type(model).__name__} and {type(base).__name__} differ in their weights' names or "
            "sizes, so the one is no fine-tune of the other"
        )
    for name, after in ours.items():
        before = theirs[name].float()
        yield name, float((after.float() - before).square().sum()), float(before.square().sum())
