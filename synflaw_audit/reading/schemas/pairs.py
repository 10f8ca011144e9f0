"""Rows that are one question and one answer, each in its column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from synflaw_audit.reading.rows import Fields
from synflaw_audit.reading.schemas.exchange import Exchange, Path, Segment, structured
from synflaw_audit.reading.schemas.messages import (
    Message,
    exchanges_of,
    is_conversation,
    learned,
    masked,
    messages,
)
from synflaw_audit.reading.schemas.options import SchemaOptions
from synflaw_audit.reading.schemas.reasoning import may_hold_thought, thought
from synflaw_audit.reading.schemas.values import present, text_of, texts_in
from synflaw_audit.reading.schemas.vocabulary import (
    ANSWERS,
    CONTEXTS,
    HISTORIES,
    QUESTIONS,
    REASONINGS,
    ROLE_KEYS,
    SYSTEMS,
    Vocabulary,
    all_named,
    folded,
    named,
)

# What a schema is said to read so, and the report repeats.
NUMBERS_AS_TEXT = "numbers as text"
# Where an object has the messages of a request.
_HOLDERS = ("messages", "contents", "conversations")


@dataclass(frozen=True)
class Pair:
    """A row is one question and one answer, each in its column.

    An answer that is a list of texts is one record each. A prompt and its completion may also be
    conversations; only what the completion answers counts.

    Attributes:
        question: None where the rows are plain text.
        answer: The answer's column.
        context: What follows the question after a blank line wherever it is not empty (Alpaca's
            ``input``, Dolly's ``context``).
        system: What stands before it all.
        history: The turns before the question, which are learned as well.
        reasoning: What is thought before the answer.
        late: Those columns that no row of the sample has: rows that are objects may yet bring them.
        numbers: All answers, or questions, of the first rows are numbers; they are read as texts,
            as every number is that stands where a text should.
        vocabulary: How messages are read.
    """

    question: str | None
    answer: str
    context: str | None = None
    system: str | None = None
    history: str | None = None
    reasoning: str | None = None
    late: tuple[str, ...] = ()
    numbers: bool = False
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    @classmethod
    def readings(cls, row: Fields, options: SchemaOptions) -> Iterator[Pair]:
        """See ``Schema.readings``; a row of any question and answer that are named as such."""
        if options.rejected is not None:
            return
        asked, chosen = options.question, options.answer
        answers = [chosen] if chosen else [n for n in all_named(row, ANSWERS) if n != asked]
        if asked is not None:
            questions = [asked]
        else:
            names = _beside(row, chosen) if chosen else row
            questions = [name for name in all_named(names, QUESTIONS) if name not in answers]
            questions = questions or [""]
        for question in questions:
            for answer in answers:
                empty = not chosen and row[answer] in ([], {})
                if not empty and (question or chosen or not isinstance(row[answer], int | float)):
                    yield cls(question or None, answer, vocabulary=options.vocabulary)

    def fitted(self, sample: Sequence[Fields], options: SchemaOptions) -> Pair:
        """See ``Schema.fitted``: the columns beside the question and the answer."""
        columns = list(dict.fromkeys(name for row in sample for name in row))
        names = [n for n in _beside(columns, self.answer) if n not in (self.question, self.answer)]
        late = []
        context = options.context
        if context is None and _last(self.question or "") == "instruction":
            context = named(names, CONTEXTS)
            if context is None:
                context = CONTEXTS[0]
                late.append(context)
            names = [name for name in names if name != context]
        found: dict[str, str | None] = {}
        for part, known, holds in (
            ("system", SYSTEMS, _holds_text),
            ("history", HISTORIES, _holds_list),
            ("reasoning", REASONINGS, _holds_text),
        ):
            column = getattr(options, part)
            if column is None:
                likely = [name for name in names if any(holds(row.get(name)) for row in sample)]
                column = named(likely, known)
            if column is None and named(columns, known) is None and part != "reasoning":
                column = known[0]
                late.append(column)
            found[part] = column
        return replace(
            self,
            context=context,
            system=found["system"],
            history=found["history"],
            reasoning=found["reasoning"],
            late=tuple(late),
            numbers=_are_numbers(self.answer, sample) or _are_numbers(self.question, sample),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read."""
        names = (self.system, self.history, self.question, self.context, self.reasoning)
        return tuple(n for n in (*names, self.answer) if n is not None and n not in self.late)

    @property
    def options(self) -> dict[str, str]:
        """See ``Schema.options``."""
        optional = ("context", "system", "history", "reasoning")
        more = {name: getattr(self, name) for name in optional}
        kept = {name: column for name, column in more.items() if column and column not in self.late}
        return {"question": self.question or "", "answer": self.answer} | kept

    def __str__(self) -> str:
        names = (self.question, self.context, self.answer)
        pair = "/".join(n for n in names if n is not None and n not in self.late)
        beside = [
            n for n in (self.system, self.history, self.reasoning) if n and n not in self.late
        ]
        text = pair if self.question else f"{pair} (no question)"
        text += f" with {', '.join(beside)}" if beside else ""
        return text + (f", {NUMBERS_AS_TEXT}" if self.numbers else "")

    @cached_property
    def _beside(self) -> frozenset[str]:
        """The columns beside the question and the answer, of which few rows have any."""
        names = (self.context, self.system, self.history, self.reasoning)
        return frozenset(name for name in names if name is not None)

    def plain(self, row: Fields) -> tuple[str, str] | None:
        """The question and the answer of a row that has two texts and no more, as nearly all have.

        None of any other; ``records`` says of every row what is to be said.
        """
        question = "" if self.question is None else row.get(self.question)
        answer = row.get(self.answer)
        if not isinstance(question, str) or not isinstance(answer, str):
            return None
        if not self._beside.isdisjoint(row) or may_hold_thought(answer):
            return None
        return question, answer

    def records(self, row: Fields) -> Sequence[Exchange]:
        """See ``Schema.records``."""
        if plain := self.plain(row):
            return (_exchange(0, *plain, (self.answer,), None, ""),)
        question = "" if self.question is None else present(row, self.question)
        answer = present(row, self.answer)
        asks = isinstance(question, list | Mapping) and _holds_messages(question)
        if asks or (isinstance(answer, list) and is_conversation(answer, self.vocabulary)):
            return self._completed(row, question, answer)
        if isinstance(question, list | Mapping):
            question = "\n\n".join(_texts_asked(question, self.question or ""))
        asked = text_of(question, self.question or "", numbers=True)
        context = self._optional(row, self.context)
        if context:
            asked = f"{asked}\n\n{context}" if asked else context
        system = self._optional(row, self.system)
        before = self._before(row)
        reasoning = self._optional(row, self.reasoning) or ""
        first = exchanges_of(before, self.history or "") if before and learned(before) else []
        turn = 1 + max(e.turn for e in first) if first else 0
        found = [e._replace(system=system) for e in first]
        for text, path in self._answers(answer):
            found.append(_exchange(turn, asked, text, path, system, reasoning))
            turn += 1
        return found

    def _answers(self, answer: object) -> Iterable[tuple[str, Path]]:
        if isinstance(answer, str):  # as nearly all are
            return ((answer, (self.answer,)),)
        if isinstance(answer, list | Mapping):
            return texts_in(answer, (self.answer,))
        return ((text_of(answer, self.answer, numbers=True), (self.answer,)),)

    def _completed(self, row: Fields, question: object, answer: object) -> list[Exchange]:
        """The exchanges of a conversational prompt and its completion."""
        prompt = self._messages(question, "user", self.question) if self.question else []
        completion = self._messages(answer, "assistant", self.answer)
        system = self._optional(row, self.system)
        if system:
            prompt = [Message("system", system), *prompt]
        return exchanges_of([*masked(prompt), *completion], self.answer)

    def _messages(self, value: object, role: Any, column: str) -> list[Message]:
        if isinstance(value, str):
            return messages([{"role": role, "content": value}], (column,), self.vocabulary)
        if isinstance(value, Mapping) and not _holds_messages(value):
            texts = [{"role": role, "content": text} for text, _ in texts_in(value, (column,))]
            return messages(texts, (column,), self.vocabulary)
        return messages(value, (column,), self.vocabulary)

    def _optional(self, row: Fields, column: str | None) -> str | None:
        value = None if column is None else row.get(column)
        if value is None or value == "" or value == []:
            return None
        return text_of(value, str(column), numbers=True)

    def _before(self, row: Fields) -> list[Message]:
        """The messages of the history."""
        value = None if self.history is None else row.get(self.history)
        if value is None or value in ("", [], "[]", "None", "null"):
            return []
        return messages(value, (str(self.history),), self.vocabulary)


def _exchange(
    turn: int, question: str, text: str, path: Path, system: str | None, reasoning: str
) -> Exchange:
    if not reasoning and not may_hold_thought(text):
        whole = (Segment(path, 0, len(text), 0),)
        return Exchange(turn, question, text, system, None, None, whole)
    parts = thought(text)
    thoughts = "\n\n".join(filter(None, (reasoning.strip(), parts.reasoning))) or None
    segment = Segment(path, parts.start, parts.end, 0)
    answer = text[parts.start : parts.end]
    return Exchange(turn, question, answer, system, thoughts, None, (segment,))


def _holds_messages(value: object) -> bool:
    """Whether a value is a list of messages, or an object with one."""
    if isinstance(value, Mapping):
        return any(map(_holds_messages, (value.get(name) for name in _HOLDERS)))
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(m, Mapping) and named(m, ROLE_KEYS) is not None for m in value)
    )


def _texts_asked(value: Mapping[str, object] | list[object], column: str) -> Iterator[str]:
    """The texts of a question that is held in an object, or in a list of such."""
    if isinstance(value, Mapping) and (names := all_named(value, QUESTIONS)):
        value = {"text": value[names[0]]}
    yield from (text for text, _ in texts_in(value, (column,)))


def _beside(names: Iterator[str] | Sequence[str] | Fields, column: str) -> list[str]:
    """The columns of the object that a column stands in: all, of a column of the row's own."""
    inside = column.rpartition(".")[0]
    if not inside:
        return list(names)
    return [name for name in names if name.rpartition(".")[0] == inside] or list(names)


def _last(column: str) -> str:
    return folded(column.rpartition(".")[2])


def _are_numbers(column: str | None, sample: Sequence[Fields]) -> bool:
    """Whether a column holds numbers, and nothing else."""
    values = [row[column] for row in sample if column and row.get(column) is not None]
    return bool(values) and all(isinstance(value, bool | int | float) for value in values)


def _holds_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _holds_list(value: object) -> bool:
    if isinstance(value, str):
        return structured(value) is not None
    return isinstance(value, list | Mapping) and bool(value)
