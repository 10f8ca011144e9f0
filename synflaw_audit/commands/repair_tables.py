"""What ``synflaw repair`` prints: the figures before and after, or what a repair would take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synflaw_audit.commands.console import stdout
from synflaw_audit.untrusted import on_one_line

if TYPE_CHECKING:
    from synflaw_audit.repair import Estimate, RepairResult


def show_result(result: RepairResult) -> None:
    """Every figure before, after, and of the control; then what there is to say."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("figure")
    columns = {"before": result.before, "after": result.after}
    if result.control is not None:
        columns["replay alone"] = result.control
    for column in columns:
        table.add_column(column, justify="right")
    table.add_column("change, 95%", justify="right")
    for name in result.before:
        found = (figures.get(name) for figures in columns.values())
        change = result.intervals.get(name, {}).get("change")
        within = "" if change is None else f"{change[0]:+.3g} to {change[1]:+.3g}"
        cells = ("" if each is None else f"{each:.4g}" for each in found)
        table.add_row(Text(name), *cells, within)
    console = stdout()
    console.print(table)
    if result.relearning is not None:
        curve = ", ".join(f"{step}: {p:.3g}" for step, p in result.relearning["curve"])
        console.print(Text(f"Relearning, template probability by step: {curve}"))
    for sentence in (*result.reasons, *result.notes):
        console.print(Text(on_one_line(sentence)))
    verdicts = {
        True: "Repaired",
        False: "The repair did not help; look at",
        None: "Written, but not known whether it helped",
    }
    verdict = verdicts[result.improved]
    console.print(Text(on_one_line(f"{verdict}: {result.out}")), soft_wrap=True)


def show_estimate(foreseen: Estimate) -> None:
    """Tokens, time and memory."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("training tokens", f"{foreseen.tokens:,}")
    table.add_row("steps", f"{foreseen.steps:,}")
    table.add_row("training time here", _duration(foreseen.seconds))
    for name, count in foreseen.rows.items():
        table.add_row(f"rows: {name.replace('_', ' ')}", f"{count:,}")
    for name, size in foreseen.memory.items():
        table.add_row(f"memory: {name}", f"{size / 1e6:,.0f} MB")
    table.add_row("memory: there is", f"{foreseen.available / 1e6:,.0f} MB")
    stdout().print(table)


def _duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
