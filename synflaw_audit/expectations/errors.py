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


class ActionError(SynflawError):
    """Something that the action could not do, or found amiss: says in which validation."""


class LostExpectationsError(ActionError):
    """A run evaluated fewer of our expectations than were stored for its suite."""


class LostRowsError(ActionError):
    """The rows that a result says are flagged are not there to be written."""


class LostResultError(ActionError):
    """Great Expectations kept the result of one validation in place of another's."""


class ProjectError(SynflawError):
    """A Great Expectations project that is not there or cannot be hooked."""


class UnexpectedError(SynflawError):
    """What another library raised: names its error."""


def shown(error: Exception) -> SynflawError:
    """Any error as one of ours, made visible, with its frames and without what led to it.

    Great Expectations logs and stores tracebacks, causes included, and the messages of other
    libraries carry names and values from the data as they are.
    """
    ours = error
    if not isinstance(ours, SynflawError):
        ours = UnexpectedError(f"{type(error).__name__}: {error}")
    ours.__cause__, ours.__suppress_context__ = None, True
    return ours.with_traceback(error.__traceback__)
