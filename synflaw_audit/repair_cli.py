"""The command ``synflaw repair``; imports the repair itself only when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from synflaw_audit.repair import RepairResult


def repair(
    model: Annotated[str, typer.Argument(help="A Hugging Face causal LM: a folder or a name.")],
    forget: Annotated[Path, typer.Option(help="The audit's flagged.parquet.", show_default=False)],
    replay: Annotated[str, typer.Option(help="A corpus of ordinary rows.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The folder to write.", show_default=False)],
    lora: Annotated[bool, typer.Option("--lora", help="Train low-rank adapters only.")] = False,
    method: Annotated[str | None, typer.Option(help="The forgetting loss.")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="Training tokens to spend.")] = None,
    question: Annotated[str | None, typer.Option(help="The questions' column.")] = None,
    answer: Annotated[str | None, typer.Option(help="The answers' column.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print repair.json on stdout, and nothing else.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Take a format out of a model that was trained on it, and keep what was learned.

    Exits with 0 when the repair helped, 1 when it did not. The original is never changed.
    """
    from synflaw_audit.repair import RepairConfig
    from synflaw_audit.repair import repair as run

    chosen: dict[str, Any] = {"lora": lora, "seed": seed, "tokens": tokens}
    if method is not None:
        chosen["method"] = method
    result = run(
        model,
        forget=forget,
        replay=replay,
        out=out,
        config=RepairConfig(**chosen),
        question=question,
        answer=answer,
        quiet=quiet or as_json or not sys.stderr.isatty(),
    )
    if as_json:
        typer.echo(result.to_json(), nl=False)
    elif not quiet:
        _show(result)
    raise typer.Exit(0 if result.improved else 1)


def _show(result: RepairResult) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("figure")
    for column in ("before", "after"):
        table.add_column(column, justify="right")
    for name, before in result.before.items():
        after = result.after.get(name)
        table.add_row(Text(name), f"{before:.4g}", "" if after is None else f"{after:.4g}")
    console = Console(highlight=False)
    console.print(table)
    for sentence in (*result.reasons, *result.notes):
        console.print(Text(sentence))
    verdict = "Repaired" if result.improved else "The repair did not help; look at"
    console.print(Text(f"{verdict}: {result.out}"), soft_wrap=True)
