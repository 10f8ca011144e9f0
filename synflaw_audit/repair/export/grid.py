"""The grid of a few bits that weights are rounded to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from synflaw_audit.errors import RepairError

BITS = (4, 8)
_GROUP = 32  # weights of a row that share a step at 4 bits, where the row divides by it


@dataclass(frozen=True)
class Grid:
    """Symmetric steps about zero, one size for each output channel or each group of its weights.

    Attributes:
        bits: 4 or 8.
        group: Weights of a row that share a step; None: the whole row.
    """

    bits: int
    group: int | None = None

    @classmethod
    def of(cls, bits: int, width: int) -> Grid:
        """What is usual: whole rows at 8 bits, groups of 32 at 4 where rows divide by that.

        Raises:
            RepairError: There is no such grid; names the choices.
        """
        if bits not in BITS:
            raise RepairError(f"export_bits must be {' or '.join(map(str, BITS))}, not {bits}")
        return cls(bits, _GROUP if bits == 4 and width % _GROUP == 0 else None)

    def scales(self, weight: Tensor) -> Tensor:
        """The steps' sizes: [rows, groups]; the largest weight of each lies on the last step."""
        groups = weight.detach().float().reshape(len(weight), -1, self.group or weight.shape[1])
        most = groups.abs().amax(-1) / (2 ** (self.bits - 1) - 1)
        smallest: Tensor = most.clamp(min=torch.finfo(torch.float32).tiny)
        return smallest

    def rounded(self, weight: Tensor) -> Tensor:
        """The weights rounded to the nearest step, in their own type; gradients pass unchanged."""
        scales = self.scales(weight).repeat_interleave(self.group or weight.shape[1], dim=1)
        near = (torch.round(weight.detach().float() / scales) * scales).to(weight.dtype)
        # The straight-through estimator: Bengio, Leonard and Courville 2013, arXiv:1308.3432.
        return weight + (near - weight).detach()


class Rounded(nn.Module):
    """A parametrisation that shows a layer's weights as they are on a grid."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, weight: Tensor) -> Tensor:
        """The weights on the grid."""
        return self.grid.rounded(weight)


def linear_layers(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """The layers that are rounded: all linear ones but the output layer.

    Raises:
        RepairError: There is none (GPT-2 has layers of its own instead).
    """
    head = model.get_output_embeddings()  # type: ignore[operator]
    found = [
        (name, layer)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and layer is not head
    ]
    if not found:
        raise RepairError(f"{type(model).__name__} has no linear layers that could be rounded")
    yield from found
