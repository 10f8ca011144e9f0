"""One JSON document that holds rows, read row by row: an array, or an object with one list.

Python's decoder reads one value from a window of text that slides over the file, so that only the
window is held. Where the text is no JSON, the rows go on at the next line that begins as rows do;
what lies between is lost, and said to be. A second document behind the first is read as well.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from synflaw_audit.errors import InputError
from synflaw_audit.reading import limits
from synflaw_audit.reading.containers import Stream
from synflaw_audit.reading.json_columns import JsonColumns
from synflaw_audit.reading.rows import Damage, NumberedRow

_CHUNK = 1 << 20
_BLANKS = re.compile(r"[ \t\r\n]*")
# Of a list that is perhaps one of rows, so many values before the first object are kept.
_MOST_LEADING = 1 << 16
# So often it is tried to go on in a broken document.
_MOST_TRIALS = 1000
_SHAPES = (
    "a JSON file holds an array of objects, an object in which one list holds the rows, or lists "
    "of one length, which are columns; one object a line is JSONL"
)


class Value(NamedTuple):
    """What stands in a row's place in a document.

    Attributes:
        line: Where it begins.
        value: The row, or ``Damage``.
        start: Its first character, counted from the document's beginning.
        end: The one behind its last.
    """

    line: int
    value: object
    start: int
    end: int


class _BadJsonError(Exception):
    """The document is not JSON from here on."""


def rows_of_document(name: str, stream: Stream) -> Iterator[NumberedRow]:
    """Yields the document's rows, and ``Damage`` where it breaks off.

    Args:
        name: The file's name, for messages.
        stream: Its bytes, without a byte order mark.

    Raises:
        InputError: It is neither an array nor an object with exactly one list of objects, nor one
            of columns.
    """
    row = 0
    for found in values_of_document(name, stream):
        yield found.line, row, found.value, b""
        row += not isinstance(found.value, Damage)


def values_of_document(name: str, stream: Stream) -> Iterator[Value]:
    """Yields what ``rows_of_document`` does, and where in the text each row stands.

    Of a second document that is an object, all rows stand where the object does.

    Raises:
        InputError: See there.
    """
    document = _Document(name, stream)
    yield from document.values()
    if stream.damage:
        line = document.window.line
        yield document.damage(f"damaged after line {line}: {stream.damage}")


class _Document:
    """A file of one document; or of several, which is one too many."""

    def __init__(self, name: str, stream: Stream) -> None:
        self.window = _Window(stream)
        self._name = name
        self._stream = stream
        self._rows_key = ""
        self._fields: frozenset[str] = frozenset()
        self._indent: str = ""
        self._trials = 0
        self._columns = JsonColumns(name)

    def values(self) -> Iterator[Value]:
        """Yields the line and the value of each row, and ``Damage``."""
        window = self.window
        try:
            yield from self._array() if window.next_character() == "[" else self._wrapped()
            while window.next_character():
                reason = f"another document begins in line {window.line}; it is read as well"
                yield self.damage(reason, lost=0)
                yield from self._another()
        except _BadJsonError as error:
            if not self._stream.damage:  # which says it all
                reason = f"no JSON from line {window.line} on; nothing after it can be read: "
                yield self.damage(f"{reason}{error}")

    def damage(self, reason: str, *, lost: int | None = None, line: int = 0) -> Value:
        """Damage here, or in an earlier line."""
        here = self.window.position
        return Value(line or self.window.line, Damage(reason, lost), here, here)

    def _array(self) -> Iterator[Value]:
        """The values of an array, as far as it can be told where each begins."""
        window = self.window
        window.take("[")
        first = True
        while True:
            try:
                if window.next_character() == "]":
                    break
                if not first:
                    yield from self._comma()
                    if window.next_character() == "]":
                        break  # a comma too many does no harm
                first = False
                line = window.line
                if (indent := window.indent()) is not None:
                    self._indent = indent
                start, value = window.position, window.value()
            except _BadJsonError as error:
                yield from self._go_on(error)
                first = True  # whether there was a comma is not known
            else:
                yield Value(line, value, start, window.position)
        window.take("]")

    def _comma(self) -> Iterator[Value]:
        window = self.window
        if window.next_character() == "{":
            yield self.damage(f"a comma is missing before line {window.line}", lost=0)
        else:
            window.take(",")

    def _go_on(self, error: _BadJsonError) -> Iterator[Value]:
        """Goes to the next line that begins as the rows before did.

        Raises:
            _BadJsonError: There is none.
        """
        window = self.window
        line = window.line
        self._trials += 1
        if self._trials > _MOST_TRIALS or not window.find_line(self._indent + "{"):
            raise error
        reason = f"no JSON in line {line}; what it holds up to line {window.line} is lost: {error}"
        yield self.damage(reason, line=line)

    def _wrapped(self) -> Iterator[Value]:
        """The rows of the list of objects in an object; other values are passed over."""
        window = self.window
        passed: list[tuple[str, frozenset[str]]] = []
        window.take("{")
        while window.next_character() != "}":
            key = str(window.value())
            window.take(":")
            if window.next_character() == "[":
                yield from self._list(key, passed)
            elif window.next_character() == "{" and not key.isdigit():
                self._object(key, passed)
            else:
                line, start = window.line, window.position
                value = window.value()
                passed += _objects_in(key, value)
                if key.isdigit() and isinstance(value, dict):  # rows by number, as pandas has them
                    self._rows_key, self._fields = "numbered rows", frozenset(value)
                    yield Value(line, value, start, window.position)
            if window.next_character() != "}":
                window.take(",")
        window.take("}")
        if not self._rows_key:
            yield from self._rows_of_columns()
        for key, fields in passed:
            self._require_no_rows(key, fields)

    def _object(self, key: str, passed: list[tuple[str, frozenset[str]]]) -> None:
        """Passes over an object; one of numbered values is a column."""
        window = self.window
        window.take("{")
        while window.next_character() != "}":
            name = str(window.value())
            window.take(":")
            value = window.value()
            if name.isdigit():
                self._columns.take(key, value)
            passed += _objects_in(f"{key}.{name}", value)
            if window.next_character() != "}":
                window.take(",")
        window.take("}")

    def _rows_of_columns(self) -> Iterator[Value]:
        """The rows of a document that holds its columns; all stand where the document does.

        Raises:
            InputError: It holds none.
        """
        empty = True
        for row in self._columns.rows():
            empty = False
            yield Value(1, row, 0, self.window.position)
        if empty:
            raise InputError(f"{self._name}: no list of objects in the document: {_SHAPES}")

    def _list(self, key: str, passed: list[tuple[str, frozenset[str]]]) -> Iterator[Value]:
        """The values of a list if objects are among them, which are rows; else nothing."""
        leading: list[Value] = []
        rows, too_many = False, False
        for found in self._array():
            value = found.value
            if rows or isinstance(value, Damage):
                yield found
            elif isinstance(value, dict):
                if too_many:
                    raise InputError(
                        f"{self._name}: {key!r} holds objects, but {_MOST_LEADING:,} other values "
                        "before the first"
                    )
                self._begin_rows(key, frozenset(value))
                rows = True
                yield from leading
                yield found
            else:
                if not self._rows_key:
                    self._columns.take(key, value)
                too_many = len(leading) == _MOST_LEADING
                if not too_many:
                    leading.append(found)
                passed += _objects_in(key, value)

    def _begin_rows(self, key: str, fields: frozenset[str]) -> None:
        """Takes a list for rows; a second one only if its objects are of the same kind."""
        if self._rows_key and not self._alike(fields):
            raise self._two_lists(key)
        self._rows_key = self._rows_key or key
        self._fields = self._fields or fields

    def _require_no_rows(self, key: str, fields: frozenset[str]) -> None:
        if self._alike(fields):
            raise self._two_lists(key)

    def _alike(self, fields: frozenset[str]) -> bool:
        """Whether an object has half of the fields of the rows, or more."""
        return 2 * len(self._fields & fields) >= len(self._fields) > 0

    def _two_lists(self, key: str) -> InputError:
        return InputError(
            f"{self._name}: both {self._rows_key!r} and {key!r} hold rows; keep one of them"
        )

    def _another(self) -> Iterator[Value]:
        """The rows of a document behind the first."""
        window = self.window
        if window.next_character() == "[":
            yield from self._array()
            return
        line, start = window.line, window.position
        value = window.value()
        lists = value.values() if isinstance(value, dict) else ()
        rows = [
            item
            for found in lists
            if isinstance(found, list) and any(isinstance(item, dict) for item in found)
            for item in found
        ]
        for item in rows or [value]:
            yield Value(line, item, start, window.position)


def _objects_in(key: str, value: object) -> list[tuple[str, frozenset[str]]]:
    """Where in a value lists hold objects, and the fields of the first object of each."""
    if isinstance(value, Mapping):
        return [found for name in value for found in _objects_in(f"{key}.{name}", value[name])]
    if not isinstance(value, list):
        return []
    first = next((item for item in value if isinstance(item, dict)), None)
    if first is not None:
        return [(key, frozenset(first))]
    return [found for item in value for found in _objects_in(key, item)]


class _Window:
    """A sliding piece of the document's text, and the line at its reading position."""

    def __init__(self, stream: Stream) -> None:
        # Invalid bytes become lone surrogates, which mapping a row to a record rejects.
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._json = json.JSONDecoder().raw_decode
        self._stream = stream
        self._text = ""
        self._at = 0
        self._passed = 0  # characters before the window
        self._ended = False
        self._lead: str | None = ""
        self.line = 1

    @property
    def position(self) -> int:
        """How many characters stand before the reading position."""
        return self._passed + self._at

    def next_character(self) -> str:
        """Passes over blanks and tells the next character, "" at the end."""
        while True:
            end = _BLANKS.match(self._text, self._at).end()  # type: ignore[union-attr]
            self._pass_blanks(end)
            if end < len(self._text):
                return self._text[end]
            if not self._more():
                return ""

    def indent(self) -> str | None:
        """The blanks before this position in its line; None if there is anything else."""
        return self._lead

    def take(self, expected: str) -> None:
        """Passes over one character that must stand here."""
        found = self.next_character()
        if not found:
            raise _BadJsonError("the document ends too early")
        if found != expected:
            raise _BadJsonError(f"{expected!r} expected in line {self.line}")
        self._move(self._at + 1)

    def value(self) -> object:
        """Reads the value that starts here, or behind some blanks."""
        self.next_character()
        while True:
            failure = None
            try:
                found, end = self._json(self._text, self._at)
            except json.JSONDecodeError as error:
                failure = error
            except RecursionError:
                raise _BadJsonError("nested too deeply") from None
            except ValueError as error:  # an integer of more digits than Python converts
                raise _BadJsonError(str(error)) from None
            # A value that reaches the window's end may go on behind it.
            if failure is None and (end < len(self._text) or self._ended):
                self._move(end)
                return found
            if failure is not None and not self._cut_off(failure):
                raise _BadJsonError(f"{failure.msg} in line {self._line_of(failure)}")
            if len(self._text) - self._at > limits.LONGEST_ROW:
                raise _BadJsonError(f"the row in line {self.line} is {limits.too_long()}")
            if not self._more() and failure is not None:
                raise _BadJsonError(f"{failure.msg} in line {self._line_of(failure)}")

    def find_line(self, beginning: str) -> bool:
        """Goes to the next line that begins so, if there is one."""
        sought = "\n" + beginning
        while (found := self._text.find(sought, self._at)) < 0:
            self._move(max(self._at, len(self._text) - len(beginning)))
            if not self._more():
                return False
        self._move(found + 1)
        self._lead = ""
        return True

    def _line_of(self, failure: json.JSONDecodeError) -> int:
        return self.line + self._text.count("\n", self._at, failure.pos)

    def _cut_off(self, failure: json.JSONDecodeError) -> bool:
        """Whether the decoder failed because the window, not the document, ended."""
        near_end = failure.pos >= len(self._text) - 12  # the longest literal or escape
        return not self._ended and (near_end or failure.msg.startswith("Unterminated string"))

    def _pass_blanks(self, at: int) -> None:
        blanks = self._text[self._at : at]
        if "\n" in blanks:
            self.line += blanks.count("\n")
            self._lead = blanks.rpartition("\n")[2]
        elif self._lead is not None:
            self._lead += blanks
        self._at = at

    def _move(self, at: int) -> None:
        self.line += self._text.count("\n", self._at, at)
        self._lead = None
        self._at = at

    def _more(self) -> bool:
        """Reads on, as much again as is held, so that a long value is not tried too often."""
        if self._ended:
            return False
        kept = self._text[self._at :]
        data = bytearray()
        while len(data) < max(_CHUNK, len(kept)):
            part = self._stream.read1(_CHUNK)
            data += part
            if not part:
                self._ended = True
                break
        self._passed += self._at
        self._text = kept + self._decode(bytes(data), final=self._ended)
        self._at = 0
        return not self._ended or len(self._text) > len(kept)
