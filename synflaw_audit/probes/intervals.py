"""Intervals of what is measured on prompts: exact for a share, bootstrap over prompts for the rest.

Two models that answered the same prompts are compared prompt by prompt: both are drawn together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LEVEL = 0.95
DRAWS = 2000


@dataclass(frozen=True)
class Figure:
    """A measured value with the bounds of its 95% interval, and the prompts it rests on."""

    value: float
    low: float
    high: float
    prompts: int


def share(outcomes: Sequence[bool] | npt.NDArray[np.bool_]) -> Figure:
    """The share of true outcomes, with its exact interval.

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 1934.
    """
    from scipy.stats import beta

    seen = np.asarray(outcomes, dtype=bool)
    n, k = len(seen), int(seen.sum())
    if not n:
        return Figure(float("nan"), 0.0, 1.0, 0)
    tail = (1 - LEVEL) / 2
    low = float(beta.ppf(tail, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return Figure(k / n, low, high, n)


def bootstrap(
    statistic: Callable[..., float],
    *samples: Sequence[float] | npt.NDArray[np.generic],
    seed: int = 0,
) -> Figure:
    """A statistic of samples that are paired, with its percentile interval.

    Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 1979.

    Args:
        statistic: Of as many arrays float64 [prompts] as there are samples.
        *samples: One value a prompt each, in the same order of prompts.
        seed: Of the draws.
    """
    arrays = [np.asarray(sample, dtype=np.float64) for sample in samples]
    size = len(arrays[0])
    if not size:
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(size, size=size) for _ in range(DRAWS))
    values = [statistic(*(array[rows] for array in arrays)) for rows in drawn]
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return Figure(float(statistic(*arrays)), float(low), float(high), size)


def difference(ours: Floats, theirs: Floats) -> float:
    """How much higher the first mean is."""
    return float(np.mean(ours) - np.mean(theirs))


def relative_loss(ours: Floats, theirs: Floats) -> float:
    """Which share of the second mean the first has lost; negative if it is higher, 0 of nothing."""
    whole = float(np.mean(theirs))
    return 1 - float(np.mean(ours)) / whole if whole else 0.0
