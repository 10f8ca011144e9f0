"""Our own losses and methods pass the suites that another package's are held to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from synflaw_audit.repair.losses import LOSSES
from synflaw_audit.repair.methods.registry import METHODS
from synflaw_audit.testing import parametrize_with_checks


@parametrize_with_checks("loss", [LOSSES[name]() for name in LOSSES.own])
def test_losses(part: Any, check: Callable[[Any], None]) -> None:
    check(part)


@parametrize_with_checks("method", [METHODS[name] for name in METHODS.own])
def test_methods(part: Any, check: Callable[[Any], None]) -> None:
    check(part)
