"""What a schema of rows is: which columns hold what, and what a row says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from synflaw_audit.reading.schemas.exchange import Exchange
from synflaw_audit.reading.schemas.options import SchemaOptions


class Schema(Protocol):
    """How the rows of one file are read; a frozen dataclass, which ``str`` shows to a user.

    Each of a file's first rows votes for every reading that its fields allow; the one with the most
    votes is fitted to these rows, and reads all.
    """

    @classmethod
    def readings(cls, row: Mapping[str, object], options: SchemaOptions) -> Iterable[Schema]:
        """Every way in which this schema can read a row, as far as its fields tell.

        Args:
            row: One of the first rows, by field.
            options: What the caller says of the columns.
        """

    def fitted(self, sample: Sequence[Mapping[str, object]], options: SchemaOptions) -> Schema:
        """The reading with what only many rows tell, such as columns that some of them lack.

        Args:
            sample: The first rows.
            options: What the caller says of the columns.
        """

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read."""

    @property
    def options(self) -> Mapping[str, str]:
        """The options by which a caller chooses this reading: field of ``SchemaOptions``, column.

        ``answer`` is among them.
        """

    def records(self, row: Mapping[str, object]) -> Sequence[Exchange]:
        """What a row holds: at least one exchange, in the order of their turns.

        Raises:
            NoAnswerError: The row is whole, and nothing is answered in it that is learned.
            RowError: A field is missing, null or not what it should be.
        """
