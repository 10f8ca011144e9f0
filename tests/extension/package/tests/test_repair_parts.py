"""The contracts of what takes part in a repair; they need torch."""

import pytest

pytest.importorskip("torch")

from synflaw_example.loss import Power
from synflaw_example.method import Soften
from synflaw_example.probe import Greeting

from synflaw_audit.testing import parametrize_with_checks


@parametrize_with_checks("loss", [Power(), Power(exponent=1.0)])
def test_losses(part, check):
    check(part)


@parametrize_with_checks("method", [Soften])
def test_methods(part, check):
    check(part)


@parametrize_with_checks("probe", [Greeting()])
def test_probes(part, check):
    check(part)
