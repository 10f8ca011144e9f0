"""Intervals of what is measured on prompts: exact for a share, by Newcombe for two, else bootstrap.

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


def share_figure(outcomes: Sequence[bool] | npt.NDArray[np.bool_]) -> Figure:
    """The share of true outcomes, with its exact interval.

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 1934.
    """
    from scipy.stats import binomtest

    seen = np.asarray(outcomes, dtype=bool)
    n, k = len(seen), int(seen.sum())
    if not n:
        return Figure(float("nan"), 0.0, 1.0, 0)
    bounds = binomtest(k, n).proportion_ci(LEVEL, method="exact")
    return Figure(k / n, float(bounds.low), float(bounds.high), n)


def share_difference(
    ours: Sequence[bool] | npt.NDArray[np.bool_], theirs: Sequence[bool] | npt.NDArray[np.bool_]
) -> Figure:
    """How much higher our share is, paired, with an interval that is one even at 0 and 1.

    Newcombe, "Improved confidence intervals for the difference between binomial proportions based
    on paired data", Statistics in Medicine 1998, method 10.

    Args:
        ours: One outcome a prompt.
        theirs: To the same prompts, in the same order.
    """
    one, other = np.asarray(ours, dtype=bool), np.asarray(theirs, dtype=bool)
    n = len(one)
    if not n:
        return Figure(float("nan"), -1.0, 1.0, 0)
    mine, base = (_wilson(int(x.sum()), n) for x in (one, other))
    both, neither = int((one & other).sum()), int((~one & ~other).sum())
    only, missed = int((one & ~other).sum()), int((~one & other).sum())
    margins = (both + only) * (missed + neither) * (both + missed) * (only + neither)
    moved = float(both * neither - only * missed)
    if moved > 0:
        moved = max(moved - n / 2, 0.0)
    phi = moved / np.sqrt(margins) if margins else 0.0
    value = mine.value - base.value

    def half(a: float, b: float) -> float:
        return float(np.sqrt(max(a**2 - 2 * phi * a * b + b**2, 0.0)))

    low = value - half(mine.value - mine.low, base.high - base.value)
    high = value + half(base.value - base.low, mine.high - mine.value)
    return Figure(value, max(low, -1.0), min(high, 1.0), n)


def _wilson(count: int, n: int) -> Figure:
    from scipy.stats import binomtest

    bounds = binomtest(count, n).proportion_ci(LEVEL, method="wilson")
    return Figure(count / n, float(bounds.low), float(bounds.high), n)


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
