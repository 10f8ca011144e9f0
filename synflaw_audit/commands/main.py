"""The command ``synflaw``.

Every command imports what it needs when it runs: ``synflaw --help`` is quick, and works where an
extra is not installed. Exit codes: 0 done (gate, probe: passed), 1 the gate or the probe failed or
the repair did not help, 2 the input, the usage or the program is at fault. 130 after Ctrl-C, 143
after SIGTERM.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from synflaw_audit.commands import checks, gx
from synflaw_audit.commands.audit import audit
from synflaw_audit.commands.demo import demo
from synflaw_audit.commands.fix import fix
from synflaw_audit.commands.gate import gate
from synflaw_audit.commands.guard import FAULT, complain, guarded, report_failure
from synflaw_audit.commands.inspect import inspect
from synflaw_audit.commands.lab import lab
from synflaw_audit.commands.probe import probe
from synflaw_audit.commands.rehearse import rehearse
from synflaw_audit.commands.repair import repair
from synflaw_audit.untrusted import on_one_line


class Commands(TyperGroup):
    """Turns errors into one line on stderr and an exit code; see ``guard``."""

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


for command in (inspect, audit, gate, fix, probe, rehearse, repair):
    app.command()(command)
app.add_typer(checks.app, name="checks")
app.command()(checks.explain)
app.add_typer(gx.app, name="gx")
app.command()(demo)
app.command()(lab)


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
