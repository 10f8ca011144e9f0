"""A forgetting loss: the target's probability, squared."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from synflaw_audit.repair.losses import ForgettingLoss
from synflaw_audit.repair.scores import TokenScores


@dataclass(frozen=True)
class Power(ForgettingLoss):
    """``p^k``, in [0, 1]; dloss/dz is ``k p^k (1 - p)``, which fades at both ends.

    Attributes:
        exponent: ``k``, above 0.
    """

    bounds = (0.0, 1.0)

    exponent: float = 2.0

    def __post_init__(self) -> None:
        self.require("exponent", self.exponent > 0, "above 0")

    def __call__(self, scores: TokenScores) -> Tensor:
        """One value a token."""
        return (self.exponent * scores.log_p).exp()
