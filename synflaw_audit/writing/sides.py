"""The two files that one becomes: what is kept of it, and what is dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from synflaw_audit.writing.edits import Editor
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

    def __init__(
        self, kept: IO[bytes], dropped: IO[bytes], rows: RowSet, editor: Editor | None = None
    ) -> None:
        """Takes the files, the rows that are dropped, and what edits the others."""
        self.files = (kept, dropped)
        self.counts = Counts()
        self._rows = rows
        self._editor = editor

    def placed(
        self, rows: range, text: str, edit: Callable[[Editor, int, str], str | None]
    ) -> tuple[int, str]:
        """Counts the rows that a text holds, which go together, and tells their side.

        Args:
            rows: Their numbers.
            text: As it stands in the file.
            edit: How an editor changes the text of one row in this format.

        Returns:
            The side, and the text, edited if it is kept.
        """
        dropped = any(row in self._rows for row in rows)
        if not dropped and self._editor is not None:
            for row in rows:
                if self._editor.of(row):
                    edited = edit(self._editor, row, text)
                    dropped, text = edited is None, text if edited is None else edited
        self.counts.dropped += len(rows) * dropped
        self.counts.kept += len(rows) * (not dropped)
        return (DROPPED if dropped else KEPT), text

    def both(self, text: bytes) -> None:
        """Writes what both sides need."""
        for file in self.files:
            file.write(text)

    def between(self, text: bytes) -> None:
        """Writes what stands between rows, and nobody needs."""
        self.files[KEPT].write(text)
