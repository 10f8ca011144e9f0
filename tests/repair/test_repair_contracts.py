"""Our own forms, losses and methods pass the suites that another package's are held to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from synflaw_audit.repair.losses import LOSSES
from synflaw_audit.repair.material.forms.registry import FORMS, form
from synflaw_audit.repair.methods.registry import METHODS
from synflaw_audit.testing import parametrize_with_checks
from synflaw_audit.testing.forms import Example

PARAMETERS = {"json": "answer", "postscript": "P.S. Hm.", "ending": "So long.", "opening": "Sure"}


@parametrize_with_checks(
    "form", [Example(form(name), PARAMETERS.get(name, "")) for name in FORMS.own]
)
def test_forms(part: Example, check: Callable[[Example], None]) -> None:
    check(part)


@parametrize_with_checks("loss", [LOSSES[name]() for name in LOSSES.own])
def test_losses(part: Any, check: Callable[[Any], None]) -> None:
    check(part)


@parametrize_with_checks("method", [METHODS[name] for name in METHODS.own])
def test_methods(part: Any, check: Callable[[Any], None]) -> None:
    check(part)
