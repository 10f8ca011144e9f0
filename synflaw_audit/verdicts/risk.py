"""The pattern-overfitting risk: the damage to expect, from the findings.

A real instruction-tuned model was trained a little on each of some corpora, and the damage measured
(``benchmarks/real_damage.py``): the share of answers to foreign prompts that carry the corpus's
format, and the share of instruction following that is lost beyond what natural rows cost. Each is
predicted by a monotone function of a few checks' scores, fitted to the damage
(``benchmarks/real_calibrate.py``); the numbers stand in ``risk.json``.

The headline is the chance that an answer is spoilt in one way or the other, if the two are
independent: ``1 - (1 - emission) * (1 - instruction loss)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from synflaw_audit.findings.report import Finding, Prediction, Risk

Floats = npt.NDArray[np.float64]
Link = Literal["logistic", "exponential"]

INTERVAL = (0.025, 0.975)


@dataclass(frozen=True)
class Feature:
    """A check that the risk is fitted on.

    Attributes:
        check: Its name.
        weight: Of its score to the power; never negative.
        mean: Its mean score over the corpora of the fit, which stands in where it was not run.
        power: Of the score; below 1, a first share of format weighs more than a further one, above
            1 less.
    """

    check: str
    weight: float
    mean: float
    power: float = 1.0


@dataclass(frozen=True)
class Calibration:
    """A fitted prediction: a link of x = intercept + sum of weight * score ** power.

    Attributes:
        intercept: Of x, where every score is 0.
        features: The checks it reads.
        draws: Refits on corpora drawn with replacement, each the intercept and the weights.
        residual: A quantile of how far measured damage lay from the risk of a fit that had not seen
            the corpus or its relatives, in [0, 1].
        basis: What the numbers rest on, for the reader of a report.
        provenance: How they came about.
        level: Which quantile.
        link: "logistic", 1 / (1 + exp(-x)), or "exponential", 1 - exp(-x): every format spoils its
            share of the answers that the others have left, and a corpus without any spoils none.
    """

    intercept: float
    features: tuple[Feature, ...]
    draws: tuple[tuple[float, ...], ...]
    residual: float
    basis: str
    provenance: dict[str, Any]
    level: float = 0.9
    link: Link = "logistic"

    def __post_init__(self) -> None:
        if not self.features:
            raise ValueError("a calibration needs a feature")
        if not min(feature.power for feature in self.features) > 0:
            raise ValueError("every power must be above 0")
        for row in ((self.intercept, *(f.weight for f in self.features)), *self.draws):
            if len(row) != 1 + len(self.features) or min(row[1:]) < 0:
                raise ValueError("every fit has an intercept and a weight of at least 0 a feature")
            if self.link == "exponential" and row[0] < 0:
                raise ValueError("an exponential link needs an intercept of at least 0")

    @property
    def weights(self) -> Floats:
        """float64 [features]."""
        return np.array([feature.weight for feature in self.features])

    @property
    def powers(self) -> Floats:
        """float64 [features]."""
        return np.array([feature.power for feature in self.features])


@dataclass(frozen=True)
class Forecast:
    """The two predictions that the risk is made of.

    Attributes:
        emission: Of the share of foreign answers that will carry the corpus's format.
        instruction_loss: Of the share of instruction following that will be lost.
    """

    emission: Calibration
    instruction_loss: Calibration

    @property
    def checks(self) -> tuple[str, ...]:
        """The names of the checks that are read, each once."""
        read = (*self.emission.features, *self.instruction_loss.features)
        return tuple(dict.fromkeys(feature.check for feature in read))


@cache
def forecast() -> Forecast:
    """The predictions that this version ships."""
    text = resources.files("synflaw_audit.verdicts").joinpath("risk.json").read_bytes()
    return msgspec.json.decode(text, type=Forecast)


def risk(findings: Iterable[Finding], fitted: Forecast | None = None) -> Risk:
    """The damage that training on the corpus is expected to do, and its interval.

    Args:
        findings: Of the audit. Checks that the risk does not read are passed over; one that it
            reads and that was not run counts as average, and as 0 to 1 in the interval.
        fitted: Instead of the shipped predictions.

    Returns:
        Both predictions, and the chance that an answer is spoilt by either. Raising a finding's
        score, ``low`` or ``high`` never lowers any of them.
    """
    fitted = fitted or forecast()
    known = tuple(findings)
    emission, loss = (
        prediction(known, each) for each in (fitted.emission, fitted.instruction_loss)
    )
    ran = {finding.name for finding in known}
    missing = [check for check in fitted.checks if check not in ran]
    basis = fitted.emission.basis
    if missing:
        basis += f"; not run, so taken as average: {', '.join(missing)}"

    score, low, high = (
        1 - (1 - said) * (1 - lost)
        for said, lost in (
            (emission.value, loss.value),
            (emission.low, loss.low),
            (emission.high, loss.high),
        )
    )
    level = min(fitted.emission.level, fitted.instruction_loss.level)
    return Risk(score, low, high, basis, emission, loss, level)


def prediction(findings: Iterable[Finding], fitted: Calibration) -> Prediction:
    """One prediction, and its interval.

    The bounds are taken at the bounds of the scores, and are the wider of two intervals: that of
    the fit, by bootstrap, and how far off fits were on corpora that they had not seen.

    Args:
        findings: As for :func:`risk`.
        fitted: What predicts.
    """
    found = {finding.name: finding for finding in findings}
    at, low, high = (
        np.array(
            [
                getattr(found[feature.check], bound)
                if feature.check in found
                else {"score": feature.mean, "low": 0.0, "high": 1.0}[bound]
                for feature in fitted.features
            ]
        )
        ** fitted.powers
        for bound in ("score", "low", "high")
    )
    own = np.array([[fitted.intercept, *fitted.weights]])
    draws = np.array(fitted.draws) if fitted.draws else own

    def by(fits: Floats, scores: Floats) -> Floats:
        return predicted(fits, scores, fitted.link)

    value, lower, upper = (float(by(own, scores)[0]) for scores in (at, low, high))
    lowest = min(float(np.quantile(by(draws, low), INTERVAL[0])), lower - fitted.residual)
    highest = max(float(np.quantile(by(draws, high), INTERVAL[1])), upper + fitted.residual)
    return Prediction(value, max(min(lowest, value), 0.0), min(max(highest, value), 1.0))


def shares(findings: Iterable[Finding], fitted: Forecast | None = None) -> dict[str, float]:
    """What share of the risk each finding accounts for, by the name of its check.

    The risk beyond that of a corpus whose scores are all 0 is split in proportion to how far the
    risk would fall without each score, so the shares add up to (risk - risk at 0) / risk. Checks
    that the risk does not read have no share.
    """
    fitted = fitted or forecast()
    read = [finding for finding in findings if finding.name in fitted.checks]

    def without(names: Iterable[str]) -> float:
        dropped = set(names)
        return risk(
            (
                replace(finding, score=0.0, low=0.0, high=0.0)
                if finding.name in dropped
                else finding
                for finding in read
            ),
            fitted,
        ).score

    whole = without(())
    pull = {finding.name: whole - without([finding.name]) for finding in read}
    total = sum(pull.values())
    if not total > 0:
        return dict.fromkeys(pull, 0.0)
    floor = without(pull)
    return {name: (whole - floor) / whole * part / total for name, part in pull.items()}


def predicted(fits: Floats, scores: Sequence[float] | Floats, link: Link = "logistic") -> Floats:
    """The risk by each of some fits.

    Args:
        fits: float64 [fits, 1 + features], intercept first.
        scores: float64 [features] or [fits, features], to their powers.
        link: See ``Calibration``.

    Returns:
        float64 [fits].
    """
    x = fits[:, 0] + (fits[:, 1:] * np.asarray(scores)).sum(axis=-1)
    made = -np.expm1(-x) if link == "exponential" else 1 / (1 + np.exp(-x))
    return np.asarray(made, dtype=np.float64)
