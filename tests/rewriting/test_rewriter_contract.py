"""Our rewriters keep the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from synflaw_audit.rewriting.registry import REWRITERS
from synflaw_audit.testing import parametrize_with_checks


@parametrize_with_checks("rewriter", [REWRITERS[name] for name in REWRITERS.own])
def test_rewriter(part: Any, check: Callable[[Any], None]) -> None:
    check(part)
