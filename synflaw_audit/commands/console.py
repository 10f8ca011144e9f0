"""What the commands share of the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from synflaw_audit.untrusted import on_one_line, visible


class _Console(Console):
    """A terminal that obeys what is written for it, and nothing that stands in the text."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text), style, control)


def stdout() -> Console:
    """The terminal, as every command writes to it."""
    return _Console(highlight=False)


def stderr() -> Console:
    """The terminal for what is no result."""
    return _Console(stderr=True, highlight=False)


def write(text: str) -> None:
    """Print a line of text to stdout."""
    typer.echo(on_one_line(text))


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """Show what goes on, on stderr, if that is a terminal and it takes more than two seconds."""
    console = stderr()
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
