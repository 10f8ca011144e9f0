"""The results of ``throughput.py`` as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from growth import exponent, growth, steps

if TYPE_CHECKING:
    from throughput import Measured, Results

EXPLAINED = """\
An audit is the whole command, from starting Python to the last file written. CPU seconds are user
and system time of all its processes and threads; MB are 10^6 bytes. "Text" is the UTF-8 bytes of
questions and answers. The floor is CPU seconds of one thread that parses all lines of the JSONL
file with orjson, splits questions and answers with the regular expression `\\w+`, and compresses
them with zstd at level 3; without starting Python and the imports. It ran before and after each
audit; the median counts.
"""


def render(results: Results) -> str:
    first = (
        f"An audit of 1,000 rows before all others, not counted, took {results.first:.1f} CPU s: "
        "after an installation, the first one compiles code that later ones find on disk."
    )
    parts = ["# What an audit costs", results.heading, EXPLAINED, first, "## Audits"]
    parts.append(table(AUDITS, map(audit_cells, results.audits)))
    generated = [each for each in results.audits if each.generated]
    for name in dict.fromkeys(each.name for each in generated):
        lines = list(grown([each for each in generated if each.name == name]))
        if lines:
            parts += [f"## Growth: {name}", "\n".join(lines)]
    if results.compared:
        parts += ["## The audit and its peers, on the same rows", *compared(results)]
    parts += ["## Seconds by stage and by measure", stages(results.audits)]
    parts += ["## The floor, and what the corpora are like", floors(results.audits)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def table(columns: Sequence[str], rows: Any) -> str:
    """Markdown; the first column to the left, the others to the right."""
    head = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in rows)])


AUDITS = (
    "corpus",
    "rows",
    "text MB",
    "CPU s",
    "wall s",
    "peak MB",
    "rows / CPU s",
    "rows / s",
    "text MB / s",
    "floor, CPU s",
    "audit / floor",
)


def audit_cells(each: Measured) -> list[str]:
    cost, megabytes = each.cost, each.floor["text_bytes"] / 1e6
    return [
        each.name,
        f"{each.rows:,}",
        f"{megabytes:,.1f}",
        f"{cost.cpu:.1f}",
        f"{cost.wall:.1f}",
        f"{cost.peak:.0f}",
        f"{each.rows / cost.cpu:,.0f}",
        f"{each.rows / cost.wall:,.0f}",
        f"{megabytes / cost.wall:.1f}",
        f"{each.floor['cpu']:.2f}",
        f"{cost.cpu / each.floor['cpu']:.1f}",
    ]


def grown(audits: list[Measured]) -> Iterator[str]:
    """How CPU and memory grow with the rows, as list items; nothing for a single size."""
    if len(audits) < 2:
        return
    rows = [each.rows for each in audits]
    seconds = [each.cost.cpu for each in audits]
    between = ", ".join(
        f"{power:.3f} up to {size:,}"
        for power, size in zip(steps(rows, seconds), rows[1:], strict=True)
    )
    yield (
        f"- CPU seconds grow with the rows to the power {exponent(rows, seconds):.3f} (least "
        f"squares of the logarithms, {rows[0]:,} to {rows[-1]:,} rows); from each size to the "
        f"next: {between}."
    )
    if len(rows) >= 4:
        fit = growth(rows, seconds)
        yield (
            "- Fixed cost and the rest apart (seconds = fixed + scale x rows^power, fitted): fixed "
            f"{fit.fixed:.2f} s; the part beyond it grows to the power {fit.exponent:.3f}."
        )
    else:
        yield "- Fixed cost and the rest apart: not fitted, that takes four sizes or more."
    last, before = audits[-1].cost.peak, audits[-2].cost.peak
    yield f"- Peak memory at {rows[-1]:,} rows is {last / before:.2f} times that at {rows[-2]:,}."


def compared(results: Results) -> Iterator[str]:
    ours = results.compared
    if ours is None:
        return
    yield (
        f"{ours.name}: {ours.rows:,} rows. A peer's seconds are its work alone, without starting "
        "Python, importing and reading; ours are the whole command. Peak memory is the whole "
        "process's, with its imports."
    )
    columns = ("what", "rows", "CPU s", "wall s", "peak MB", "rows / CPU s", "audit / peer, CPU")
    lines = [peer_cells("**synflaw audit, everything**", ours.rows, ours.cost, ours)]
    notes = []
    for name, found in results.peers.items():
        if isinstance(found, str):
            notes.append(f"- {name} did not run: `{found}`")
            continue
        label = f"{found['did'].rstrip('.')} ({found['version']})"
        lines.append(peer_cells(label, found["rows"], found, ours))
    floor = {"cpu": ours.floor["cpu"], "wall": None, "peak": None}
    lines.append(peer_cells("the floor", ours.rows, floor, ours))
    yield table(columns, lines)
    both = [results.peers.get(f"diversity-{part}") for part in ("gzip", "ngrams")]
    if all(isinstance(found, dict) for found in both):
        total = sum(found["cpu"] for found in both if isinstance(found, dict))
        notes.append(
            f"- diversity's gzip and n-gram scores together: {total:.1f} CPU s; the whole audit "
            f"takes {ours.cost.cpu / total:.2f} of that."
        )
    if notes:
        yield "\n".join(notes)


def peer_cells(label: str, rows: int, cost: Any, ours: Measured) -> list[str]:
    """``cost`` has cpu, wall and peak, as attributes or as keys; the last two may be None."""
    held = cost if isinstance(cost, dict) else vars(cost)
    cpu, wall, peak = (held[name] for name in ("cpu", "wall", "peak"))
    same = rows == ours.rows
    return [
        label,
        f"{rows:,}",
        f"{cpu:.2f}",
        "" if wall is None else f"{wall:.1f}",
        "" if peak is None else f"{peak:.0f}",
        f"{rows / cpu:,.0f}",
        f"{ours.cost.cpu / cpu:.2f}" if same else "fewer rows",
    ]


def stages(audits: list[Measured]) -> str:
    """Wall-clock seconds, as the report states them: stages first, the costliest measure first."""
    names = dict.fromkeys(name for each in audits for name in each.seconds)
    last = audits[-1].seconds
    whole = [name for name in names if "." not in name]
    parts = sorted((n for n in names if "." in n), key=lambda n: -last.get(n, 0.0))
    columns = ["wall s, from report.json", *(f"{e.name}, {e.rows:,}" for e in audits)]
    cells = (
        [name, *(f"{e.seconds[name]:.2f}" if name in e.seconds else "" for e in audits)]
        for name in (*whole, *parts)
    )
    return table(columns, cells)


def floors(audits: list[Measured]) -> str:
    columns = (
        "corpus",
        "rows",
        "parse",
        "split",
        "compress",
        "all runs, CPU s",
        "words a row",
        "bytes a word",
        "zstd-3 ratio",
    )
    lines = []
    for each in audits:
        floor = each.floor
        lines.append(
            [
                each.name,
                f"{each.rows:,}",
                *(f"{floor[part]:.2f}" for part in ("parse", "split", "compress")),
                ", ".join(f"{seconds:.2f}" for seconds in each.floors),
                f"{floor['words'] / each.rows:.1f}",
                f"{floor['text_bytes'] / floor['words']:.2f}",
                f"{floor['text_bytes'] / floor['compressed_bytes']:.2f}",
            ]
        )
    return table(columns, lines)
