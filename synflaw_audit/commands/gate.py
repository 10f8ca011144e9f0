"""``synflaw gate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from synflaw_audit.commands.audit import audited, files_of, opened, options_of, show
from synflaw_audit.commands.console import stdout
from synflaw_audit.commands.options import Out, Paths, PrintOptions, with_settings
from synflaw_audit.errors import InputError
from synflaw_audit.outputs.names import (
    CLEAN_FOLDER,
    DECISION_FILE,
    DECISION_FILES,
    JUNIT_FILE,
    REPORT_FILES,
    ROW_FILES,
    SARIF_FILE,
    SPLIT_FILES,
    SPLIT_FOLDERS,
)
from synflaw_audit.settings import AuditSettings, Setting
from synflaw_audit.untrusted import on_one_line

if TYPE_CHECKING:
    from synflaw_audit.findings.report import Report
    from synflaw_audit.verdicts.gate import Decision
    from synflaw_audit.writing import Original, Split


@dataclass(frozen=True, kw_only=True)
class Exports:
    """The decision as other programs take it."""

    sarif: Annotated[
        bool, Setting("Also write report.sarif, for code hosts and editors.", flags=("--sarif",))
    ] = False
    junit: Annotated[
        bool, Setting("Also write report.junit.xml, for CI servers.", flags=("--junit",))
    ] = False
    github: Annotated[
        bool, Setting("Also print annotations for pull requests on GitHub.", flags=("--github",))
    ] = False


@with_settings
def gate(
    paths: Paths,
    out: Out,
    settings: AuditSettings,
    printing: PrintOptions,
    exports: Exports,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="A TOML file with thresholds of your own.", metavar="FILE"),
    ] = None,
    rehearsal: Annotated[
        Path | None,
        typer.Option(
            "--rehearsal", help="A rehearsal.json, for the policy's max_emission.", metavar="FILE"
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline",
            help="A report.json from before: fail only on what is new or has grown since.",
            metavar="FILE",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings and undecided checks fail too.")
    ] = False,
    suggest_policy: Annotated[
        Path | None,
        typer.Option(
            help="Write a policy here that would allow what was found, all of it commented out.",
            metavar="FILE",
        ),
    ] = None,
    corpus: Annotated[
        bool,
        typer.Option(
            "--corpus/--no-corpus",
            help="Also write the corpus in its own format: clean/ and quarantined/.",
        ),
    ] = True,
) -> None:
    """Audit a corpus, split it, and exit with 0 (pass), 1 (fail) or 2 (error).

    Besides what the audit writes: gate.json (the decision); clean/ and quarantined/, the corpus in
    its own format, file by file, to train on; clean.parquet and quarantined.parquet, its records
    (together every readable one once; the flagged ones are quarantined).
    """
    from synflaw_audit.outputs.manifest import manifest_of
    from synflaw_audit.outputs.overlap import require_disjoint
    from synflaw_audit.report import write_reports
    from synflaw_audit.report.explain import read_report
    from synflaw_audit.verdicts.catalogue import load_checks, selected
    from synflaw_audit.verdicts.gate import decide
    from synflaw_audit.verdicts.policy import Policy, load_policy
    from synflaw_audit.verdicts.suggestion import suggested

    names = (*ROW_FILES, *SPLIT_FILES, *SPLIT_FOLDERS, *REPORT_FILES, *DECISION_FILES)
    others = [given for given in (policy, rehearsal, baseline) if given is not None]
    if suggest_policy is not None:
        named: list[str | Path] = [*paths, *others]
        read = [path for path in named if not Path(path).is_dir()]
        require_disjoint(suggest_policy.parent, read, [suggest_policy.name])
        _require_new(suggest_policy)
    with opened(out, names, paths, settings, others) as folder:
        before = None if baseline is None else read_report(baseline)
        # Without a selection the policy may ask for a check that does not run by default.
        checks = load_checks(settings.checks)
        if settings.select is not None:
            checks = selected(checks, settings.select)
        rules = Policy() if policy is None else load_policy(policy, checks)
        applied = rules.applied(checks)
        original = _original(paths, settings) if corpus else None
        report = audited(paths, folder, settings, printing, applied, allow=rules.allow, split=True)
        split = None if original is None else _split(original, report, folder.staging)
        write_reports(report, folder.staging)
        rehearsed = None if rehearsal is None else _rehearsed(rehearsal, report.dataset.files)
        decision = decide(report, rules, strict=strict, rehearsed=rehearsed, baseline=before)
        (folder.staging / DECISION_FILE).write_text(decision.to_json(), encoding="utf-8")
        _export(report, decision, exports, folder.staging)
        options = options_of(settings) | {"strict": strict, "policy": asdict(rules)}
        inputs = {
            "checks": files_of(settings.checks),
            "policy": [] if policy is None else [policy],
            "rehearsal": [] if rehearsal is None else [rehearsal],
            "baseline": [] if baseline is None else [baseline],
        }
        if suggest_policy is not None:  # before the outputs stand, so that exit 2 leaves none
            _write_new(suggest_policy, suggested(report))
        manifest = manifest_of(report, decision.outcome, inputs=inputs, options=options)
        rows = {} if split is None else split.counts
        folder.publish(replace(manifest, counts=manifest.counts | rows))
    show(report, out, printing)
    if not (printing.json or printing.quiet):
        _show_decision(decision, stdout())
        if corpus:
            _show_split(split, out, stdout())
    if exports.github:
        from synflaw_audit.report import github

        for line in github.render(report, decision):
            typer.echo(line, err=printing.json)  # where stdout is the report's alone
    raise typer.Exit(decision.exit_code)


def _export(report: Report, decision: Decision, exports: Exports, folder: Path) -> None:
    from synflaw_audit.report import junit, sarif

    if exports.sarif:
        (folder / SARIF_FILE).write_text(sarif.render(report, decision), encoding="utf-8")
    if exports.junit:
        (folder / JUNIT_FILE).write_text(junit.render(report, decision), encoding="utf-8")


def _require_new(path: Path) -> None:
    """Refuses a file that is there: it may be an input, or a policy that a person has pruned."""
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    if path.exists() or path.is_symlink():
        raise InputError(f"{path}: is there already; choose another --suggest-policy")


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def _rehearsed(path: Path, files: Sequence[str]) -> dict[str, float]:
    """The measured damage by axis.

    Raises:
        InputError: The rehearsal was of other files than the audit, by their names; the folder may
            be another, since the two commands may run on different machines.
    """
    from synflaw_audit.rehearsal.result import RehearsalResult

    result = RehearsalResult.read(path)
    ours, theirs = ({PurePath(file).name for file in each} for each in (files, result.corpus))
    if ours != theirs:
        raise InputError(
            f"{path}: a rehearsal of {', '.join(sorted(theirs))}, but {', '.join(sorted(ours))} is "
            "gated; rehearse the corpus that is gated"
        )
    return {axis.name: axis.damage.value for axis in result.axes}


def _original(paths: list[str], settings: AuditSettings) -> Original | None:
    """The corpus's files, where this machine reads them."""
    from synflaw_audit.writing import Original

    return Original.of(paths, settings) if settings.engine == "local" else None


def _split(original: Original, report: Report, folder: Path) -> Split:
    """Writes the corpus in its own format, beside its records."""
    from synflaw_audit.writing import quarantined_rows, write_split

    clean, quarantined = (folder / name for name in SPLIT_FOLDERS)
    rows = quarantined_rows(folder)
    return write_split(original, rows, report.dataset.accounts, (clean, quarantined))


def _show_split(split: Split | None, out: Path, console: Console) -> None:
    if split is None:
        line = "  The corpus is not made of files of this machine: its records alone are written."
    else:
        rows = split.kept + split.dropped + split.unwritten
        line = f"  Clean: {split.kept:,} of {rows:,} rows, in {out / CLEAN_FOLDER}"
    console.print(Text(on_one_line(line)), soft_wrap=True)


def _show_decision(decision: Decision, console: Console) -> None:
    style = "green" if decision.exit_code == 0 else "bold red"
    console.print(Text(f"Gate: {decision.outcome}", style=style))
    for sentence in (*decision.reasons, *decision.notices):
        console.print(Text(on_one_line(f"  {sentence}")), soft_wrap=True)
