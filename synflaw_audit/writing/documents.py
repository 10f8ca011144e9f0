"""A JSON document in two: all of its text on both sides, but for the rows that are not a side's."""

from __future__ import annotations

import codecs
import json
import re
from itertools import compress, groupby
from typing import IO, Any

from synflaw_audit.reading.containers import Stream
from synflaw_audit.reading.json_documents import Value, values_of_document
from synflaw_audit.reading.rows import Damage
from synflaw_audit.writing.edits import Editor
from synflaw_audit.writing.sides import KEPT, Sides

_SEPARATOR = re.compile(r"[ \t\r\n]*,[ \t\r\n]*")
_LEADING_COMMA = re.compile(r"[ \t\r\n]*,")
_CHUNK = 1 << 18


def split_document(name: str, stream: Stream, again: Stream, sides: Sides) -> None:
    """Copies a document to both sides.

    Where it is damaged, what stands between the rows before and after is left out, and what was not
    closed is closed.

    Args:
        name: The file's name.
        stream: The document, to find its rows in.
        again: The same, to copy from.
        sides: Where to.

    Raises:
        InputError: It is no document of rows.
    """
    text = _Text(again)
    arrays = [_Array(file) for file in sides.files]
    row, opening, damaged = 0, "", False
    # Of a second document that is an object, all rows stand in one place, and go together.
    for (start, end), found in groupby(values_of_document(name, stream), _place):
        values = [each.value for each in found]
        damages = [value for value in values if isinstance(value, Damage)]
        damaged |= any(damage.lost is None for damage in damages)
        if len(damages) == len(values):
            continue
        between = text.until(start)
        if damaged and opening:
            between = ",\n"
        elif damaged and between.lstrip().startswith("["):
            between = "[\n"
        opening = opening or between
        for array in arrays:
            array.between(between)
        rows = range(row, row + len(values) - len(damages))
        content = text.until(end)
        if len(rows) > 1 and (columns := _columns(content, len(rows))) is not None:
            kept = [sides.placed(range(n, n + 1), "", _unedited)[0] == KEPT for n in rows]
            for array, wanted in zip(arrays, (True, False), strict=True):
                array.row(_some(content, columns, [side is wanted for side in kept]))
        else:
            side, written = sides.placed(rows, content, Editor.json)
            arrays[side].row(written)
        row = rows.stop
        damaged = False
    closing = "]\n" if opening.lstrip().startswith("[") else "]}\n"
    rest = closing if damaged else text.rest()
    for array in arrays:
        array.between(rest)


def _columns(text: str, rows: int) -> dict[str, Any] | None:
    """A document that holds its columns, each a list of so many values; None if it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    columns = [column for column in value.values() if isinstance(column, list)]
    return value if columns and all(len(column) == rows for column in columns) else None


def _some(text: str, columns: dict[str, Any], wanted: list[bool]) -> str:
    """Some rows of a document that holds its columns; its own text where these are all."""
    if all(wanted):
        return text
    chosen = {
        name: list(compress(column, wanted)) if isinstance(column, list) else column
        for name, column in columns.items()
    }
    return json.dumps(chosen, ensure_ascii=text.isascii())


def _unedited(editor: Editor, row: int, text: str) -> None:
    """Answers in columns are not put back: a row of which one is to be changed is dropped."""
    editor.failed.append(row)


def _place(value: Value) -> tuple[int, int]:
    return value.start, value.end


class _Array:
    """One side of a document, in which a comma stands between two rows, and nowhere else."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._empty = True
        self._comma = ""

    def between(self, text: str) -> None:
        """Takes what stands between two rows: a comma, or what closes one list, and opens one."""
        if _SEPARATOR.fullmatch(text):
            self._comma = text
            return
        self._write(_LEADING_COMMA.sub("", text, count=1) if self._starts_late(text) else text)
        self._comma, self._empty = "", True

    def row(self, text: str) -> None:
        """Writes a row."""
        self._write(text if self._empty else self._comma + text)
        self._empty = False

    def _starts_late(self, text: str) -> bool:
        """Whether a comma follows here on no row."""
        return self._empty and bool(_LEADING_COMMA.match(text))

    def _write(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "surrogateescape"))


class _Text:
    """The text of a document, piece after piece."""

    def __init__(self, stream: Stream) -> None:
        # As the reader of documents decodes it, so that both count the same characters.
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._stream = stream
        self._text = ""
        self._at = 0  # what of it has been given
        self._passed = 0  # characters before it
        self._ended = False

    def until(self, position: int) -> str:
        """The text from where the last piece ended to a position, in characters."""
        pieces = []
        while position > self._passed + len(self._text) and not self._ended:
            pieces.append(self._text[self._at :])
            self._more()
        end = min(position - self._passed, len(self._text))
        pieces.append(self._text[self._at : end])
        self._at = end
        return "".join(pieces)

    def rest(self) -> str:
        """All that follows."""
        pieces = []
        while not self._ended:
            pieces.append(self._text[self._at :])
            self._more()
        return "".join([*pieces, self._text[self._at :]])

    def _more(self) -> None:
        self._passed += len(self._text)
        data = self._stream.read1(_CHUNK)
        self._ended = not data
        self._text, self._at = self._decode(data, final=self._ended), 0
