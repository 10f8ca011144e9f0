"""The dress rehearsal: train a little on a corpus, and probe what that did to the model."""

from __future__ import annotations

from importlib.util import find_spec

from synflaw_audit.errors import MissingExtraError


def require_extra() -> None:
    """Check that what trains a model is installed.

    Raises:
        MissingExtraError: It is not.
    """
    if any(find_spec(name) is None for name in ("torch", "transformers", "peft")):
        raise MissingExtraError("A rehearsal", "repair")
