"""The command ``synflaw``, also as ``python -m synflaw_audit``."""

from __future__ import annotations

from synflaw_audit.commands.guard import guarded


def main() -> None:
    """The entry point of the command ``synflaw``."""
    guarded(_run)


def _run() -> int:
    from synflaw_audit.commands.main import run

    return run()


if __name__ == "__main__":
    main()
