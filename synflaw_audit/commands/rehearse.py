"""The command ``synflaw rehearse``; imports the training only when it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synflaw_audit.commands.console import stdout
from synflaw_audit.commands.options import Out, Paths
from synflaw_audit.errors import InputError

if TYPE_CHECKING:
    from synflaw_audit.rehearsal.result import RehearsalResult


def rehearse(
    corpus: Paths,
    model: Annotated[
        str, typer.Option("--model", help="The base: a folder or a hub name.", show_default=False)
    ],
    out: Out,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Rows for the control; the model's own answers if not given.", metavar="PATH"
        ),
    ] = None,
    budget: Annotated[
        int, typer.Option(min=1, help="Training tokens of each arm, padding included.")
    ] = 11_200,
    seeds: Annotated[int, typer.Option(min=1, help="How many pairs of arms.")] = 1,
    language: Annotated[
        list[str] | None,
        typer.Option(help="Of the instructions: en, de, fr, es or it; may be given several times."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to compute in.")] = None,
    question: Annotated[str | None, typer.Option(help="The questions' column.")] = None,
    answer: Annotated[str | None, typer.Option(help="The answers' column.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print rehearsal.json on stdout, and nothing else.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Train a little on a corpus, and measure what it does to a real model.

    Adapters are trained on a small budget of the corpus, and on as much of a control; both models
    are asked the same prompts. Writes rehearsal.json and rehearsal.html. A rehearsal that was
    interrupted goes on where it was.
    """
    from synflaw_audit.rehearsal import require_extra

    require_extra()
    from synflaw_audit.rehearsal.page import render
    from synflaw_audit.rehearsal.run import RehearsalConfig
    from synflaw_audit.rehearsal.run import rehearse as run
    from synflaw_audit.settings import AuditSettings

    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; --out needs a directory")
    config = RehearsalConfig(seeds=tuple(range(seeds)), threads=threads)
    config = replace(config, training=replace(config.training, budget=budget))
    if language:
        config = replace(config, probes=replace(config.probes, languages=tuple(language)))
    silent = quiet or as_json
    result = run(
        corpus,
        model,
        out=out,
        reference=reference,
        settings=AuditSettings(question=question, answer=answer),
        config=config,
        log=(lambda line: None) if silent else (lambda line: typer.echo(line, err=True)),
    )
    (out / "rehearsal.json").write_text(result.to_json(), encoding="utf-8")
    (out / "rehearsal.html").write_text(render(result), encoding="utf-8")
    if as_json:
        typer.echo(result.to_json(), nl=False)
    elif not quiet:
        _show(result, out)


def _show(result: RehearsalResult, out: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim")
    table.add_column("")
    for title in ("corpus", "control", "difference", "95% interval"):
        table.add_column(title, justify="right")
    for axis in result.axes:
        form = axis.written
        damage = axis.damage
        bounds = f"{form(damage.low)} to {form(damage.high)}"
        row = (form(axis.tuned), form(axis.control), form(damage.value), bounds)
        table.add_row(axis.title, *row)
    console = stdout()
    console.print(table)
    for one in result.formats[:3]:
        console.print(Text(f"  {one.answers} answers: {one.text}"), soft_wrap=True)
    console.print(Text(f"Page: {out / 'rehearsal.html'}; {result.seconds:.0f} s"), soft_wrap=True)
