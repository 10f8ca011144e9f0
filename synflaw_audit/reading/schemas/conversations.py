"""Rows that are conversations: a column of messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from synflaw_audit.reading.rows import Fields, RowError
from synflaw_audit.reading.schemas.exchange import Exchange
from synflaw_audit.reading.schemas.messages import (
    Message,
    exchanges_of,
    is_conversation,
    messages,
)
from synflaw_audit.reading.schemas.options import SchemaOptions
from synflaw_audit.reading.schemas.values import text_of
from synflaw_audit.reading.schemas.vocabulary import (
    ANSWERS,
    CHOSEN,
    CONVERSATIONS,
    LOSS_MASKS,
    QUESTIONS,
    REJECTED,
    SYSTEMS,
    Vocabulary,
    all_named,
    is_named,
    named,
)


@dataclass(frozen=True)
class Conversation:
    """A row is a conversation: every answered exchange is a record.

    Attributes:
        column: That holds it.
        system: The column of what stands before it all.
        mask: The column that says of each message whether it is learned.
        vocabulary: What roles and keys are called.
    """

    column: str
    system: str | None = None
    mask: str | None = None
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    @classmethod
    def readings(cls, row: Fields, options: SchemaOptions) -> Iterator[Conversation]:
        """See ``Schema.readings``; a column that is named, or any that holds a conversation."""
        words = options.vocabulary
        if options.question is not None or options.rejected is not None:
            return
        names = {options.answer} if options.answer else set(row) - _sides(row)
        for name in (name for name in row if name in names):
            value = row[name]
            if (is_named(name, CONVERSATIONS) and _looks_like_messages(value)) or (
                not _is_plain(value) and is_conversation(value, words, asked=True)
            ):
                yield cls(name, vocabulary=words)

    def fitted(self, sample: Sequence[Fields], options: SchemaOptions) -> Conversation:
        """See ``Schema.fitted``: the columns beside the conversation."""
        names = [name for row in sample for name, v in row.items() if v is not None and v != ""]
        system = options.system or named(names, SYSTEMS)
        mask = named((n for row in sample for n, v in row.items() if _is_mask(v)), LOSS_MASKS)
        return replace(self, system=None if system == self.column else system, mask=mask)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read."""
        return tuple(name for name in (self.system, self.column, self.mask) if name is not None)

    @property
    def options(self) -> dict[str, str]:
        """See ``Schema.options``."""
        return {"answer": self.column} | ({"system": self.system} if self.system else {})

    def __str__(self) -> str:
        beside = [name for name in (self.system, self.mask) if name]
        return self.column + (f" with {', '.join(beside)}" if beside else "")

    def records(self, row: Fields) -> Sequence[Exchange]:
        """See ``Schema.records``."""
        if self.column not in row:
            raise RowError(f"field {self.column!r} is missing")
        read = messages(row[self.column], (self.column,), self.vocabulary)
        if self.mask is not None and (mask := row.get(self.mask)) is not None:
            read = _with_mask(read, mask, self.mask)
        if (said := self._system(row)) is not None:
            read = [Message("system", said), *read]
        return exchanges_of(read, self.column)

    def _system(self, row: Fields) -> str | None:
        value = None if self.system is None else row.get(self.system)
        if value is None or value == "":
            return None
        if isinstance(value, Mapping | list):  # {"parts": [{"text": ...}]}
            content = {"role": "system", "content": value}
            return messages([content], (str(self.system),), self.vocabulary)[0].text
        return text_of(value, str(self.system), numbers=True)


def _sides(row: Fields) -> set[str]:
    """Columns that are one side of a row of two, whatever they hold: a completion, an answer."""
    questions, answers = all_named(row, QUESTIONS), all_named(row, ANSWERS)
    pair = {*questions, *answers} if questions and answers else set()
    rejected = named(row, REJECTED)
    return pair if rejected is None else pair | {rejected, str(named(row, CHOSEN))}


def _with_mask(read: list[Message], mask: object, column: str) -> list[Message]:
    """Messages with what a list beside them says of each."""
    if not isinstance(mask, list | tuple):
        return read
    if len(mask) == len(read):
        return [m._replace(trained=m.trained and bool(v)) for m, v in zip(read, mask, strict=True)]
    answers = [number for number, message in enumerate(read) if message.role == "assistant"]
    if len(mask) != len(answers):
        raise RowError(f"{column} has {len(mask)} entries for {len(read)} messages")
    trained = dict(zip(answers, mask, strict=True))
    return [m._replace(trained=m.trained and bool(trained.get(n, 1))) for n, m in enumerate(read)]


def _is_mask(value: object) -> bool:
    """Whether a value may say of each message whether it is learned."""
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(item, bool | int | float) for item in value)
    )


def _is_plain(value: object) -> bool:
    """Whether a value can be no conversation, at the first look."""
    if isinstance(value, str):
        return value.lstrip()[:1] not in ("[", "{")
    return not isinstance(value, list | tuple | Mapping)


def _looks_like_messages(value: object) -> bool:
    if isinstance(value, str):
        return value.lstrip().startswith("[")
    return isinstance(value, list | tuple | Mapping)
