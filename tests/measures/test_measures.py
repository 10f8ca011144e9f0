"""The contract of a measure, for every measure as the shipped checks use it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from synflaw_audit.measures import MEASURES, Measure
from synflaw_audit.measures.intervals import wilson
from synflaw_audit.testing import parametrize_with_checks
from synflaw_audit.verdicts.catalogue import load_checks

CHECKS = load_checks()


@parametrize_with_checks("measure", [MEASURES[each.measure](**each.params) for each in CHECKS])
def test_contract(part: Measure, check: Callable[[Measure], None]) -> None:
    check(part)


def test_every_measure_is_used_by_a_check() -> None:
    assert {check.measure for check in CHECKS} == set(MEASURES.own)


@pytest.mark.parametrize(
    ("part", "whole", "sample", "low", "high"),
    [(0, 100, 100, 0.0, 0.0370), (50, 100, 100, 0.4038, 0.5962), (100, 100, 100, 0.9630, 1.0)],
)
def test_wilson_interval(part: int, whole: int, sample: int, low: float, high: float) -> None:
    # Values of the formula as tabulated, for instance by statsmodels.
    assert wilson(part / whole, sample, 10**9) == pytest.approx((low, high), abs=1e-4)
