"""The command ``synflaw``.

A command is imported when it is asked for, and imports what it needs when it runs: ``synflaw
--help`` is quick, and works where an extra is not installed. Exit codes: 0 done (gate, probe:
passed), 1 the gate or the probe failed or the repair did not help, 2 the input, the usage or the
program is at fault. 130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from synflaw_audit.commands.guard import FAULT, complain, guarded, report_failure
from synflaw_audit.untrusted import on_one_line

# What the page of all commands says of each, as its own page begins.
COMMANDS = {
    "inspect": "Show how a corpus is understood, and its first records as they will be judged.",
    "audit": "Audit a corpus: report.json, .md and .html, flagged.parquet, rejected.jsonl.",
    "gate": "Audit a corpus, split it, and exit with 0 (pass), 1 (fail) or 2 (error).",
    "fix": (
        "Repair a corpus, audit it again, and exit with 0 (fixed), 1 (it still fails) or 2 (error)."
    ),
    "probe": "Ask a model open questions, and audit its answers: is it overfitted to a pattern?",
    "rehearse": "Train a little on a corpus, and measure what it does to a real model.",
    "repair": "Take a format out of a model that was trained on it, and keep what was learned.",
    "explain": "Say what a check finds, or what it found in a corpus.",
    "demo": "Audit a templated and a natural corpus; damage a small model with one, and repair it.",
    "lab": (
        "Damage a small model in a world of invented facts, repair it in several ways, and compare."
    ),
    "checks": "The checks that an audit judges by.",
    "gx": "Use the audit as Great Expectations expectations (needs the extra 'gx').",
}
# Where those are that are not called as their modules.
_ELSEWHERE = {"explain": "checks:explain", "checks": "checks:app", "gx": "gx:app"}


class Commands(TyperGroup):
    """Imports the command that is asked for, and turns its errors into one line; see ``guard``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself in place of its entry on the page of all."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and loaded(str(name)), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except BaseException as error:
            # Typer ends commands and reports wrong usage through exceptions of its own.
            if isinstance(error, typer.Abort) or hasattr(error, "exit_code"):
                if hasattr(error, "message"):  # which may quote an argument
                    error.message = on_one_line(error.message)
                raise
            raise typer.Exit(report_failure(error)) from None


def loaded(name: str) -> Any:
    """A command, imported: typer's command or group of commands.

    Raises:
        ImportError: There is none of the name.
    """
    module, _, attribute = _ELSEWHERE.get(name, f"{name}:{name}").partition(":")
    found = getattr(import_module(f"synflaw_audit.commands.{module}"), attribute)
    if isinstance(found, typer.Typer):
        group = get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return get_command(alone)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Audit question-answer corpora for format uniformity; repair models damaged by it.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"synflaw-audit {version('synflaw-audit')}")
        raise typer.Exit


@app.callback()
def synflaw(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Audit question-answer corpora for format uniformity; repair models damaged by it."""


def _entry() -> None:
    """Stands for a command on the page of all."""


for each, summary in COMMANDS.items():
    app.command(each, help=summary)(_entry)


def main() -> None:
    """The command ``synflaw``, where this module has been imported already."""
    guarded(run)


def run() -> int:
    """Runs the command that the command line asks for; gives its exit code."""
    try:
        code = app(prog_name="synflaw", standalone_mode=False)
    except typer.Abort:
        complain("aborted")
        return FAULT
    except Exception as error:
        if not hasattr(error, "show"):
            raise
        error.show()  # wrong usage
        return FAULT
    return int(code or 0)
