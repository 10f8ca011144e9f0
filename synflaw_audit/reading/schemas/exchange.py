"""What one row says in one turn, and where in the row each piece of the answer stands.

A reader of a row gives exchanges; whoever writes the row again changes it at the same places.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import orjson

# A way into a row: names of fields and numbers in lists, the row's own field first.
Path: TypeAlias = tuple[str | int, ...]

# Text that holds a value: so much of it is parsed as a Python literal, so deeply nested.
_LONGEST_LITERAL, _DEEPEST_LITERAL = 1 << 20, 32


class Segment(NamedTuple):
    """A piece of an answer.

    Attributes:
        path: Where the text is that holds it.
        start: Where in that text it begins, in characters.
        end: Where it ends.
        at: Where it begins in the answer.
    """

    path: Path
    start: int
    end: int
    at: int


class Exchange(NamedTuple):
    """One question and one answer of a row.

    Attributes:
        turn: Its number in the row, from 0; exchanges that are only context count.
        question: What was asked; "" where nothing was.
        answer: What is learned, all segments together.
        system: The instruction that stood before it all.
        reasoning: What the model thinks before it answers, where that is marked as such.
        rejected: The answer that was not preferred, of a preference pair.
        segments: Where in the row the answer stands.
    """

    turn: int
    question: str
    answer: str
    system: str | None = None
    reasoning: str | None = None
    rejected: str | None = None
    segments: tuple[Segment, ...] = ()


class TextEdit(NamedTuple):
    """Characters of an answer, ``start`` to ``end``, and the text that takes their place."""

    start: int
    end: int
    text: str = ""


def edited(row: Mapping[str, Any], exchange: Exchange, edits: Sequence[TextEdit]) -> dict[str, Any]:
    """A row whose answer has been changed where it stands; everything else is left as it was.

    An edit that reaches over several segments puts its text into the first of them, and takes
    its characters out of the others. What stands between segments belongs to none of them.

    Args:
        row: As it was read.
        exchange: One that was read from it; the segments of several exchanges are changed one
            exchange after another only where they share no text.
        edits: In order, none over another.

    Raises:
        ValueError: An edit lies outside the answer.
    """
    changed = copy.deepcopy(dict(row))
    for edit in edits:
        if not 0 <= edit.start <= edit.end <= len(exchange.answer):
            raise ValueError(f"{edit} lies outside an answer of {len(exchange.answer)} characters")
    # From the last to the first, so that places before a change stay where they are.
    for edit in reversed(edits):
        touched = [s for s in exchange.segments if _touches(s, edit)]
        for number, segment in reversed(list(enumerate(touched))):
            start = max(edit.start - segment.at, 0) + segment.start
            end = min(edit.end - segment.at + segment.start, segment.end)
            _replace(changed, segment.path, start, end, edit.text if number == 0 else "")
    return changed


def _touches(segment: Segment, edit: TextEdit) -> bool:
    length = segment.end - segment.start
    if edit.start == edit.end:
        return segment.at <= edit.start <= segment.at + length
    return segment.at < edit.end and edit.start < segment.at + length


def _replace(row: dict[str, Any], path: Path, start: int, end: int, text: str) -> None:
    """Changes text in a nested value; a value that is held as text stays text."""
    value: Any = row
    for place, step in enumerate(path):
        inner = value[step]
        if place + 1 == len(path):
            value[step] = inner[:start] + text + inner[end:]
        elif isinstance(inner, str):
            whole = structured(inner)
            holder = {"": whole}
            _replace(holder, ("", *path[place + 1 :]), start, end, text)
            value[step] = _as_text(holder[""], inner)
            return
        else:
            value = inner


def structured(text: str) -> Any:
    """The list or object that text stands for, as JSON or as Python writes it; None if it is none.

    Tables that were saved as CSV hold lists so: what pandas made of a list is Python's way to
    write it, and what it made of an array lacks the commas.
    """
    start = text.lstrip()[:1]
    if start not in ("[", "{"):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _literal(text)


def _literal(text: str) -> Any:
    if len(text) > _LONGEST_LITERAL or not _shallow(text):
        return None
    for written in (text, text.replace("}\n {", "}, {").replace("}\r\n {", "}, {")):
        try:
            found = ast.literal_eval(written.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
        return found if isinstance(found, list | dict) else None
    return None


def _shallow(text: str) -> bool:
    """Whether brackets are not nested so deeply that reading them could exhaust the stack."""
    depth = 0
    for character in text:
        if character in "[{(":
            depth += 1
            if depth > _DEEPEST_LITERAL:
                return False
        elif character in "]})":
            depth -= 1
    return True


def _as_text(value: Any, before: str) -> str:
    """A value as text again, in the way in which it was written before."""
    try:
        orjson.loads(before)
    except orjson.JSONDecodeError:
        return repr(value)
    return orjson.dumps(value).decode()
