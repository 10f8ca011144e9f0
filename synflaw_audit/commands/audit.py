"""``synflaw audit``, and what the gate shares with it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synflaw_audit.commands.console import progress, stdout
from synflaw_audit.commands.options import Out, Paths, Printing, with_settings
from synflaw_audit.errors import InputError
from synflaw_audit.outputs.names import REPORT_FILES, ROW_FILES
from synflaw_audit.settings import Judging, Reading, Running

if TYPE_CHECKING:
    from synflaw_audit.engines.base import Engine
    from synflaw_audit.findings.report import Report
    from synflaw_audit.outputs.folder import OutputFolder
    from synflaw_audit.verdicts.catalogue import Check


@with_settings
def audit(
    paths: Paths,
    out: Out,
    reading: Reading,
    judging: Judging,
    running: Running,
    printing: Printing,
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
    from synflaw_audit.verdicts.catalogue import load_checks, selected

    with opened(out, (*ROW_FILES, *REPORT_FILES), paths, judging) as folder:
        checks = selected(load_checks(judging.checks), judging.select)
        report = audited(paths, folder, reading, judging, running, printing, checks)
        if what_if:
            report = replace(report, what_if_flagged=report.what_if())
        write_reports(report, folder.staging)
        options = asdict(reading) | {"memory_limit": running.memory_limit}
        inputs = {"checks": files_of(judging.checks)}
        folder.publish(manifest_of(report, "audited", inputs=inputs, options=options))
    show(report, out, printing)


def opened(
    out: Path,
    names: Sequence[str],
    paths: Sequence[str],
    judging: Judging,
    policy: Path | None = None,
) -> AbstractContextManager[OutputFolder]:
    """The folder of the outputs, which is none of a command's inputs."""
    from synflaw_audit.outputs.folder import output_folder

    others = [given for given in (judging.reference, policy) if given is not None]
    return output_folder(out, names, [*paths, *others, *files_of(judging.checks)])


def files_of(checks: Path | None) -> list[Path]:
    """The files of a pack of checks."""
    return [] if checks is None else sorted(checks.glob("*.toml"))


def audited(
    paths: list[str],
    folder: OutputFolder,
    reading: Reading,
    judging: Judging,
    running: Running,
    printing: Printing,
    checks: Sequence[Check],
    *,
    split: bool = False,
) -> Report:
    """Audit, and write the rows.

    Raises:
        InputError: The corpus cannot be read.
    """
    from synflaw_audit.engines.local.memory import parsed
    from synflaw_audit.run import audit as run

    limit = running.memory_limit
    with progress(quiet=printing.quiet or printing.json) as tell:
        return run(
            _corpus(paths, reading, running),
            question=reading.question,
            answer=reading.answer,
            reference=judging.reference,
            checks=checks,
            embedder=judging.embedder,
            perplexity_model=judging.perplexity_model,
            seed=judging.seed,
            out=folder,
            split=split,
            resume=running.resume,
            memory_limit=parsed(limit) if limit else None,
            progress=tell,
        )


def show(report: Report, out: Path, printing: Printing) -> None:
    """Print the report as it was asked for."""
    if printing.json:
        typer.echo(report.to_json(), nl=False)
    elif not printing.quiet:
        from rich.text import Text

        from synflaw_audit.report.terminal import show as show_report

        console = stdout()
        show_report(report, console)
        console.print()
        console.print(Text(f"Report: {out / 'report.html'}"), soft_wrap=True)


def _corpus(paths: list[str], reading: Reading, running: Running) -> list[str] | Engine:
    """What is to be read: the paths, or an engine that reads them.

    Raises:
        InputError: An option for Spark was given without it.
        MissingExtraError: pyspark is not installed.
        EngineError: Spark does not start.
    """
    if running.engine == "local":
        for option in ("master", "partitions", "rows"):
            if getattr(running, option) is not None:
                raise InputError(f"--{option} is for Spark: give --engine spark with it")
        return paths
    from synflaw_audit.engines.spark.session import start

    session = start(running.master, running.partitions)
    from synflaw_audit.engines.spark.engine import SparkEngine

    return SparkEngine(
        paths,
        session,
        question=reading.question,
        answer=reading.answer,
        partitions=running.partitions,
        rows=running.rows,
    )
