"""What a reader of files is; what a schema of rows is stands in ``reading.schemas``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from synflaw_audit.reading.rows import Piece
from synflaw_audit.remote import FilePath


class Input(Protocol):
    """One file or table that can be read from its beginning any number of times."""

    @property
    def name(self) -> str:
        """How records and messages name it."""

    def pieces(self, columns: tuple[str, ...] | None, size: int) -> Iterator[Piece]:
        """Yields all rows in order, in tables of at most ``size`` rows or one by one.

        Args:
            columns: The columns that matter, for formats that can skip the others; None for all.
            size: Rows in a table; fewer where rows are large.

        Raises:
            InputError: It cannot be opened, or is not what its name says.
        """


@runtime_checkable
class FileInput(Input, Protocol):
    """A file; a frozen dataclass, so that it can be sent to where it is read."""

    @property
    def path(self) -> FilePath:
        """Where it is."""


class Reader(Protocol):
    """Makes an input of a file; the class of the input itself, as a rule.

    It may have an attribute ``packed``: True if the file may also be compressed, ``x.jsonl.gz`` for
    ``x.jsonl``, because it is read with ``containers.open_stream``.
    """

    def __call__(self, name: str, path: FilePath, ending: str, /) -> FileInput:
        """The file, whose name has this ending, in lower case and without its dot."""
