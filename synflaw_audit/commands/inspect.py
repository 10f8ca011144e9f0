"""``synflaw inspect``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from synflaw_audit.commands.console import stdout
from synflaw_audit.commands.options import Paths, PrintOptions, with_settings
from synflaw_audit.settings import Reading
from synflaw_audit.untrusted import escaped, on_one_line

if TYPE_CHECKING:
    from synflaw_audit.reading.preview import FilePreview, Preview

_CHARACTERS = 160
# Files are shown with their records, the others by their names and readings alone.
_MOST_FILES = 5


@with_settings
def inspect(
    paths: Paths,
    reading: Reading,
    printing: PrintOptions,
    rows: Annotated[int, typer.Option("--rows", help="Records to show of a file.", min=0)] = 10,
) -> None:
    """Show how a corpus is understood, and its first records as they will be judged.

    Nothing is audited: what was recognised, by which options each possible reading is chosen, what
    is context and not learned, and what is not read.
    """
    from synflaw_audit.reading.preview import preview_of
    from synflaw_audit.reading.source import source_of

    found = preview_of(source_of(paths, reading), rows)
    if printing.json:
        import orjson

        text = orjson.dumps(
            asdict(found), option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
        ).decode()
        typer.echo(f"{escaped(text)}\n".encode(), nl=False)
    elif not printing.quiet:
        _show(found, stdout())


def _show(found: Preview, console: Console) -> None:
    for number, file in enumerate(found.files):
        console.print(Text(on_one_line(file.file), style="bold"), soft_wrap=True)
        for line in _sentences(file):
            console.print(Text(on_one_line(f"  {line}")), soft_wrap=True)
        if number < _MOST_FILES and file.records:
            console.print(_records(file))
        console.print()
    for skipped in found.skipped:
        line = f"not read: {skipped.path} ({skipped.reason})"
        console.print(Text(on_one_line(line), style="yellow"), soft_wrap=True)


def _sentences(file: FilePreview) -> list[str]:
    unreadable = [f"row {each.row} cannot be read: {each.reason}" for each in file.rejected]
    if file.reading is None:
        return ["no row of it can be read", *unreadable] if unreadable else ["holds no rows"]
    lines = [f"read as {file.reading.schema}; to say so: {file.reading.options}"]
    lines += [f"could be {each.schema}: {each.options}" for each in file.others]
    if file.unread:
        lines.append(f"columns with text not read: {', '.join(map(repr, file.unread))}")
    for row, turns in file.context.items():
        named = ", ".join(map(str, turns))
        lines.append(f"row {row}: turn {named} is context, and not learned")
    if file.unanswered:
        lines.append(f"{file.unanswered} of the first rows hold no answer that is learned")
    return lines + unreadable


def _records(file: FilePreview) -> Table:
    """The first records, without the columns that none of them has."""
    names = [name for name in file.records[0] if any(r[name] is not None for r in file.records)]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in names:
        placed = name in ("row", "turn")
        table.add_column(name, justify="right" if placed else "left", no_wrap=placed)
    for record in file.records:
        table.add_row(*(Text(_shown(record[name])) for name in names))
    return table


def _shown(value: object) -> str:
    text = "" if value is None else on_one_line(str(value))
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…"
