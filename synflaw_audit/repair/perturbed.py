"""Gradients taken beside the weights instead of at them: FSAM and PATS, around any optimiser.

A step's gradient is that of another point: one uphill, so that flat places are preferred (SAM,
Foret et al. 2021, arXiv:2010.01412), or one nearby at random. The weights are put back before the
optimiser moves them. With gradient accumulation each micro-batch has a point of its own, which is
SAM's m-sharpness, with the micro-batch for m.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from types import MappingProxyType

import torch
from torch import Tensor, nn

from synflaw_audit.errors import RepairError

# Takes the gradient of a micro-batch where the weights stand, adds it to theirs, gives the loss.
TakeGradient = Callable[[], Tensor]
_TINY = 1e-12


class Perturbation(ABC):
    """Where a micro-batch's gradient is taken; holds what it remembers from step to step."""

    @abstractmethod
    def gradient(self, weights: Sequence[nn.Parameter], take: TakeGradient) -> Tensor:
        """Add a micro-batch's gradient to that of the weights, which stay as they are.

        Args:
            weights: Those that are trained.
            take: Takes the gradient where the weights stand; may be called more than once.

        Returns:
            The loss.
        """


@dataclass
class FSAM(Perturbation):
    """Sharpness-aware steps on the weights that a Fisher mask picks.

    Zhong et al. 2022 (arXiv:2210.05497): the gradient is taken at ``w + rho m g / ||g||``, where
    the mask ``m`` is 1 for the share of the weights with the largest ``g^2``, the diagonal of the
    empirical Fisher information, and is renewed every so many steps. Share 1 is SAM, share 0 the
    optimiser alone. Inferred: the constants, and that the mask is made of one micro-batch.

    Attributes:
        rho: How far uphill, at least 0.
        share: Of the weights that are moved, in [0, 1].
        interval: Micro-batches until the mask is made anew.
    """

    rho: float = 0.05
    share: float = 0.5
    interval: float = 40
    _masks: list[Tensor] = field(default_factory=list, repr=False, init=False)
    _seen: int = field(default=0, repr=False, init=False)

    def __post_init__(self) -> None:
        """Check the constants.

        Raises:
            RepairError: One is out of its range.
        """
        _require("rho", self.rho, self.rho >= 0, "0 or more")
        _require("share", self.share, 0 <= self.share <= 1, "in [0, 1]")
        _require("interval", self.interval, self.interval >= 1, "1 or more")

    def gradient(self, weights: Sequence[nn.Parameter], take: TakeGradient) -> Tensor:
        """Twice as much work as a plain gradient, unless nothing is moved."""
        if self.share == 0 or self.rho == 0:
            return take()
        with _apart(weights):
            loss = take()
            found = _gradients(weights)
            if self._seen % int(self.interval) == 0:
                self._masks = _largest([each.square() for each in found], self.share)
            self._seen += 1
            norm = torch.stack([each.norm() for each in found]).norm()
            scale = self.rho / (norm + _TINY)
            shifts = [scale * each * mask for each, mask in zip(found, self._masks, strict=True)]
            for weight in weights:
                weight.grad = None
            with _moved(weights, shifts):
                take()
        return loss


@dataclass
class PATS(Perturbation):
    """Noise on the weights, the more the less the loss depends on them.

    Zhang et al. 2022 (arXiv:2210.12403): weights that contribute little are moved at random, so
    that they come to contribute; the sensitivity of a weight is ``|w g|``, the loss of setting it
    to 0 by first order, smoothed over steps. The published formula could not be verified.
    Inferred: normal noise of deviation ``noise std(w) / (1 + s / mean(s))`` within each matrix, for
    the gradient only; none in the first micro-batch, of which nothing is known yet.

    Attributes:
        noise: Of a weight that nothing depends on, as a share of its matrix's deviation; 0 is the
            optimiser alone.
        smoothing: Of the sensitivity, in [0, 1).
        seed: Of the noise.
    """

    noise: float = 0.02
    smoothing: float = 0.9
    seed: float = 0
    _sensitivity: list[Tensor] = field(default_factory=list, repr=False, init=False)
    _generator: torch.Generator = field(default_factory=torch.Generator, repr=False, init=False)

    def __post_init__(self) -> None:
        """Check the constants.

        Raises:
            RepairError: One is out of its range.
        """
        _require("noise", self.noise, self.noise >= 0, "0 or more")
        _require("smoothing", self.smoothing, 0 <= self.smoothing < 1, "in [0, 1)")
        self._generator.manual_seed(int(self.seed))

    def gradient(self, weights: Sequence[nn.Parameter], take: TakeGradient) -> Tensor:
        """No more passes than a plain gradient."""
        if self.noise == 0:
            return take()
        with _apart(weights):
            with _moved(weights, self._drawn(weights)):
                loss = take()
            found = [
                (w.detach() * g).abs() for w, g in zip(weights, _gradients(weights), strict=True)
            ]
        old = self._sensitivity or [torch.zeros_like(each) for each in found]
        self._sensitivity = [
            self.smoothing * o + (1 - self.smoothing) * n for o, n in zip(old, found, strict=True)
        ]
        return loss

    def _drawn(self, weights: Sequence[nn.Parameter]) -> list[Tensor]:
        return [
            self.deviations(weight, known)
            * torch.randn(weight.shape, generator=self._generator).to(weight)
            for weight, known in zip(weights, self._sensitivity, strict=False)
        ]

    def deviations(self, weight: Tensor, sensitivity: Tensor) -> Tensor:
        """The noise's deviation for each entry, of the weight's shape."""
        spread = weight.detach().std() if weight.numel() > 1 else weight.new_zeros(())
        return self.noise * spread / (1 + sensitivity / (sensitivity.mean() + _TINY))


OPTIMIZERS: Mapping[str, type[FSAM] | type[PATS]] = MappingProxyType({"fsam": FSAM, "pats": PATS})
PLAIN = "plain"


def make_perturbation(name: str, options: Mapping[str, float]) -> Perturbation | None:
    """What the settings name; None for the optimiser alone.

    Raises:
        RepairError: There is no such one, or it has no such constant, or one is out of its range.
    """
    if name != PLAIN and name not in OPTIMIZERS:
        raise RepairError(f"unknown optimizer {name!r}. Known: {', '.join((PLAIN, *OPTIMIZERS))}")
    known = [] if name == PLAIN else [each.name for each in fields(OPTIMIZERS[name]) if each.init]
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise RepairError(f"optimizer {name} has no option {option!r}. Known: {listed}")
    return None if name == PLAIN else OPTIMIZERS[name](**options)


def _require(name: str, value: float, holds: bool, what: str) -> None:
    if not holds:
        raise RepairError(f"{name} is {value}; it must be {what}")


def _gradients(weights: Sequence[nn.Parameter]) -> list[Tensor]:
    return [torch.zeros_like(w) if w.grad is None else w.grad.detach() for w in weights]


def _largest(values: Sequence[Tensor], share: float) -> list[Tensor]:
    """Masks of the largest entries of all tensors together, 1 or 0; more where some are equal."""
    whole = torch.cat([each.flatten() for each in values])
    kept = round(share * len(whole))
    if kept == 0:
        return [torch.zeros_like(each) for each in values]
    least = whole.kthvalue(len(whole) - kept + 1).values
    return [(each >= least).to(each.dtype) for each in values]


@contextmanager
def _apart(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    """What was accumulated before is set aside, and added to what is found."""
    earlier = [weight.grad for weight in weights]
    for weight in weights:
        weight.grad = None
    try:
        yield
    finally:
        for weight, known in zip(weights, earlier, strict=True):
            if known is not None:
                weight.grad = known if weight.grad is None else weight.grad.add_(known)


@contextmanager
def _moved(weights: Sequence[nn.Parameter], shifts: Sequence[Tensor]) -> Iterator[None]:
    """The weights elsewhere for a while, and exactly back; without shifts they stay."""
    held = [weight.detach().clone() for weight, _ in zip(weights, shifts, strict=False)]
    with torch.no_grad():
        for weight, shift in zip(weights, shifts, strict=False):
            weight.add_(shift)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, old in zip(weights, held, strict=False):
                weight.copy_(old)
