"""What can go wrong between Great Expectations and us; each message says what to do."""

from __future__ import annotations

from synflaw_audit.errors import SynflawError

FIX = "run `synflaw gx init` in the project"


class UnsupportedGXError(SynflawError):
    """Great Expectations lacks something we build on: names it and both versions."""


class UnhookedProjectError(SynflawError):
    """A project would load our expectations as an empty suite: names the project and the fix."""


class UnresolvedExpectationError(SynflawError):
    """A stored suite holds an expectation type that no imported package defines."""


class LostExpectationsError(SynflawError):
    """A run evaluated fewer of our expectations than were stored for its suite."""


class ProjectError(SynflawError):
    """A Great Expectations project that is not there or cannot be hooked."""
