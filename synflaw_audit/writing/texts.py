"""JSONL, JSON and CSV in two: the text of each row is copied as it stands, and never parsed anew.

What is no row (a byte order mark, a header, the brackets around an array) goes to both sides, blank
lines to the kept one. So the kept side of a file of which every row is kept has the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import partial
from typing import IO

from synflaw_audit.reading import limits
from synflaw_audit.reading.containers import BUFFER, Stream, open_stream
from synflaw_audit.reading.csv_rows import texts_of_csv
from synflaw_audit.reading.json_values import parse_json
from synflaw_audit.reading.rows import Unreadable
from synflaw_audit.reading.text import TextFile, is_document
from synflaw_audit.writing.documents import split_document
from synflaw_audit.writing.edits import Editor
from synflaw_audit.writing.rows import RowSet
from synflaw_audit.writing.sides import Counts, Sides


def split_text(
    item: TextFile,
    kept: IO[bytes],
    dropped: IO[bytes],
    rows: RowSet,
    editor: Editor | None = None,
) -> Counts:
    """Copies each row of a file to one of two.

    Args:
        item: The file.
        kept: Gets the rows that are not dropped.
        dropped: Gets the others.
        rows: Those that are dropped.
        editor: Edits some of the others; one that it cannot edit is dropped, too.

    Returns:
        How many rows each side got. What is no row is not counted: a header goes to both sides,
        blank lines to the kept one.

    Raises:
        InputError: It cannot be opened.
        OSError: A side cannot be written.
    """
    sides = Sides(kept, dropped, rows, editor)
    with open_stream(item.name, item.path, item.encoding) as stream:
        sides.both(stream.mark)
        if item.format in ("csv", "tsv"):
            _split_csv(stream, sides, tabs=item.format == "tsv")
            return sides.counts
        document = is_document(stream, item.format)
    with open_stream(item.name, item.path, item.encoding) as stream:
        if document:
            with open_stream(item.name, item.path, item.encoding) as text:
                split_document(item.name, stream, text, sides)
        else:
            _split_lines(stream, sides)
    return sides.counts


def _split_lines(stream: Stream, sides: Sides) -> None:
    """An object a line; rows are numbered as ``reading.text`` does."""
    row = 0
    for line in iter(partial(stream.readline, limits.LONGEST_ROW + 1), b""):
        if line.isspace():
            sides.between(line)
            continue
        if not line.endswith(b"\n") and _is_cut_off(stream, line):
            break
        side = _write(sides, row, line, Editor.json)
        if len(line) > limits.LONGEST_ROW and not line.endswith(b"\n"):
            for more in iter(partial(stream.readline, BUFFER), b""):
                side.write(more)
                if more.endswith(b"\n"):
                    break
        row += 1


def _write(
    sides: Sides, row: int, data: bytes, edit: Callable[[Editor, int, str], str | None]
) -> IO[bytes]:
    """Writes a row, and tells where."""
    side, text = sides.placed(range(row, row + 1), data.decode("utf-8", "surrogateescape"), edit)
    file = sides.files[side]
    file.write(text.encode("utf-8", "surrogateescape"))
    return file


def _is_cut_off(stream: Stream, line: bytes) -> bool:
    """Whether a last line is what damage left of one."""
    if not stream.peek(1) and stream.damage:
        return len(line) <= limits.LONGEST_ROW and isinstance(parse_json(line), Unreadable)
    return False


def _split_csv(stream: Stream, sides: Sides, *, tabs: bool) -> None:
    delimiter, texts = texts_of_csv(stream, tabs=tabs)
    header: list[str] = []

    def edit(editor: Editor, row: int, text: str) -> str | None:
        return editor.csv(row, text, header, delimiter)

    for text, row, lost in texts:
        if lost or text is None:  # a row longer than any may be
            continue
        data = text.encode("utf-8", "surrogateescape")
        if row is not None:
            _write(sides, row, data, edit)
        elif not header and text.strip("\r\n"):
            header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
            sides.both(data)
        else:
            sides.between(data)
