r"""Which words of an answer are a format that somebody intends.

A format is a pattern in the report's own notation (``Answer: <*>``), a JSON Schema (an answer that
it describes is taken as ``json`` is, no other is), or one of the built-in kinds:

- ``json``: an answer that is JSON as a whole; its texts are content, but for those that are no more
  than a label, such as ``"ok"``,
- ``code-fence``: the lines that fence code; the code is content,
- ``code``: the reserved words and marks of programs, bare or fenced; names, numbers, texts and
  comments are content,
- ``reasoning``: the tags around reasoning, such as ``<think>``; the reasoning is content,
- ``boxed``: ``\boxed{`` and its brace,
- ``table``: the bars and rules of Markdown tables,
- ``citation``: references such as ``[1]``,
- ``list``: the bullets and numbers of list items,
- ``heading``: the marks of Markdown headings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from synflaw_audit.allowed.code import code_ranges
from synflaw_audit.allowed.json_schema import read_schema, validating
from synflaw_audit.errors import CatalogueError

# A text of fewer words and no more bytes is a label, as ``sample.sketch`` has it for whole answers.
LABEL_WORDS, LABEL_BYTES = 3, 32

SLOT = "<*>"
Range = tuple[int, int]
Finder = Callable[[str], list[Range]]

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n`]*$", re.MULTILINE)
_REASONING = re.compile(
    r"</?(?:think|thinking|thought|reasoning|reflection|scratchpad)>"
    r"|<\|(?:begin|end)_of_(?:thought|solution)\|>",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\f?boxed\s*\{")
_BRACE = re.compile(r"[{}]")
_RULE = re.compile(r"^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*$")
_CITATION = re.compile(r"\[\^?\d{1,3}(?:\s*[,;\u2013-]\s*\d{1,3})*\]|\u3010[^\u3011\n]{1,40}\u3011")
_ITEM = re.compile(r"^[ \t]*(?:\d{1,3}[.)]|[-*+\u2022])(?=[ \t])", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*#{1,6}(?=[ \t])", re.MULTILINE)
_JSON_TEXT = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"(?P<key>\s*:)?')
_TOKEN = re.compile(r"\w+|[^\w\s]")


def _matches(pattern: re.Pattern[str]) -> Finder:
    return lambda text: [found.span() for found in pattern.finditer(text)]


def _boxed(text: str) -> list[Range]:
    """Each opening of a box and the brace that closes it."""
    boxes = {found.end() - 1: found.span() for found in _BOXED.finditer(text)}
    ranges: list[Range] = []
    opened: list[int] = []
    for brace in _BRACE.finditer(text) if boxes else ():
        at = brace.start()
        if brace.group() == "{":
            opened.append(at)
        elif opened and (box := boxes.get(opened.pop())):
            ranges += [box, (at, at + 1)]
    return sorted(ranges)


def _table(text: str) -> list[Range]:
    """The rules of tables, and the bars of the rows above and below them."""
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    rows: set[int] = set()
    ranges: list[Range] = []
    for number, line in enumerate(lines):
        if "|" in line and _RULE.match(line) and number and "|" in lines[number - 1]:
            ranges.append((starts[number], starts[number] + len(line)))
            rows.add(number - 1)
            below = number + 1
            while below < len(lines) and "|" in lines[below]:
                rows.add(below)
                below += 1
    for number in rows:
        bars = (at for at, character in enumerate(lines[number]) if character == "|")
        ranges += [(starts[number] + at, starts[number] + at + 1) for at in bars]
    return sorted(ranges)


def _json(text: str) -> list[Range]:
    """All of an answer that is JSON but its texts, those left out that are no more than a label."""
    return [] if _value(text) is None else _around_texts(text)


def _after(schema: Mapping[str, Any]) -> Finder:
    """The same of an answer that a JSON Schema describes; nothing of any other."""
    is_valid = validating(schema)

    def find(text: str) -> list[Range]:
        value = _value(text)
        return _around_texts(text) if value is not None and is_valid(value) else []

    return find


def _value(text: str) -> object:
    """The object or list that an answer is as a whole; None if it is none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _around_texts(text: str) -> list[Range]:
    values = [
        found.span("text")
        for found in _JSON_TEXT.finditer(text)
        if found["key"] is None and not _is_label(found["text"])
    ]
    ends = [0, *(end for _, end in values)]
    starts = [*(start for start, _ in values), len(text)]
    return [(a, b) for a, b in zip(ends, starts, strict=True) if a < b]


def _is_label(value: str) -> bool:
    return len(value.encode()) <= LABEL_BYTES and value.count(" ") < LABEL_WORDS


KINDS: Mapping[str, Finder] = MappingProxyType(
    {
        "json": _json,
        "code-fence": _matches(_FENCE),
        "code": code_ranges,
        "reasoning": _matches(_REASONING),
        "boxed": _boxed,
        "table": _table,
        "citation": _matches(_CITATION),
        "list": _matches(_ITEM),
        "heading": _matches(_HEADING),
    }
)


@dataclass(frozen=True)
class Allow:
    """A format that is intended; exactly one of ``pattern``, ``kind`` and ``schema``.

    Attributes:
        reason: Why it is, in words.
        pattern: Its words, with ``<*>`` for what differs from row to row, as the report shows them.
        kind: One of ``KINDS``.
        schema: A JSON Schema that the answers follow, or the path of one, see ``read``. Answers
            that are JSON and do not follow it do not have the format.

    Raises:
        CatalogueError: It says none of them or several, an unknown kind, no words, what is no JSON
            Schema, or no reason.
    """

    reason: str
    pattern: str | None = None
    kind: str | None = None
    schema: dict[str, Any] | str | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        if sum(said is not None for said in (self.pattern, self.kind, self.schema)) != 1:
            raise CatalogueError("an allowed format needs one of a pattern, a kind and a schema")
        if not self.reason.strip():
            raise CatalogueError(f"allowed format {self.name!r}: say why in its reason")
        if self.kind is not None and self.kind not in KINDS:
            choices = ", ".join(KINDS)
            raise CatalogueError(f"unknown kind of format {self.kind!r}; choices: {choices}")
        if self.pattern is not None and not _TOKEN.search(self.pattern.replace(SLOT, "")):
            raise CatalogueError(f"the pattern {self.pattern!r} has no words of its own")
        if isinstance(self.schema, dict):
            validating(self.schema)

    @property
    def name(self) -> str:
        """What the report calls it."""
        if isinstance(self.schema, dict):
            return str(self.schema.get("title", "a JSON Schema"))
        return str(self.pattern or self.kind or self.schema)

    def read(self, folder: Path = Path()) -> Allow:
        """The format with its schema in place of its path, which a relative one is in a folder.

        So it can be sent to where the file is not.

        Raises:
            CatalogueError: The file cannot be read, or holds no JSON Schema.
        """
        if not isinstance(self.schema, str):
            return self
        return replace(self, schema=read_schema(folder / self.schema))

    def ranges(self, text: str) -> list[Range]:
        """The characters of a text that are the format, in order; none if it does not have it."""
        return self._find(text)

    @cached_property
    def _find(self) -> Finder:
        if isinstance(self.schema, str):
            return self.read()._find
        if self.schema is not None:
            return _after(self.schema)
        return KINDS[self.kind] if self.kind is not None else _worded(str(self.pattern))

    def __getstate__(self) -> dict[str, object]:
        # What finds it is made anew where it is needed: a function cannot be sent.
        return {name: value for name, value in vars(self).items() if name != "_find"}


def _worded(pattern: str) -> Finder:
    """Finds the words of a pattern, in their order; all of them, or none."""
    pieces = [list(_escaped(piece)) for piece in pattern.split(SLOT)]
    opens, closes = bool(pieces[0]), bool(pieces[-1])
    wanted = [re.compile(r"\s*".join(words), re.IGNORECASE) for words in pieces if words]
    first = re.compile(r"\W*?" + wanted[0].pattern, re.IGNORECASE)
    last = re.compile(wanted[-1].pattern + r"(?P<rest>[\s.!?\u3002\uff01\uff1f]*)$", re.IGNORECASE)

    def find(text: str) -> list[Range]:
        ranges: list[Range] = []
        position = 0
        for number, words in enumerate(wanted):
            if number == len(wanted) - 1 and closes:
                found = next((m for m in last.finditer(text, position)), None)
                span = None if found is None else (found.start(), found.start("rest"))
            elif number == 0 and opens:
                found = first.match(text)
                span = None if found is None else found.span()
            else:
                found = words.search(text, position)
                span = None if found is None else found.span()
            if span is None or (number == 0 and opens and text[: span[0]].strip()):
                return []
            if number == 0 and opens and closes and len(wanted) == 1 and span[0] > 0:
                return []
            ranges.append(span)
            position = span[1]
        return ranges

    return find


def _escaped(piece: str) -> Iterator[str]:
    """The tokens of a piece, the outer ones as whole words."""
    tokens = _TOKEN.findall(piece)
    for number, token in enumerate(tokens):
        before = r"(?<!\w)" if number == 0 and token[0].isalnum() else ""
        after = r"(?!\w)" if number == len(tokens) - 1 and token[-1].isalnum() else ""
        yield before + re.escape(token) + after
