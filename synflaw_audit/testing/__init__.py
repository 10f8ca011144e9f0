"""Contract suites for parts of any package: what the audit takes for granted of them.

In the manner of scikit-learn's ``parametrize_with_checks``; ours pass the same. In a test module of
yours::

    from synflaw_audit.testing import parametrize_with_checks

    @parametrize_with_checks("measure", [Politeness(), Politeness(words=3)])
    def test_politeness(part, check):
        check(part)

A check raises an ``AssertionError`` that says what was expected. It needs pytest, and no network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from synflaw_audit.errors import InputError

if TYPE_CHECKING:
    import pytest

__all__ = ["KINDS", "checks_of", "parametrize_with_checks"]

# Where the suite of a kind of part is; what a part is to the suite, its module says.
KINDS: Mapping[str, str] = {
    "embedder": "synflaw_audit.testing.embedders",
    "engine": "synflaw_audit.testing.engines",
    "form": "synflaw_audit.testing.forms",
    "loss": "synflaw_audit.testing.losses",
    "measure": "synflaw_audit.testing.measures",
    "method": "synflaw_audit.testing.methods",
    "probe": "synflaw_audit.testing.probes",
    "reader": "synflaw_audit.testing.readers",
    "rewriter": "synflaw_audit.testing.rewriters",
    "schema": "synflaw_audit.testing.schemas",
}


def checks_of(kind: str) -> tuple[Callable[[Any], None], ...]:
    """The checks of a kind of part.

    Raises:
        InputError: There is no suite for that kind.
    """
    if kind not in KINDS:
        raise InputError(f"no contract for the kind {kind!r}; there are {', '.join(KINDS)}")
    module = import_module(KINDS[kind])
    return tuple(check for name, check in vars(module).items() if name.startswith("check_"))


def parametrize_with_checks(kind: str, parts: Iterable[Any]) -> pytest.MarkDecorator:
    """A decorator for a test of ``part`` and ``check``: every part with every check of its kind.

    Args:
        kind: A key of ``KINDS``.
        parts: What is to be checked; see the suite's module for what that is.

    Raises:
        InputError: There is no suite for that kind.
    """
    import pytest

    return pytest.mark.parametrize(
        ("part", "check"),
        [
            pytest.param(part, check, id=f"{_name(part)}-{check.__name__.removeprefix('check_')}")
            for part in parts
            for check in checks_of(kind)
        ],
    )


def _name(part: Any) -> str:
    return getattr(part, "__name__", "") or type(part).__name__
