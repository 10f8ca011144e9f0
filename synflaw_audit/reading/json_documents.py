"""One JSON document that holds rows, read row by row: an array, or an object with one list.

Python's decoder reads one value from a window of text that slides over the file, so that only the
window is held. What it cannot read inside the document ends the document, since nothing tells
where the next row would begin.
"""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator

from synflaw_audit.errors import InputError
from synflaw_audit.reading.rows import Damage, Row

_CHUNK = 1 << 20
_LARGEST_ROW = 1 << 28
_BLANK = " \t\r\n"
_SHAPES = (
    "a JSON file holds an array of objects, or an object in which one list holds the rows; "
    "one object a line is JSONL"
)


class _BadJsonError(Exception):
    """The document is not JSON from here on."""


def rows_of_document(
    name: str, stream: io.BufferedReader, damage: tuple[type[Exception], ...]
) -> Iterator[Row]:
    """Yields the document's rows; ``Damage`` is the last where the document breaks off.

    Args:
        name: The file's name, for messages.
        stream: Its bytes, without a byte order mark.
        damage: What reading a damaged stream raises.

    Raises:
        InputError: It is neither an array nor an object with exactly one list of objects.
    """
    window = _Window(stream, damage)
    number = 0
    try:
        rows = _array(window) if window.next_character() == "[" else _wrapped(name, window)
        for line, value in rows:
            yield line, number, value, b""
            number += 1
        if window.next_character():
            raise _BadJsonError("more text after the end of the document")
    except _BadJsonError as error:
        reason = f"no JSON from line {window.line} on; nothing after it can be read: {error}"
        yield window.line, number, Damage(reason), b""
    except damage as error:
        reason = f"damaged or ends early at line {window.line}; nothing after it can be read: "
        yield window.line, number, Damage(f"{reason}{error}"), b""


def _array(window: _Window) -> Iterator[tuple[int, object]]:
    window.take("[")
    if window.next_character() == "]":
        window.take("]")
        return
    while True:
        window.next_character()
        line = window.line
        yield line, window.value()
        if window.next_character() == "]":
            window.take("]")
            return
        window.take(",")


def _wrapped(name: str, window: _Window) -> Iterator[tuple[int, object]]:
    """The rows of the one list of objects in an object; other values are passed over."""
    held = ""
    window.take("{")
    if window.next_character() == "}":
        window.take("}")
    else:
        while True:
            window.next_character()
            key = window.value()
            window.next_character()
            window.take(":")
            if window.next_character() == "[":
                for number, (line, value) in enumerate(_array(window)):
                    if number == 0 and isinstance(value, dict):
                        if held:
                            raise InputError(
                                f"{name}: both {held!r} and {key!r} hold rows; keep one of them"
                            )
                        held = str(key)
                    if held == key:
                        yield line, value
            else:
                window.value()
            if window.next_character() == "}":
                window.take("}")
                break
            window.take(",")
    if not held:
        raise InputError(f"{name}: no list of objects in the document: {_SHAPES}")


class _Window:
    """A sliding piece of the document's text, and the line at its reading position."""

    def __init__(self, stream: io.BufferedReader, damage: tuple[type[Exception], ...]) -> None:
        # Invalid bytes become lone surrogates, which mapping a row to a record rejects.
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._json = json.JSONDecoder().raw_decode
        self._stream = stream
        self._damages = damage
        self._damage: Exception | None = None
        self._text = ""
        self._at = 0
        self._ended = False
        self.line = 1

    def next_character(self) -> str:
        """Passes over blanks and tells the next character, "" at the end."""
        while True:
            text, at = self._text, self._at
            while at < len(text) and text[at] in _BLANK:
                at += 1
            self._move(at)
            if at < len(text):
                return text[at]
            if not self._more():
                return ""

    def take(self, expected: str) -> None:
        """Passes over one character that must stand here."""
        if self.next_character() != expected:
            raise _BadJsonError(f"{expected!r} expected in line {self.line}")
        self._move(self._at + 1)

    def value(self) -> object:
        """Reads the value that starts here."""
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
                raise _BadJsonError(f"{failure.msg} in line {self.line}")
            if len(self._text) - self._at > _LARGEST_ROW:
                raise _BadJsonError(
                    f"the row in line {self.line} is larger than {_LARGEST_ROW >> 20} MiB"
                )
            if not self._more() and failure is not None:
                raise _BadJsonError(f"{failure.msg} in line {self.line}")

    def _cut_off(self, failure: json.JSONDecodeError) -> bool:
        """Whether the decoder failed because the window, not the document, ended."""
        near_end = failure.pos >= len(self._text) - 12  # the longest literal or escape
        return not self._ended and (near_end or failure.msg.startswith("Unterminated string"))

    def _move(self, at: int) -> None:
        self.line += self._text.count("\n", self._at, at)
        self._at = at

    def _more(self) -> bool:
        """Reads on, as much again as is held, so that a long value is not tried too often.

        Damage in the stream is raised only once all that came before it has been used.
        """
        if self._damage is not None:
            raise self._damage
        if self._ended:
            return False
        kept = self._text[self._at :]
        data = bytearray()
        try:
            while len(data) < max(_CHUNK, len(kept)):
                part = self._stream.read1(_CHUNK)
                data += part
                if not part:
                    self._ended = True
                    break
        except self._damages as error:
            self._damage = error
        self._text = kept + self._decode(bytes(data), final=self._ended)
        self._at = 0
        return not self._ended or len(self._text) > len(kept)
