"""The pattern-overfitting risk: one number from the findings.

Not calibrated yet: the weights say only which signs are the plainer ones. ``Risk.basis`` tells the
reader so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from synflaw_audit.report.model import Finding, Risk

Floats = npt.NDArray[np.float64]

BASIS = "uncalibrated: weights chosen by hand, not fitted to measured damage"

# By check name. A share of rows that follow a template is damage by itself; the others are signs.
WEIGHTS: Mapping[str, float] = {
    "answer-template": 0.9,
    "answer-opening": 0.5,
    "answer-closing": 0.3,
    "answer-duplicate": 0.3,
    "compression": 0.2,
}


def risk(findings: Iterable[Finding]) -> Risk:
    """Combines the findings as independent causes: 1 - product of (1 - weight * score)."""
    spared = {"score": 1.0, "low": 1.0, "high": 1.0}
    for finding in findings:
        weight = WEIGHTS.get(finding.name, 0.0)
        for bound in spared:
            spared[bound] *= 1 - weight * getattr(finding, bound)
    return Risk(1 - spared["score"], 1 - spared["low"], 1 - spared["high"], BASIS)


def predicted(fits: Floats, scores: Sequence[float] | Floats) -> Floats:
    """The risk by each of some fits.

    Args:
        fits: float64 [fits, 1 + features], intercept first.
        scores: float64 [features] or [fits, features].

    Returns:
        float64 [fits].
    """
    logits = fits[:, 0] + (fits[:, 1:] * np.asarray(scores)).sum(axis=-1)
    return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float64)
