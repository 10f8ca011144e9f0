"""What a reader of files is, and what a schema of rows is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from synflaw_audit.reading.rows import Piece

# A turn of a conversation, from 0, its question and its answer.
Exchange: TypeAlias = tuple[int, str, str]


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
    def path(self) -> Path:
        """Where it is."""


class Reader(Protocol):
    """Makes an input of a file; the class of the input itself, as a rule.

    It may have an attribute ``packed``: True if the file may also be compressed, ``x.jsonl.gz`` for
    ``x.jsonl``, because it is read with ``containers.open_stream``.
    """

    def __call__(self, name: str, path: Path, ending: str, /) -> FileInput:
        """The file, whose name has this ending, in lower case and without its dot."""


class Schema(Protocol):
    """How the rows of one file are read; a frozen dataclass, which ``str`` shows to a user."""

    @classmethod
    def readings(
        cls, row: Mapping[str, object], question: str | None, answer: str | None
    ) -> Iterable[Schema]:
        """Every way in which this schema can read a row, as far as its fields tell.

        Each of a file's first rows votes for all of its readings, and the file is read as most
        say.

        Args:
            row: One of the first rows, by field.
            question: The question's column where the user names it; "" for none.
            answer: The answer's column where the user names it.
        """

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read."""

    def records(self, row: Mapping[str, object]) -> Sequence[Exchange]:
        """What a row holds: at least one exchange, turns from 0.

        Raises:
            RowError: A field is missing, null or not text.
        """
