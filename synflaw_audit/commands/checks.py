"""``synflaw checks`` and ``synflaw explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synflaw_audit.commands.console import stdout
from synflaw_audit.commands.options import Checks
from synflaw_audit.errors import InputError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The checks that an audit judges by."
)


@app.command("list")
def checks_list(checks: Checks = None) -> None:
    """List the checks."""
    from synflaw_audit.report.explain import listing
    from synflaw_audit.verdicts.catalogue import load_checks

    stdout().print(listing(load_checks(checks)))


def explain(
    check: Annotated[
        str | None,
        typer.Argument(help="A check's code or name, such as SF101.", show_default=False),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="A report.json, or the directory that holds it.", show_default=False),
    ] = None,
    checks: Checks = None,
) -> None:
    """Say what a check finds, or what it found in a corpus.

    Of a check: what it finds, what that does to a model, what to do, and how we know. With
    --report, of a finding: what, how sure, which rows, what it does to a model, what to do, and its
    share of the risk; without a check, of all findings that did not pass, the worst first.
    """
    from synflaw_audit.report import explain as pages
    from synflaw_audit.verdicts.catalogue import find_check, load_checks

    if report is not None and checks is not None:
        raise InputError("--checks says nothing of a --report, which holds what its checks said")
    if report is not None:
        read = pages.read_report(report)
        if check is None:
            stdout().print(pages.findings_page(read))
        else:
            stdout().print(pages.finding_page(pages.find_finding(read, check), read))
    elif check is not None:
        stdout().print(pages.page(find_check(load_checks(checks), check)))
    else:
        raise InputError(
            "nothing to explain: name a check (`synflaw checks list` lists them), give the report "
            "of an audit (--report), or both"
        )
