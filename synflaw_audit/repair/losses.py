"""Losses that make a model forget tokens, as pure functions of tensors, their constants fixed.

Write ``p`` for the probability the model gives the target token and ``z`` for its logit. What tells
the losses apart is the gradient of the loss with respect to ``z``, because that is what moves a
saturated token:

================  ==================================  ===================  ==================
name              loss of a token (or row)            bound                dloss/dz
================  ==================================  ===================  ==================
lower-bounded     ``-log(1 - p)``                     ``>= 0``             ``p``
npo               ``2/b softplus(b sum log p/p_ref)``  ``>= 0``             ``2 s (1 - p)``
simnpo            ``2/b softplus(b mean log p + g)``   ``>= 0``             ``2 s (1 - p)/n``
inverted-hinge    ``1 + p - max_other p``             ``in [0, 2]``        ``p (1 - p + q)``
wga               ``p^a log p``, weight held fixed    ``>= -1/(e a)``      ``p^a (1 - p)``
clipped-ascent    ``max(log p, log floor)``           ``>= log floor``     ``1 - p`` or 0
gradient-ascent   ``log p``                           none: unsafe         ``1 - p``
================  ==================================  ===================  ==================

(``s`` is the sigmoid of the softplus argument, ``n`` the row's forgotten tokens, ``q`` the largest
other probability.) A template that a model has overfitted to is saturated, ``p`` near 1; only the
first loss still pushes there, and it stops by itself as ``p`` reaches 0.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from synflaw_audit.errors import RepairError
from synflaw_audit.registry import Registry
from synflaw_audit.repair.scores import TokenScores

Unit = Literal["token", "row"]


@dataclass(frozen=True)
class ForgettingLoss(ABC):
    """A forgetting loss: a pure function of scores, its constants as fields with defaults.

    Attributes:
        unit: What one returned value stands for; the trainer divides by their global number.
        needs_reference: Whether it compares with the reference model's likelihood.
    """

    unit: ClassVar[Unit] = "token"
    needs_reference: ClassVar[bool] = False

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float]:
        """Between what two numbers a value lies; infinite where nothing bounds it."""

    @abstractmethod
    def __call__(self, scores: TokenScores) -> Tensor:
        """The loss of each token, or of each row in ascending order of ``scores.rows``."""

    @property
    def safe(self) -> bool:
        """Whether it has a lower bound; without one it ends in a destroyed model."""
        return math.isfinite(self.bounds[0])

    def require(self, name: str, holds: bool, what: str) -> None:
        """Check a constant.

        Raises:
            RepairError: It does not hold; names the constant, its value and ``what`` it must be.
        """
        if not holds:
            raise RepairError(f"{name} is {getattr(self, name)}; it must be {what}")


@dataclass(frozen=True)
class LowerBounded(ForgettingLoss):
    """``-log(1 - p)``: at least 0, gradient ``p``.

    After the lower-bounded forgetting loss of Chen et al. 2024 ("Unveiling the flaws: exploring
    imperfections in synthetic data and mitigation strategies for large language models",
    arXiv:2406.12397). Their exact formula could not be verified; this is the token-level form that
    has the properties they describe (and the unlikelihood loss of Welleck et al. 2020,
    arXiv:1908.04319).
    """

    bounds = (0.0, math.inf)

    def __call__(self, scores: TokenScores) -> Tensor:
        """One value a token."""
        return -scores.log_not_p


@dataclass(frozen=True)
class NPO(ForgettingLoss):
    """Negative preference optimisation, one value a row: ``2/b log(1 + (p/p_ref)^b)``, at least 0.

    Zhang et al. 2024 (arXiv:2404.05868); ``p`` is the product over the row's tokens.

    Attributes:
        beta: Inverse temperature, > 0.
    """

    unit = "row"
    needs_reference = True
    bounds = (0.0, math.inf)

    beta: float = 0.1

    def __post_init__(self) -> None:
        self.require("beta", self.beta > 0, "more than 0")

    def __call__(self, scores: TokenScores) -> Tensor:
        """One value a row.

        Raises:
            ValueError: The scores carry no reference.
        """
        if scores.reference_log_p is None:
            raise ValueError("npo compares with a reference model; the scores carry none")
        ratio = _row_sums(scores.log_p - scores.reference_log_p, scores.rows)
        return 2 / self.beta * functional.softplus(self.beta * ratio)


@dataclass(frozen=True)
class SimNPO(ForgettingLoss):
    """SimNPO, one value a row: ``2/b log(1 + exp(b mean log p + g))``, at least 0.

    Fan et al. 2024 (arXiv:2410.07163): no reference, normalised by length.

    Attributes:
        beta: Inverse temperature, > 0.
        gamma: Margin, in nats.
    """

    unit = "row"
    bounds = (0.0, math.inf)

    beta: float = 0.1
    gamma: float = 0.0

    def __post_init__(self) -> None:
        self.require("beta", self.beta > 0, "more than 0")

    def __call__(self, scores: TokenScores) -> Tensor:
        """One value a row."""
        sums = _row_sums(scores.log_p, scores.rows)
        mean = sums / _row_sums(torch.ones_like(scores.log_p), scores.rows)
        return 2 / self.beta * functional.softplus(self.beta * mean + self.gamma)


@dataclass(frozen=True)
class InvertedHinge(ForgettingLoss):
    """``1 + p - max_other p``, in [0, 2].

    Cha et al. 2024 (arXiv:2408.06621), the inverted hinge loss (IHL).
    """

    bounds = (0.0, 2.0)

    def __call__(self, scores: TokenScores) -> Tensor:
        """One value a token."""
        return 1 + scores.log_p.exp() - scores.log_runner_up.exp()


@dataclass(frozen=True)
class WeightedAscent(ForgettingLoss):
    """WGA: ``p^a log p`` with the weight held fixed, at least ``-1/(e a)``.

    Wang et al. 2025 (arXiv:2502.19301), weighted gradient ascent.

    Attributes:
        alpha: Power of the weight, > 0.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        self.require("alpha", self.alpha > 0, "more than 0")

    @property
    def bounds(self) -> tuple[float, float]:
        """Its least value lies at ``p = exp(-1/a)``."""
        return -1 / (math.e * self.alpha), 0.0

    def __call__(self, scores: TokenScores) -> Tensor:
        """One value a token."""
        return (self.alpha * scores.log_p).exp().detach() * scores.log_p


@dataclass(frozen=True)
class ClippedAscent(ForgettingLoss):
    """``max(log p, log floor)``: gradient ascent that leaves a token alone once it is rare.

    Attributes:
        floor: Probability below which it stops, in (0, 1).
    """

    floor: float = 1e-3

    def __post_init__(self) -> None:
        self.require("floor", 0 < self.floor < 1, "between 0 and 1")

    @property
    def bounds(self) -> tuple[float, float]:
        """From the floor's logarithm to 0."""
        return math.log(self.floor), 0.0

    def __call__(self, scores: TokenScores) -> Tensor:
        """One value a token."""
        return scores.log_p.clamp(min=math.log(self.floor))


@dataclass(frozen=True)
class GradientAscent(ForgettingLoss):
    """``log p``, unbounded below: a baseline that destroys models (Maini et al. 2024). Unsafe."""

    bounds = (-math.inf, 0.0)

    def __call__(self, scores: TokenScores) -> Tensor:
        """One value a token."""
        return scores.log_p


_HERE = "synflaw_audit.repair.losses"
LOSSES: Registry[type[ForgettingLoss]] = Registry(
    kind="forgetting loss",
    group="synflaw_audit.losses",
    own={
        "lower-bounded": f"{_HERE}:LowerBounded",
        "npo": f"{_HERE}:NPO",
        "simnpo": f"{_HERE}:SimNPO",
        "inverted-hinge": f"{_HERE}:InvertedHinge",
        "wga": f"{_HERE}:WeightedAscent",
        "clipped-ascent": f"{_HERE}:ClippedAscent",
        "gradient-ascent": f"{_HERE}:GradientAscent",
    },
    requires=("bounds", "unit", "needs_reference"),
    error=RepairError,
)


def make_loss(name: str, options: Mapping[str, float]) -> ForgettingLoss:
    """The forgetting loss of this name with these constants.

    Raises:
        RepairError: There is no such loss, it has no such constant, or one is out of its range;
            names the choices.
    """
    loss = LOSSES.find(name)
    known = [field.name for field in fields(loss)]
    for option in options:
        if option not in known:
            raise RepairError(
                f"loss_options: the loss {name} has no constant {option!r}; it has "
                f"{', '.join(known) or 'none'}"
            )
    return loss(**options)


def _row_sums(values: Tensor, rows: Tensor) -> Tensor:
    """Sums of ``values`` by row, one entry a distinct row in ascending order."""
    distinct, inverse = torch.unique(rows, return_inverse=True)
    return values.new_zeros(len(distinct)).index_add(0, inverse, values)
