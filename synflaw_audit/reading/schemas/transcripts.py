"""Rows that hold a chat which has been rendered into one text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from synflaw_audit.reading.rows import Fields, RowError
from synflaw_audit.reading.schemas.exchange import Exchange
from synflaw_audit.reading.schemas.messages import exchanges_of, learned
from synflaw_audit.reading.schemas.options import SchemaOptions
from synflaw_audit.reading.schemas.rendered import format_of, parsed
from synflaw_audit.reading.schemas.values import present, text_of
from synflaw_audit.reading.schemas.vocabulary import ANSWERS, QUESTIONS, REJECTED, all_named, named


@dataclass(frozen=True)
class Transcript:
    """A row is a chat in one text, with the marks of a chat template between the turns.

    Attributes:
        column: That holds it.
        format: The chat template's name, by the first row.
    """

    column: str
    format: str

    @classmethod
    def readings(cls, row: Fields, options: SchemaOptions) -> Iterator[Transcript]:
        """See ``Schema.readings``; any column of text that begins as such a chat does."""
        if options.question is not None or options.rejected is not None:
            return
        if options.answer is None and named(row, REJECTED) is None:
            pair = {*all_named(row, QUESTIONS), *all_named(row, ANSWERS)}
            names = [n for n in row if n not in pair or len(pair) == 1]
        else:
            names = [options.answer] if options.answer else []
        for name in names:
            value = row.get(name)
            form = format_of(value) if isinstance(value, str) else None
            if form is not None and learned(form.messages(str(value), (name,))):
                yield cls(name, form.name)

    def fitted(self, sample: Sequence[Fields], options: SchemaOptions) -> Transcript:
        """See ``Schema.fitted``; there is nothing beside the text."""
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read."""
        return (self.column,)

    @property
    def options(self) -> dict[str, str]:
        """See ``Schema.options``."""
        return {"answer": self.column}

    def __str__(self) -> str:
        return f"{self.column} ({self.format} chats)"

    def records(self, row: Fields) -> Sequence[Exchange]:
        """See ``Schema.records``."""
        text = text_of(present(row, self.column), self.column)
        if (found := parsed(text, (self.column,))) is None:
            raise RowError(f"{self.column} is no {self.format} chat, nor any other that is known")
        return exchanges_of(found, self.column)
