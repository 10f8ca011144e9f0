"""``synflaw demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synflaw_audit.commands.console import stdout
from synflaw_audit.commands.options import Seed


def demo(
    out: Annotated[Path, typer.Option(help="Directory for the results.")] = Path("demo-output"),
    seed: Seed = 0,
) -> None:
    """Audit a templated and a natural corpus; damage a small model with one, and repair it."""
    from synflaw_audit.lab.demo import run

    raise typer.Exit(run(out, seed, stdout()))
