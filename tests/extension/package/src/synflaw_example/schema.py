"""A schema: a row is one text, the question and the answer with an arrow between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from synflaw_audit.reading.rows import RowError

ARROW = " => "


@dataclass(frozen=True)
class Arrowed:
    """A column whose text holds both."""

    column: str

    @classmethod
    def readings(
        cls, row: Mapping[str, object], question: str | None, answer: str | None
    ) -> Iterator[Arrowed]:
        """Every column with an arrow in its text; columns that are named are not for it."""
        if question is None and answer is None:
            for name, value in row.items():
                if isinstance(value, str) and ARROW in value:
                    yield cls(name)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read."""
        return (self.column,)

    def __str__(self) -> str:
        return f"{self.column} (with an arrow)"

    def records(self, row: Mapping[str, object]) -> list[tuple[int, str, str]]:
        """The row's (turn, question, answer)."""
        text = row.get(self.column)
        if not isinstance(text, str) or ARROW not in text:
            raise RowError(f"{self.column} holds no arrow")
        question, _, answer = text.partition(ARROW)
        return [(0, question, answer)]
