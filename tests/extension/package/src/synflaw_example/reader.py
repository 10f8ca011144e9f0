"""A reader of query strings, such as ``question=Why%3F&answer=Rain``, one a line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl

from synflaw_audit.reading import limits
from synflaw_audit.reading.containers import open_stream
from synflaw_audit.reading.rows import Damage, NumberedRow, Unreadable


@dataclass(frozen=True)
class QueryFile:
    """A file with the ending ``.query``, possibly packed."""

    packed: ClassVar[bool] = True

    name: str
    path: Path
    format: str

    def pieces(self, columns: tuple[str, ...] | None, size: int) -> Iterator[Iterator[NumberedRow]]:
        """Yields all rows in order."""
        yield self._rows()

    def _rows(self) -> Iterator[NumberedRow]:
        row = 0
        with open_stream(self.name, self.path) as stream:
            for line in iter(partial(stream.readline, limits.LONGEST_ROW), b""):
                yield row + 1, row, _parsed(line), line
                row += 1
            if stream.damage:
                yield row, row, Damage(f"damaged after line {row}: {stream.damage}"), b""


def _parsed(line: bytes) -> object:
    try:
        text = line.decode().rstrip("\n")
        return dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True))
    except ValueError as error:
        return Unreadable(f"no query string: {error}")
