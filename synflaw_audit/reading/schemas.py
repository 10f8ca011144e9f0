"""Which columns of a file hold the question and the answer.

A file's schema is found from its first rows: each row votes for every reading that its field names
allow, the reading with the most votes wins, and a tie is an error rather than a guess. A schema of
another package is tried where the caller names it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from synflaw_audit.errors import InputError
from synflaw_audit.reading.base import Exchange, Schema
from synflaw_audit.reading.conversations import QUESTION_ROLES, completion_exchanges, exchanges
from synflaw_audit.reading.registry import SCHEMAS
from synflaw_audit.reading.rows import RowError
from synflaw_audit.settings import Reading

# Field names, compared without case. Those in the second group name questions and answers only
# where none of the first does: "user" may be a name, "input" a context.
QUESTIONS = (
    ("question", "prompt", "instruction", "query", "problem"),
    ("input", "inputs", "user", "human"),
)
ANSWERS = (
    ("answer", "completion", "response", "output", "solution"),
    ("outputs", "target", "targets", "reply", "assistant"),
)
CONVERSATIONS = ("messages", "conversations", "conversation")
CONTEXTS = ("input", "context")  # what an instruction may come with

_NUMBER = re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")

COLUMNS_ARE_NAMED = (
    "name the columns with --question COLUMN --answer COLUMN (question=, answer= in Python), "
    "or plain text and conversations with --answer COLUMN alone"
)
_KNOWN = (
    "question/answer, prompt/completion, prompt/response, query/response, "
    "instruction/(input)/output, messages, conversations"
)


@dataclass(frozen=True)
class Pair:
    """A row is one question and one answer, each in its column.

    ``question`` is None where the rows are plain text; ``context`` is what follows the question
    after a blank line wherever it is not empty (Alpaca's ``input``, Dolly's ``context``). A late
    context is one that no row of the sample has: rows that are objects may yet bring it.
    """

    question: str | None
    answer: str
    context: str | None = None
    late_context: bool = False

    @classmethod
    def readings(
        cls, row: Mapping[str, object], question: str | None, answer: str | None
    ) -> Iterator[Pair]:
        """See ``Schema.readings``; a row of any question and answer that are named as such."""
        answers = [answer] if answer else [n for n in _named(row, ANSWERS) if n != question]
        if question is not None:
            questions = [question]
        else:
            questions = [name for name in _named(row, QUESTIONS) if name not in answers]
            if answer and not questions:
                questions = [""]
        # A completion may be a list of messages, so a list does not rule a column out.
        return (cls(q or None, a) for q in questions for a in answers)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read."""
        context = None if self.late_context else self.context
        return tuple(c for c in (self.question, context, self.answer) if c is not None)

    def __str__(self) -> str:
        return "/".join(self.columns) if self.question else f"{self.answer} (no question)"

    def records(self, row: Mapping[str, object]) -> Sequence[Exchange]:
        """The row's (turn, question, answer).

        Raises:
            RowError: A field is missing, null or not text.
        """
        question = row.get(self.question) if self.question is not None else ""
        answer = row.get(self.answer)
        if not isinstance(answer, str) or not isinstance(question, str):
            if self.question is not None and (
                isinstance(answer, list) or isinstance(question, list)
            ):
                question = self._present(row, self.question)
                answer = self._present(row, self.answer)
                return completion_exchanges(question, answer, (self.question, self.answer))
            question = self._text(row, self.question) if self.question is not None else ""
            answer = self._text(row, self.answer)
        if self.context is not None:
            context = row.get(self.context)
            if context is not None and context != "":
                context = self._text(row, self.context)
                question = f"{question}\n\n{context}" if question else context
        return ((0, question, answer),)

    def _present(self, row: Mapping[str, object], column: str) -> object:
        if column not in row:
            raise RowError(f"field {column!r} is missing")
        if row[column] is None:
            raise RowError(f"{column} is null")
        return row[column]

    def _text(self, row: Mapping[str, object], column: str) -> str:
        value = self._present(row, column)
        if isinstance(value, bytes):
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise RowError(f"{column} is not valid UTF-8") from None
        if not isinstance(value, str):
            raise RowError(f"{column} is {type(value).__name__}, not text")
        return value


@dataclass(frozen=True)
class Conversation:
    """A row is a conversation: every answered exchange is a record."""

    column: str

    @classmethod
    def readings(
        cls, row: Mapping[str, object], question: str | None, answer: str | None
    ) -> Iterator[Conversation]:
        """See ``Schema.readings``; columns that the user names are conversations or none."""
        if question is None and answer is None:
            for name in row:
                if _fold(name) in CONVERSATIONS and _looks_like_messages(row[name]):
                    yield cls(name)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read."""
        return (self.column,)

    def __str__(self) -> str:
        return self.column

    def records(self, row: Mapping[str, object]) -> Sequence[Exchange]:
        """The row's (turn, question, answer).

        Raises:
            RowError: The field is missing or is no conversation.
        """
        if self.column not in row:
            raise RowError(f"field {self.column!r} is missing")
        return exchanges(row[self.column], self.column)


def find_schema(file: str, sample: Sequence[Mapping[str, object]], reading: Reading) -> Schema:
    """Finds a file's schema from its first rows.

    Args:
        file: Its name, for the error messages.
        sample: Its first readable rows, at least one.
        reading: What the caller says of the columns.

    Raises:
        InputError: No reading fits, or several fit equally well; or there is no such schema.
    """
    question, answer = reading.question, reading.answer
    columns = list(dict.fromkeys(name for row in sample for name in row))
    names = SCHEMAS.own if reading.schema is None else [reading.schema]
    schemas = [SCHEMAS.find(name) for name in names]
    for option, name in (("question", question), ("answer", answer)):
        if name and name not in columns:
            raise InputError(f"{file}: no {option} column {name!r}. {_found(columns)}")
    if answer and question is None and Conversation in schemas and _is_conversation(sample, answer):
        return Conversation(answer)
    votes = Counter(
        possible
        for row in sample
        for schema in schemas
        for possible in schema.readings(row, question, answer)
    )
    if not votes:
        raise InputError(f"{file}: {_nothing_found(columns, reading.schema)}")
    most = max(votes.values())
    winners = [reading for reading, count in votes.items() if count == most]
    if len(winners) > 1:
        raise InputError(
            f"{file}: more than one reading is possible: {', '.join(sorted(map(str, winners)))}. "
            f"{_found(columns)} To choose, {COLUMNS_ARE_NAMED}."
        )
    return _with_context(winners[0], columns)


def unread_columns(sample: Iterable[Mapping[str, object]], schema: Schema) -> tuple[str, ...]:
    """The columns that hold text in some row and that the schema does not read."""
    read = set(schema.columns)
    if isinstance(schema, Pair):
        read.add(schema.context or "")
    held = (name for row in sample for name, value in row.items() if _holds_text(value))
    return tuple(dict.fromkeys(name for name in held if name not in read))


def _holds_text(value: object) -> bool:
    """Whether it is text that is no number, or holds such text."""
    if isinstance(value, str):
        return bool(value.strip()) and not _NUMBER.fullmatch(value.strip())
    if isinstance(value, Mapping):
        return any(map(_holds_text, value.values()))
    return isinstance(value, list) and any(map(_holds_text, value))


def _nothing_found(columns: Sequence[str], schema: str | None) -> str:
    if schema is not None:
        others = ", ".join(name for name in SCHEMAS if name != schema)
        return f"no row is one of the schema {schema!r}. {_found(columns)} Other schemas: {others}."
    foreign = [f"{name} ({SCHEMAS.origin(name)})" for name in SCHEMAS if name not in SCHEMAS.own]
    named = f"; or name another package's schema with --schema: {', '.join(foreign)}"
    return (
        f"no question and answer found. {_found(columns)} Expected one of {_KNOWN}; "
        f"or {COLUMNS_ARE_NAMED}{named if foreign else ''}."
    )


def names_answer(row: Mapping[str, object]) -> bool:
    """Whether a field is named as answers are: what holds it is a row, not a list of rows."""
    return bool(_named(row, ANSWERS))


def _named(row: Mapping[str, object], groups: tuple[tuple[str, ...], ...]) -> list[str]:
    for group in groups:
        if found := [name for name in row if _fold(name) in group]:
            return found
    return []


def _with_context(schema: Schema, columns: Sequence[str]) -> Schema:
    if not isinstance(schema, Pair) or _fold(schema.question or "") != "instruction":
        return schema
    contexts = [c for c in columns if _fold(c) in CONTEXTS and c != schema.answer]
    context = contexts[0] if contexts else CONTEXTS[0]
    return Pair(schema.question, schema.answer, context, late_context=not contexts)


def _is_conversation(sample: Sequence[Mapping[str, object]], column: str) -> bool:
    """Whether a column the caller named holds whole conversations, not completions of a prompt."""
    if _fold(column) in CONVERSATIONS:
        return any(_looks_like_messages(row.get(column)) for row in sample)
    return any(
        isinstance(message, dict) and (message.get("role") or message.get("from")) in QUESTION_ROLES
        for row in sample
        if isinstance(messages := row.get(column), list)
        for message in messages
    )


def _looks_like_messages(value: object) -> bool:
    return isinstance(value, list) or (isinstance(value, str) and value.lstrip().startswith("["))


def _fold(name: str) -> str:
    return name.strip().casefold()


def _found(columns: Sequence[str]) -> str:
    shown = ", ".join(map(repr, columns[:30])) + (", ..." if len(columns) > 30 else "")
    return f"Columns: {shown or 'none'}."
