"""The two files that one becomes: what is kept of it, and what is dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from synflaw_audit.writing.rows import RowSet

KEPT, DROPPED = 0, 1


@dataclass
class Counts:
    """How many rows of one file were written to the kept side, and to the dropped one."""

    kept: int = 0
    dropped: int = 0


class Sides:
    """The two sides of a file of text.

    Attributes:
        files: The kept side and the dropped one, as ``KEPT`` and ``DROPPED`` number them.
        counts: The rows that were told their side so far.
    """

    def __init__(self, kept: IO[bytes], dropped: IO[bytes], rows: RowSet) -> None:
        """Takes the files, and the rows that are dropped."""
        self.files = (kept, dropped)
        self.counts = Counts()
        self._rows = rows

    def of(self, row: int) -> int:
        """Counts a row, and tells its side."""
        if row in self._rows:
            self.counts.dropped += 1
            return DROPPED
        self.counts.kept += 1
        return KEPT

    def both(self, text: bytes) -> None:
        """Writes what both sides need."""
        for file in self.files:
            file.write(text)

    def between(self, text: bytes) -> None:
        """Writes what stands between rows, and nobody needs."""
        self.files[KEPT].write(text)
