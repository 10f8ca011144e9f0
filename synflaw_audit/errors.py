"""The errors a caller can act on; each message names the offender and the choices."""

from __future__ import annotations

from synflaw_audit.untrusted import on_one_line


class SynflawError(Exception):
    """Base of every error this package raises on purpose; the commands exit with 2 on it.

    Messages name files, columns and values from outside, and other programs log them: whatever a
    terminal would obey is made visible in them, line breaks included.
    """

    def __init__(self, message: str) -> None:
        super().__init__(on_one_line(message))


class InputError(SynflawError):
    """A corpus that cannot be read as questions and answers: names the file and the choices."""


class NoRowsError(InputError):
    """A corpus that can be read and holds no rows."""


class CatalogueError(SynflawError):
    """A check definition or policy that is not valid: names the file, the key and the choices."""


class MissingExtraError(SynflawError):
    """An optional dependency is not installed: names the extra and the command that adds it."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the extra {extra!r}, which is not installed: "
            f"pip install 'synflaw-audit[{extra}]'"
        )


class PluginError(SynflawError):
    """A part that another package adds cannot be used: names the part and the package."""


class EngineError(SynflawError):
    """An engine that does not start or cannot go on: names the corpus and the cause."""


class RepairError(SynflawError):
    """A repair that cannot start or was abandoned: names the cause and what was left in place."""
