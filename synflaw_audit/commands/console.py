"""What the commands share of the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

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


# Seconds between two lines about a long run where nobody sees a display.
LOG_EVERY = 30.0


@contextmanager
def progress_display(*, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """Show what goes on, on stderr: a display on a terminal, else a line every 30 seconds."""
    console = stderr()
    if quiet:
        yield lambda stage, done: None
    elif console.is_terminal:
        with _displayed(console) as progress:
            yield progress
    else:
        with _logged(console) as progress:
            yield progress


@contextmanager
def _displayed(console: Console) -> Iterator[Callable[[str, int], None]]:
    """A display, if it takes more than two seconds."""
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


@contextmanager
def _logged(console: Console) -> Iterator[Callable[[str, int], None]]:
    """Steady lines, also while a stage has nothing to tell: CI ends what is silent for long."""
    from threading import Event, Thread

    over, start = Event(), time.monotonic()
    latest = "starting"

    def progress(stage: str, done: int) -> None:
        nonlocal latest
        latest = _stage(stage, done)

    def log() -> None:
        while not over.wait(LOG_EVERY):
            seconds = round(time.monotonic() - start)
            console.print(Text(on_one_line(f"synflaw: {latest} ({seconds} s)")), soft_wrap=True)

    thread = Thread(target=log, daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        over.set()
        thread.join()


def _stage(stage: str, done: int) -> str:
    return f"{stage}: {done:,} records" if done else stage
