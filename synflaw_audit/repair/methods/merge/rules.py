"""How task vectors become one: the coefficients, and what is done to each weight.

With ``t_k = w_k - w_0`` the task vector of the ``k``-th of ``n`` fine-tunes of a base ``w_0``,
every rule gives ``w_0 + merged(t_1 ... t_n)``, weight by weight:

================  =====================================================================
name              merged
================  =====================================================================
metagpt           ``sum l_k t_k``, ``l_k = ||t_k||^2 / sum_j ||t_j||^2`` over all weights
average           ``sum t_k / n``: the mean of the models
task-arithmetic   ``l sum t_k``
ties              small entries trimmed, signs elected, the agreeing ones averaged, ``l`` times
dare              entries dropped at random, the others scaled up, ``sum t_k / n``
================  =====================================================================
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from peft.utils.merge_utils import dare_linear, ties
from torch import Tensor

from synflaw_audit.errors import RepairError
from synflaw_audit.settings.repair import MergeRule

RULES: tuple[str, ...] = get_args(MergeRule)
# What each rule takes where no weight is given: the constants of their papers, see `Rule`.
_USUAL = {"task-arithmetic": 0.3, "ties": 1.0}


@dataclass(frozen=True)
class Rule:
    """How to merge.

    MetaGPT: Zhou et al. 2024 (arXiv:2406.11385), the closed form that minimises the mean loss
    difference to the fine-tuned models once local linearity and orthogonal task vectors have split
    the data off. Task arithmetic: Ilharco et al. 2023 (arXiv:2212.04089), 0.3 as in their figures
    for several tasks. TIES: Yadav et al. 2023 (arXiv:2306.01708), density 0.2 and weight 1 as they
    advise without validation data. DARE: Yu et al. 2024 (arXiv:2311.03099). The last two are peft's
    own (``peft.utils.merge_utils``), used on whole weights. Inferred: TIES trims each matrix by
    itself, as peft and mergekit do, not all weights at once; DARE averages what is left.

    Attributes:
        name: A key of the table above.
        weight: ``l``; None: the paper's.
        density: Share of the entries that TIES and DARE keep, in (0, 1].
        seed: Of what DARE drops.
    """

    name: str = "metagpt"
    weight: float | None = None
    density: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            RepairError: There is no such rule, or a constant is out of its range.
        """
        if self.name not in RULES:
            raise RepairError(f"unknown rule of merging {self.name!r}. Known: {', '.join(RULES)}")
        if not 0 < self.density <= 1:
            raise RepairError(f"merge_density is {self.density}; it must be in (0, 1]")
        if self.weight is not None and self.name not in _USUAL:
            raise RepairError(
                f"merge_weight is {self.weight}, and rule {self.name} sets its coefficients "
                f"itself; it is for {' and '.join(_USUAL)}"
            )

    @property
    def needs_norms(self) -> bool:
        """Whether the coefficients depend on the task vectors."""
        return self.name == "metagpt"

    def coefficients(self, squared_norms: Sequence[float]) -> tuple[float, ...]:
        """One a fine-tune.

        Args:
            squared_norms: Of the task vectors over all weights; only looked at by ``metagpt``.

        Raises:
            RepairError: Every task vector is nothing: there is nothing to merge.
        """
        count = len(squared_norms)
        if self.name == "metagpt":
            total = sum(squared_norms)
            if total == 0:
                raise RepairError(
                    "every model has the weights of the base: there is nothing to merge"
                )
            return tuple(norm / total for norm in squared_norms)
        usual = _USUAL.get(self.name, 1 / count)
        return (usual if self.weight is None else self.weight,) * count

    def merged(self, vectors: Sequence[Tensor], coefficients: Sequence[float]) -> Tensor:
        """The merged change of one weight, from the task vectors' parts, float32 of its shape."""
        if self.name not in ("ties", "dare"):
            total = coefficients[0] * vectors[0]
            for coefficient, vector in zip(coefficients[1:], vectors[1:], strict=True):
                total += coefficient * vector
            return total
        merge = ties if self.name == "ties" else dare_linear
        with torch.random.fork_rng(devices=()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The density", UserWarning)  # that 1 keeps all
            torch.manual_seed(self.seed)
            found: Tensor = merge(list(vectors), torch.tensor(coefficients), self.density)
        return found
