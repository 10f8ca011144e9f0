"""What the commands share of the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console


def stdout() -> Console:
    """The terminal, as every command writes to it."""
    return Console(highlight=False)


def complain(message: str) -> None:
    """Print an error in a line of stderr."""
    typer.echo(f"synflaw: {message}", err=True)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int], None]]:
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
