"""The command ``synflaw``.

Every command imports what it needs when it runs: ``synflaw --help`` is quick, and works where an
extra is not installed. Exit codes: 0 done (gate: passed), 1 the gate failed or the repair did not
help, 2 the input, the usage or the program is at fault. 130 after Ctrl-C.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from synflaw_audit.commands import gx
from synflaw_audit.commands.engine_options import (
    EngineName,
    Engines,
    Master,
    Partitions,
    Rows,
    Where,
)
from synflaw_audit.commands.lab import lab
from synflaw_audit.commands.repair import repair
from synflaw_audit.errors import InputError, SynflawError
from synflaw_audit.outputs.names import DECISION_FILE, REPORT_FILES, ROW_FILES, SPLIT_FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from synflaw_audit.findings.report import Report
    from synflaw_audit.outputs.folder import OutputFolder
    from synflaw_audit.verdicts.catalogue import Check
    from synflaw_audit.verdicts.gate import Decision

FAULT = 2
INTERRUPTED = 130


class Commands(TyperGroup):
    """Turns errors into one line on stderr and an exit code.

    Python's own exit code for a crash is 1, which a pipeline would read as "the gate failed".
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except SynflawError as error:
            _complain(str(error))
        except OSError as error:
            name = f"{error.filename}: " if error.filename else ""
            _complain(f"{name}{error.strerror or error}")
        except KeyboardInterrupt:
            _complain("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            # Typer ends commands and reports wrong usage through exceptions of its own.
            if isinstance(error, typer.Abort) or hasattr(error, "exit_code"):
                raise
            traceback.print_exc()
            _complain("this is a fault of the program; please report it with the lines above")
        raise typer.Exit(FAULT)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Audit question-answer corpora for format uniformity; repair models damaged by it.",
)
checks_app = typer.Typer(no_args_is_help=True, help="The checks that an audit judges by.")
app.add_typer(checks_app, name="checks")
app.add_typer(gx.app, name="gx")

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...",
        help="Files, directories, globs, or a data set's name; for Spark URIs and tables too.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Directory for the results.", show_default=False)]
Reference = Annotated[
    str | None, typer.Option("--reference", help="A corpus to compare with.", metavar="PATH")
]
Question = Annotated[str | None, typer.Option("--question", help="The questions' column.")]
Answer = Annotated[str | None, typer.Option("--answer", help="The answers' column.")]
Checks = Annotated[
    Path | None,
    typer.Option("--checks", help="A directory of checks of your own.", metavar="DIR"),
]
Select = Annotated[
    str | None,
    typer.Option("--select", help="Only these checks: codes or names, with commas between."),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on where an interrupted run into the same --out stopped."),
]
MemoryLimit = Annotated[
    str | None,
    typer.Option("--memory-limit", help="Memory to keep within, such as 600MB.", metavar="SIZE"),
]
Embedder = Annotated[
    str, typer.Option("--embedder", help="lsa, or the name of a sentence-transformers model.")
]
PerplexityModel = Annotated[
    str,
    typer.Option("--perplexity-model", help="ngram, or the name of a causal language model."),
]
Seed = Annotated[int, typer.Option("--seed", help="Of everything random.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the report as JSON on stdout, and nothing else.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


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


@app.command()
def audit(
    paths: Paths,
    out: Out,
    reference: Reference = None,
    question: Question = None,
    answer: Answer = None,
    checks: Checks = None,
    select: Select = None,
    embedder: Embedder = "lsa",
    perplexity_model: PerplexityModel = "ngram",
    what_if: Annotated[
        bool,
        typer.Option("--what-if", help="Also tell the risk without the flagged rows."),
    ] = False,
    seed: Seed = 0,
    resume: Resume = False,
    memory_limit: MemoryLimit = None,
    engine: Engines = EngineName.LOCAL,
    master: Master = None,
    partitions: Partitions = None,
    rows: Rows = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Audit a corpus: report.json, .md and .html, flagged.parquet, rejected.jsonl.

    Exits with 0 when the audit completed, whatever it found.
    """
    from synflaw_audit.outputs.manifest import manifest_of
    from synflaw_audit.verdicts.catalogue import load_checks, selected

    with _opened(out, (*ROW_FILES, *REPORT_FILES), paths, reference, checks) as folder:
        report = _audited(
            paths,
            Where(engine, master, partitions, rows),
            folder,
            selected(load_checks(checks), select),
            reference=reference,
            question=question,
            answer=answer,
            embedder=embedder,
            perplexity_model=perplexity_model,
            what_if=what_if,
            seed=seed,
            resume=resume,
            memory_limit=memory_limit,
            quiet=quiet or as_json,
        )
        options = {"question": question, "answer": answer, "memory_limit": memory_limit}
        inputs = {"checks": _files_of(checks)}
        folder.publish(manifest_of(report, "audited", inputs=inputs, options=options))
    _present(report, out, as_json=as_json, quiet=quiet)


@app.command()
def gate(
    paths: Paths,
    out: Out,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="A TOML file with thresholds of your own.", metavar="FILE"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings and undecided checks fail too.")
    ] = False,
    reference: Reference = None,
    question: Question = None,
    answer: Answer = None,
    checks: Checks = None,
    select: Select = None,
    embedder: Embedder = "lsa",
    perplexity_model: PerplexityModel = "ngram",
    seed: Seed = 0,
    resume: Resume = False,
    memory_limit: MemoryLimit = None,
    engine: Engines = EngineName.LOCAL,
    master: Master = None,
    partitions: Partitions = None,
    rows: Rows = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Audit a corpus, split it, and exit with 0 (pass), 1 (fail) or 2 (error).

    Besides what the audit writes: gate.json (the decision), clean.parquet and quarantined.parquet
    (together every readable record once; the flagged ones are quarantined).
    """
    from synflaw_audit.outputs.manifest import manifest_of
    from synflaw_audit.verdicts.catalogue import load_checks, selected
    from synflaw_audit.verdicts.gate import decide
    from synflaw_audit.verdicts.policy import Policy, load_policy

    names = (*ROW_FILES, *SPLIT_FILES, *REPORT_FILES, DECISION_FILE)
    with _opened(out, names, paths, reference, checks, policy) as folder:
        # Without a selection the policy may ask for a check that does not run by default.
        every = load_checks(checks)
        known = every if select is None else selected(every, select)
        rules = Policy() if policy is None else load_policy(policy, known)
        report = _audited(
            paths,
            Where(engine, master, partitions, rows),
            folder,
            rules.applied(known),
            reference=reference,
            question=question,
            answer=answer,
            embedder=embedder,
            perplexity_model=perplexity_model,
            seed=seed,
            resume=resume,
            memory_limit=memory_limit,
            quiet=quiet or as_json,
            split=True,
        )
        decision = decide(report, rules, strict=strict)
        (folder.staging / DECISION_FILE).write_text(decision.to_json(), encoding="utf-8")
        options = {
            "question": question,
            "answer": answer,
            "memory_limit": memory_limit,
            "strict": strict,
            "policy": asdict(rules),
        }
        inputs = {"checks": _files_of(checks), "policy": [] if policy is None else [policy]}
        folder.publish(manifest_of(report, decision.outcome, inputs=inputs, options=options))
    _present(report, out, as_json=as_json, quiet=quiet)
    if not (as_json or quiet):
        _show(decision, _console())
    raise typer.Exit(decision.exit_code)


app.command()(repair)


@checks_app.command("list")
def checks_list(checks: Checks = None) -> None:
    """List the checks."""
    from synflaw_audit.report.explain import listing
    from synflaw_audit.verdicts.catalogue import load_checks

    _console().print(listing(load_checks(checks)))


@app.command()
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
            _console().print(pages.findings_page(read))
        else:
            _console().print(pages.finding_page(pages.find_finding(read, check), read))
    elif check is not None:
        _console().print(pages.page(find_check(load_checks(checks), check)))
    else:
        raise InputError(
            "nothing to explain: name a check (`synflaw checks list` lists them), give the report "
            "of an audit (--report), or both"
        )


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Directory for the results.")] = Path("demo-output"),
    seed: Seed = 0,
) -> None:
    """Audit a templated and a natural corpus; damage a small model with one, and repair it."""
    from synflaw_audit.commands.demo import run

    raise typer.Exit(run(out, seed, _console()))


app.command()(lab)


def main() -> None:
    """The entry point of the command ``synflaw``."""
    app(prog_name="synflaw")


def _files_of(checks: Path | None) -> list[Path]:
    return [] if checks is None else sorted(checks.glob("*.toml"))


def _opened(
    out: Path,
    names: Sequence[str],
    paths: Sequence[str],
    reference: str | None,
    checks: Path | None,
    policy: Path | None = None,
) -> AbstractContextManager[OutputFolder]:
    """The folder of the outputs, which is none of a command's inputs."""
    from synflaw_audit.outputs.folder import output_folder

    others = [given for given in (reference, policy) if given is not None]
    return output_folder(out, names, [*paths, *others, *_files_of(checks)])


def _audited(
    paths: list[str],
    where: Where,
    folder: OutputFolder,
    checks: Sequence[Check],
    *,
    quiet: bool,
    question: str | None,
    answer: str | None,
    what_if: bool = False,
    memory_limit: str | None = None,
    **options: Any,
) -> Report:
    """Audit, and write everything that an audit writes."""
    from synflaw_audit.engines.local.memory import parsed
    from synflaw_audit.report import write_reports
    from synflaw_audit.run import audit as run

    corpus = where.corpus(paths, question, answer)
    with _progress(quiet) as progress:
        report = run(
            corpus,
            question=question,
            answer=answer,
            checks=checks,
            out=folder,
            memory_limit=parsed(memory_limit) if memory_limit else None,
            progress=progress,
            **options,
        )
    if what_if:
        report = replace(report, what_if_flagged=report.what_if())
    write_reports(report, folder.staging)
    return report


def _present(report: Report, out: Path, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        typer.echo(report.to_json(), nl=False)
    elif not quiet:
        from rich.text import Text

        from synflaw_audit.report.terminal import show

        console = _console()
        show(report, console)
        console.print()
        console.print(Text(f"Report: {out / 'report.html'}"), soft_wrap=True)


def _show(decision: Decision, console: Console) -> None:
    from rich.text import Text

    style = "green" if decision.exit_code == 0 else "bold red"
    console.print(Text(f"Gate: {decision.outcome}", style=style))
    for sentence in (*decision.reasons, *decision.notices):
        console.print(Text(f"  {sentence}"), soft_wrap=True)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """Show what goes on, on stderr, if that is a terminal and it takes more than two seconds."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda stage, done: None
        return
    from threading import Timer

    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    display = Progress(*columns, console=console, transient=True)
    task = display.add_task("starting", total=None)
    timer = Timer(2, display.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda stage, done: display.update(task, description=_stage(stage, done))
    finally:
        timer.cancel()
        timer.join()
        display.stop()


def _stage(stage: str, done: int) -> str:
    return f"{stage}: {done:,} records" if done else stage


def _console() -> Console:
    return Console(highlight=False)


def _complain(message: str) -> None:
    typer.echo(f"synflaw: {message}", err=True)
