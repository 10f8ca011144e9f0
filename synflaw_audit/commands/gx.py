"""``synflaw gx``: set up a Great Expectations project, check it, describe the expectations.

Great Expectations is imported inside the commands, so that ``--help`` needs and costs nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from synflaw_audit.commands.console import stdout, write

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Use the audit as Great Expectations expectations (needs the extra 'gx').",
)

Project = Annotated[
    Path, typer.Argument(help="The folder with great_expectations.yml, or the one above it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def init(project: Project = Path()) -> None:
    """Put the store hook into a project and seal its suites; safe to run again.

    With the hook every process that opens the project knows our expectations. Without it a stored
    suite would load empty in a process that does not import them, and pass.
    """
    from synflaw_audit.expectations import project as projects

    changes = projects.init(project)
    for change in changes:
        write(f"{change.path}: {change.what}")
    if not changes:
        write(f"{projects.find_project(project)}: nothing to do, the project is ready")


@app.command()
def doctor(project: Project = Path(), as_json: AsJson = False) -> None:
    """Check that a project's suites load whole: exit 0 if they do, 1 if not."""
    from synflaw_audit.expectations import compat
    from synflaw_audit.expectations.doctor import diagnose

    diagnosis = diagnose(project)
    if as_json:
        found = asdict(diagnosis) | {"healthy": diagnosis.healthy}
        typer.echo(json.dumps(found, indent=2, default=str))
    else:
        versions = f"great_expectations {compat.installed_version()}"
        write(f"{diagnosis.root} ({versions}, supported {compat.supported_versions()})")
        _print_diagnosis(diagnosis, stdout())
    raise typer.Exit(0 if diagnosis.healthy else 1)


def _print_diagnosis(diagnosis: Any, console: Console) -> None:
    table = Table("suite", "expectations", "ours", "sealed", "unresolved", box=None)
    for suite in diagnosis.suites:
        sealed = "no" if suite.sealed is None else str(suite.sealed)
        lost = ", ".join(suite.unresolved) or "none"
        table.add_row(suite.name, str(suite.expectations), str(suite.ours), sealed, lost)
    write(f"hook: {'present' if diagnosis.hooked else 'missing'}")
    if diagnosis.suites:
        console.print(table)
    write(f"guarded checkpoints: {', '.join(diagnosis.guarded_checkpoints) or 'none'}")
    for problem in diagnosis.problems:
        write(f"{problem.level}: {problem.where}: {problem.what}. To fix it: {problem.fix}")
    if not diagnosis.problems:
        typer.echo("no problem found")


@app.command()
def latest(
    directory: Annotated[
        Path, typer.Argument(help="What a WriteFlaggedSubsetAction writes to, or a part of it.")
    ],
) -> None:
    """Print the newest flagged.parquet of every batch that validations have written.

    So a repair takes up what the last run found: --forget "$(synflaw gx latest DIRECTORY)".
    """
    from synflaw_audit.expectations import folders

    for folder in folders.latest(directory):
        for path in sorted(folder.glob("flagged*.parquet")):
            typer.echo(str(path))


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the expectations with the thresholds that ``recommended()`` writes out.

    ``--json`` prints the catalogue in the form of Great Expectations' own: an entry and a JSON
    Schema for every expectation, for tools and agents that write suites.
    """
    from synflaw_audit.expectations import describe

    if as_json:
        typer.echo(json.dumps(describe.catalogue(), indent=2))
        return
    for entry in describe.entries():
        write(entry.class_name)
        write(f"    {entry.short_description}")
        if entry.recommended:
            write(f"    recommended: {entry.recommended}")


@app.command()
def skill(
    project: Annotated[Path, typer.Argument(help="The project's folder.")] = Path(),
) -> None:
    """Install a skill for coding agents beside Great Expectations' own, under .agents/skills."""
    from synflaw_audit.expectations import describe

    for path in describe.install_skill(project):
        write(str(path))
