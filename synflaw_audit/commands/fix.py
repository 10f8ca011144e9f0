"""``synflaw fix``."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Meta
from rich.console import Console
from rich.text import Text

from synflaw_audit.commands.audit import files_of, opened, options_of
from synflaw_audit.commands.console import progress_display, stdout
from synflaw_audit.commands.options import Out, Paths, PrintOptions, with_settings
from synflaw_audit.errors import InputError
from synflaw_audit.outputs.names import FIX_FILE, FIX_OUTPUTS, FIX_PAGE, FIXED_FOLDER
from synflaw_audit.settings import AuditSettings, Setting
from synflaw_audit.untrusted import on_one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synflaw_audit.findings.fixes import Fix
    from synflaw_audit.fixing import Strategy
    from synflaw_audit.outputs.folder import OutputFolder
    from synflaw_audit.verdicts.catalogue import Check
    from synflaw_audit.verdicts.policy import CheckTreatment, Policy


@dataclass(frozen=True, kw_only=True)
class FixOptions:
    """What becomes of flagged rows."""

    drop: Annotated[bool, Setting("Leave flagged rows out.", flags=("--drop",))] = False
    cap: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Setting("Keep so many rows of each template, those that differ most.", "N"),
    ] = None
    cut: Annotated[
        bool,
        Setting(
            "Cut the format out of answers where the rest still reads as one; cap other rows "
            "(--cap, or none of them).",
            flags=("--cut",),
        ),
    ] = False
    rewrite_with: Annotated[
        str | None,
        Setting(
            "Say their answers anew where every judge agrees; cap other rows (--cap, or none of "
            "them). Rules need no model; else a causal LM, or an endpoint's address.",
            "rules|MODEL|URL",
        ),
    ] = None
    rewriting: Annotated[
        Path | None, Setting("What the rewriting is told: candidates, mixture, budget.", "FILE")
    ] = None
    dry_run: Annotated[
        bool, Setting("Only tell what the rewriting would cost.", flags=("--dry-run",))
    ] = False
    rewrite_for: Annotated[
        str | None,
        Setting(
            "Also write replay.jsonl, rewrites and answers in a form that is asked for, for "
            "`synflaw repair --replay`.",
            "repair",
            flags=("--for",),
        ),
    ] = None
    plan: Annotated[
        Path | None,
        Setting("A policy whose `fix` tables say what becomes of each check's rows.", "FILE"),
    ] = None


@with_settings
def fix(
    paths: Paths,
    out: Out,
    settings: AuditSettings,
    printing: PrintOptions,
    treating: FixOptions,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="A TOML file with thresholds of your own.", metavar="FILE"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings and undecided checks fail too.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Also write fix.diff.jsonl: every change, row by row.")
    ] = False,
) -> None:
    """Repair a corpus, audit it again, and exit with 0 (fixed), 1 (it still fails) or 2 (error).

    Writes fixed/, the corpus in its own format, to train on; removed/, the rows that were left out;
    fix.json and fix.html, what was done; before/ and after/, what the audits found.
    """
    from synflaw_audit.fixing import fix as run
    from synflaw_audit.outputs.manifest import manifest_of
    from synflaw_audit.report import write_reports
    from synflaw_audit.report.fixes import render
    from synflaw_audit.verdicts.catalogue import load_checks, selected
    from synflaw_audit.verdicts.gate import EXIT_CODES
    from synflaw_audit.verdicts.policy import Policy, load_policy

    _require_one(treating, policy)
    rules_file = treating.plan or policy
    others = [file for file in (rules_file, treating.rewriting) if file is not None]
    with ExitStack() as stack:
        if treating.dry_run:
            out = Path(stack.enter_context(TemporaryDirectory()))
        folder = stack.enter_context(opened(out, FIX_OUTPUTS, paths, settings, others))
        checks = load_checks(settings.checks)
        if settings.select is not None:
            checks = selected(checks, settings.select)
        rules = Policy() if rules_file is None else load_policy(rules_file, checks)
        strategy = _strategy(treating, rules, checks, settings.seed)
        if treating.dry_run:
            _tell_cost(paths, settings, strategy, folder, rules.applied(checks), rules, printing)
            return
        with progress_display(quiet=printing.quiet) as progress:
            fixed = run(
                paths,
                settings,
                strategy,
                folder,
                rules.applied(checks),
                policy=rules,
                strict=strict,
                diff=diff,
                progress=progress,
            )
        for name, report in (("before", fixed.before), ("after", fixed.after)):
            write_reports(report, folder.staging / name)
        (folder.staging / FIX_FILE).write_text(fixed.to_json(), encoding="utf-8")
        (folder.staging / FIX_PAGE).write_text(render(fixed), encoding="utf-8")
        options = options_of(settings) | {
            "strict": strict,
            "strategy": fixed.strategy,
            "policy": asdict(rules),
        }
        inputs = {"checks": files_of(settings.checks), "policy": others}
        folder.publish(manifest_of(fixed.before, fixed.outcome, inputs=inputs, options=options))
    if printing.json:
        typer.echo(fixed.to_json(), nl=False)
    elif not printing.quiet:
        _show(fixed, out, stdout())
    raise typer.Exit(EXIT_CODES[fixed.outcome])


def _require_one(treating: FixOptions, policy: Path | None) -> None:
    chosen = [
        name
        for name, given in (
            ("--drop", treating.drop),
            ("--cut", treating.cut),
            ("--rewrite-with", treating.rewrite_with is not None),
            ("--cap", treating.cap is not None and not (treating.cut or treating.rewrite_with)),
            ("--plan", treating.plan is not None),
        )
        if given
    ]
    if len(chosen) != 1:
        named = "none of them" if not chosen else " and ".join(chosen)
        raise InputError(
            f"what is to become of flagged rows? Give --drop, --cap N, --cut or --rewrite-with "
            f"NAME (with --cap N for rows of which that fails) or --plan FILE, not {named}"
        )
    if treating.rewrite_with is None:
        for name, given in (
            ("--rewriting", treating.rewriting),
            ("--dry-run", treating.dry_run),
            ("--for", treating.rewrite_for),
        ):
            if given:
                raise InputError(f"{name} is about rewriting, which takes --rewrite-with NAME")
    if treating.rewrite_for not in (None, "repair"):
        raise InputError(f"--for {treating.rewrite_for}: rewrites are for 'repair', or for nothing")
    if treating.plan is not None and policy is not None:
        raise InputError("--plan is a policy itself, and says what passes; leave --policy out")


def _strategy(treating: FixOptions, rules: Policy, checks: Sequence[Check], seed: int) -> Strategy:
    from synflaw_audit.fixing import Cap, Cut, Drop, FixPlan
    from synflaw_audit.verdicts.catalogue import find_check

    if treating.rewrite_with is not None:
        return _rewriting(treating.rewrite_with, treating, seed)
    if treating.plan is not None:
        if not rules.fix:
            raise InputError(
                f"{treating.plan}: plans nothing; give it a table for each check, such as "
                '[fix.answer-template] with strategy = "cut"'
            )
        return FixPlan(
            {find_check(tuple(checks), n).name: _planned(t, seed) for n, t in rules.fix.items()}
        )
    if treating.cut:
        return Cut(Cap(treating.cap or 0, seed))
    return Drop() if treating.cap is None else Cap(treating.cap, seed)


def _rewriting(name: str, treating: FixOptions, seed: int) -> Strategy:
    from synflaw_audit.fixing import Cap
    from synflaw_audit.rewriting import Rewrite, RewriteSettings
    from synflaw_audit.rewriting.registry import rewriter_named
    from synflaw_audit.rewriting.settings import load_settings

    options = RewriteSettings() if treating.rewriting is None else load_settings(treating.rewriting)
    options = replace(options, seed=options.seed or seed)
    return Rewrite(
        lambda natural: rewriter_named(name, natural, options),
        Cap(treating.cap or 0, seed),
        options,
        dry_run=treating.dry_run,
        replay=treating.rewrite_for is not None,
    )


def _planned(treated: CheckTreatment, seed: int) -> Strategy:
    from synflaw_audit.fixing import Cap, Cut, Drop, Keep

    cap = Cap(treated.rows, seed)
    return {"drop": Drop(), "cap": cap, "cut": Cut(cap), "keep": Keep()}[treated.strategy]


def _tell_cost(
    paths: list[str],
    settings: AuditSettings,
    strategy: Strategy,
    folder: OutputFolder,
    checks: Sequence[Check],
    rules: Policy,
    printing: PrintOptions,
) -> None:
    from synflaw_audit.fixing import preview

    with progress_display(quiet=printing.quiet) as progress:
        preview(paths, settings, strategy, folder, checks, policy=rules, progress=progress)
    typer.echo(on_one_line(getattr(strategy, "estimate", "")))


def _show(fixed: Fix, out: Path, console: Console) -> None:
    rows, content = fixed.rows, fixed.content
    style = "green" if fixed.outcome == "pass" else "bold red"
    word = {"pass": "fixed", "fail": "not fixed", "undecided": "undecided"}[fixed.outcome]
    new = rows.cut + rows.rewritten
    seen = rows.remaining + rows.dropped + rows.unreadable + rows.unwritten
    console.print(Text(f"Fix: {word}", style=style))
    lines = [
        f"Risk: {fixed.before.risk.score:.2f} before, {fixed.after.risk.score:.2f} after",
        f"Rows: {rows.remaining:,} of {seen:,} left ({new:,} with new answers, "
        f"{rows.dropped:,} left out)",
        f"Content of flagged answers: {content.kept_share:.1%} left",
        *fixed.reasons,
        *fixed.notices,
        f"Corpus: {out / FIXED_FOLDER}   Page: {out / FIX_PAGE}",
    ]
    for line in lines:
        console.print(Text(on_one_line(f"  {line}")), soft_wrap=True)
