"""How cost grows with the number of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares


def exponent(rows: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log(seconds) over log(rows) by least squares: 1 is linear growth."""
    return float(np.polyfit(np.log(rows), np.log(seconds), 1)[0])


def steps(rows: Sequence[float], seconds: Sequence[float]) -> list[float]:
    """The exponent between each size and the next."""
    pairs = zip(rows, rows[1:], seconds, seconds[1:], strict=False)
    return [math.log(t1 / t0) / math.log(n1 / n0) for n0, n1, t0, t1 in pairs]


@dataclass(frozen=True)
class Growth:
    """The fit ``seconds = fixed + scale * rows ** exponent``."""

    fixed: float
    scale: float
    exponent: float


def growth(rows: Sequence[float], seconds: Sequence[float]) -> Growth:
    """Fit by least squares of the logarithms, so that every size counts alike; ``fixed`` >= 0.

    Raises:
        ValueError: There are fewer than four sizes, and a fit of three numbers says nothing.
    """
    if len(rows) < 4:
        raise ValueError(f"{len(rows)} sizes; a fixed cost and an exponent take four or more")
    size = np.asarray(rows, float) / rows[0]
    logs = np.log(seconds)

    def residuals(parameters: np.ndarray) -> np.ndarray:
        fixed, log_scale, power = parameters
        return np.log(fixed + np.exp(log_scale) * size**power) - logs

    start = [seconds[0] / 2, math.log(seconds[0] / 2), 1.0]
    bounds = ([0, -np.inf, 0], [seconds[0], np.inf, 3])
    # The seconds of sizes span orders of magnitude: tolerances below the defaults.
    fit = least_squares(residuals, start, bounds=bounds, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    fixed, log_scale, power = fit.x
    return Growth(float(fixed), math.exp(log_scale) / rows[0] ** power, float(power))
