"""A schema: a row is one text, the question and the answer with an arrow between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from synflaw_audit.reading.rows import RowError
from synflaw_audit.reading.schemas import Exchange, SchemaOptions

ARROW = " => "


@dataclass(frozen=True)
class Arrowed:
    """A column whose text holds both."""

    column: str

    @classmethod
    def readings(cls, row: Mapping[str, object], options: SchemaOptions) -> Iterator[Arrowed]:
        """Every column with an arrow in its text; columns that are named are not for it."""
        if not options.named:
            for name, value in row.items():
                if isinstance(value, str) and ARROW in value:
                    yield cls(name)

    def fitted(self, sample: Sequence[Mapping[str, object]], options: SchemaOptions) -> Arrowed:
        """There is nothing that one row does not tell."""
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read."""
        return (self.column,)

    @property
    def options(self) -> dict[str, str]:
        """The column that would be named."""
        return {"answer": self.column}

    def __str__(self) -> str:
        return f"{self.column} (with an arrow)"

    def records(self, row: Mapping[str, object]) -> list[Exchange]:
        """The row's question and answer."""
        text = row.get(self.column)
        if not isinstance(text, str) or ARROW not in text:
            raise RowError(f"{self.column} holds no arrow")
        question, _, answer = text.partition(ARROW)
        return [Exchange(0, question, answer)]
