"""How the suites fail."""

from __future__ import annotations


def require(holds: object, otherwise: str) -> None:
    """Fails with a sentence, where ``assert`` would show an expression of ours.

    Raises:
        AssertionError: It does not hold.
    """
    if not holds:
        raise AssertionError(otherwise)
