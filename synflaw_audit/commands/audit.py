"""``synflaw audit``, and what the gate shares with it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synflaw_audit.commands.console import progress_display, stdout
from synflaw_audit.commands.options import Out, Paths, PrintOptions, with_settings
from synflaw_audit.outputs.names import REPORT_FILES, ROW_FILES
from synflaw_audit.settings import AuditSettings
from synflaw_audit.untrusted import escaped, on_one_line

if TYPE_CHECKING:
    from synflaw_audit.allowed import Allow
    from synflaw_audit.findings.report import Report
    from synflaw_audit.outputs.folder import OutputFolder
    from synflaw_audit.verdicts.catalogue import Check


@with_settings
def audit(
    paths: Paths,
    out: Out,
    settings: AuditSettings,
    printing: PrintOptions,
    what_if: Annotated[
        bool,
        typer.Option("--what-if", help="Also tell the risk without the flagged rows."),
    ] = False,
) -> None:
    """Audit a corpus: report.json, .md and .html, flagged.parquet, rejected.jsonl.

    Exits with 0 when the audit completed, whatever it found.
    """
    from synflaw_audit.outputs.manifest import manifest_of
    from synflaw_audit.report import write_reports

    with opened(out, (*ROW_FILES, *REPORT_FILES), paths, settings) as folder:
        report = audited(paths, folder, settings, printing)
        if what_if:
            report = replace(report, what_if_flagged=report.what_if())
        write_reports(report, folder.staging)
        inputs = {"checks": files_of(settings.checks)}
        folder.publish(manifest_of(report, "audited", inputs=inputs, options=options_of(settings)))
    show(report, out, printing)


def opened(
    out: Path,
    names: Sequence[str],
    paths: Sequence[str],
    settings: AuditSettings,
    others: Sequence[Path] = (),
) -> AbstractContextManager[OutputFolder]:
    """The folder of the outputs, which is none of a command's inputs."""
    from synflaw_audit.outputs.folder import output_folder

    reference = [] if settings.reference is None else [settings.reference]
    read: list[str | Path] = [*paths, *reference, *others, *files_of(settings.checks)]
    return output_folder(out, names, read)


def files_of(checks: Path | None) -> list[Path]:
    """The files of a pack of checks."""
    return [] if checks is None else sorted(checks.glob("*.toml"))


def options_of(settings: AuditSettings) -> dict[str, Any]:
    """The settings that no report names, for the manifest."""
    names = ("question", "answer", "memory_limit")
    return {name: getattr(settings, name) for name in names}


def audited(
    paths: list[str],
    folder: OutputFolder,
    settings: AuditSettings,
    printing: PrintOptions,
    checks: Sequence[Check] | None = None,
    *,
    allow: Sequence[Allow] = (),
    split: bool = False,
) -> Report:
    """Audit, and write the rows.

    Raises:
        InputError: The corpus cannot be read.
    """
    from synflaw_audit.run import audit as run

    with progress_display(quiet=printing.quiet) as progress:
        return run(
            paths, settings, checks=checks, allow=allow, out=folder, split=split, progress=progress
        )


def show(report: Report, out: Path, printing: PrintOptions) -> None:
    """Print the report as it was asked for."""
    if printing.json:
        typer.echo(escaped(report.to_json()).encode(), nl=False)  # UTF-8, whatever the terminal is
    elif not printing.quiet:
        from rich.text import Text

        from synflaw_audit.report.terminal import show as show_report

        console = stdout()
        show_report(report, console)
        console.print()
        console.print(Text(on_one_line(f"Report: {out / 'report.html'}")), soft_wrap=True)
