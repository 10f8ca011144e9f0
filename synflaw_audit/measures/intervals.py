"""How sure a score is: standard errors and intervals of estimates from rows that come in groups.

Rows that answer one question repeat each other because of it, copies of a row all the more. What is
independent is the question, the *unit*: a corpus that holds every row ten times says no more than
one that holds it once. Standard errors are those of sums over units ("cluster-robust": Liang and
Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 1986; for statistics
that are not means by their influence functions: Binder, "On the variances of asymptotically normal
estimators from complex surveys", International Statistical Review 1983).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit, logit, stdtrit

from synflaw_audit.measures.base import Score
from synflaw_audit.text.phrases import Floats
from synflaw_audit.text.tokens import Ints, Mask

CONFIDENCE = 0.95
NONE_SEEN = 3.0  # no case in n leaves a share of at most 3 / n (Hanley and Lippman-Hand, JAMA 1983)


def quantile(units: int) -> float:
    """How many standard errors an interval reaches to either side (Student's t)."""
    return float(stdtrit(max(units - 1, 1), (1 + CONFIDENCE) / 2))


def units_of(unit: Ints) -> int:
    """How many units there are."""
    return len(np.unique(unit))


def standard_error(influence: Floats, unit: Ints) -> float:
    """The standard error of an estimate.

    Args:
        influence: float64 [rows], the mean of which is how far the estimate lies off; their sum
            over all rows is 0. For a mean: each row's value less the mean.
        unit: int64 [rows], numbers from 0; rows of one unit are not independent of each other.
    """
    sums = np.bincount(unit, influence)
    units = units_of(unit)
    if units < 2:
        return float("inf")
    return float(np.sqrt(units / (units - 1) * (sums**2).sum()) / len(influence))


def effective_rows(holds: Mask, unit: Ints) -> float:
    """How many independent rows tell as much of a share as these: rows by the design effect.

    Kish, "Survey Sampling", 1965, sections 5.4 and 11.7.

    Args:
        holds: bool [rows], the row has the property.
        unit: As for ``standard_error``.
    """
    rows, p = len(holds), float(holds.mean())
    if 0 < p < 1:
        error = standard_error(holds - np.float64(p), unit)
        return float(np.clip(p * (1 - p) / error**2, 1, rows)) if error else float(rows)
    # Where all rows are alike nothing tells how alike those of a unit are; they may count as one.
    size = np.bincount(unit)
    return float(rows**2 / (size**2).sum())


def share_score(holds: Mask, unit: Ints, observed: dict[str, Any] | None = None) -> Score:
    """The share of rows that have a property, with Wilson's interval for the effective rows.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927; with
    effective rows: Dean and Pagano, "Evaluating confidence interval methods for binomial
    proportions in clustered surveys", Journal of Survey Statistics and Methodology 2015.

    Args:
        holds: bool [rows].
        unit: As for ``standard_error``.
        observed: What was seen.
    """
    if not len(holds):
        return Score(0.0, 0.0, 1.0, observed or {})
    p = float(holds.mean())
    low, high = wilson(p, effective_rows(holds, unit), units_of(unit))
    return Score(p, low, high, observed or {}, rows=len(holds))


def wilson(p: float, rows: float, units: int) -> tuple[float, float]:
    """Wilson's interval of a share that so many independent rows told."""
    z2 = quantile(units) ** 2
    centre = (p + z2 / (2 * rows)) / (1 + z2 / rows)
    half = np.sqrt(z2) / (1 + z2 / rows) * np.sqrt(p * (1 - p) / rows + z2 / (4 * rows**2))
    return float(max(min(centre - half, p), 0.0)), float(min(max(centre + half, p), 1.0))


def half_width(parts: Sequence[float]) -> float:
    """How far the mean of what equal and independent parts of a sample score may lie off."""
    return quantile(len(parts)) * float(np.std(parts, ddof=1)) / float(np.sqrt(len(parts)))


def estimate(
    value: float, influence: Floats, unit: Ints, observed: dict[str, Any] | None = None
) -> Score:
    """A score in [0, 1], with an interval that is symmetric in its logits.

    Args:
        value: The score.
        influence: As for ``standard_error``.
        unit: As for ``standard_error``.
        observed: What was seen.
    """
    low, high = bounds(value, standard_error(influence, unit), units_of(unit))
    return Score(value, low, high, observed or {}, rows=len(influence))


def bounds(value: float, error: float, units: int) -> tuple[float, float]:
    """The interval of a score in [0, 1] by its standard error, from so many units."""
    unseen = NONE_SEEN / max(units, 1)
    if not np.isfinite(error):
        return 0.0, 1.0
    if not error or not 0 < value < 1:
        return max(value - unseen, 0.0), min(value + unseen, 1.0)
    half = quantile(units) * error / (value * (1 - value))
    low, high = expit(logit(value) + np.array([-half, half]))
    return float(min(low, value)), float(max(high, value))
