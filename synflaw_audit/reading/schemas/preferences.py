"""Rows that are preference pairs: an answer that was chosen and one that was not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from synflaw_audit.reading.rows import Fields, RowError
from synflaw_audit.reading.schemas.exchange import Exchange, Segment
from synflaw_audit.reading.schemas.messages import Message, exchanges_of, masked, messages
from synflaw_audit.reading.schemas.options import SchemaOptions
from synflaw_audit.reading.schemas.reasoning import thought
from synflaw_audit.reading.schemas.rendered import format_of, parsed
from synflaw_audit.reading.schemas.values import present
from synflaw_audit.reading.schemas.vocabulary import (
    ANSWERS,
    CHOSEN,
    CONVERSATIONS,
    QUESTIONS,
    REJECTED,
    SYSTEMS,
    Vocabulary,
    all_named,
    is_named,
    named,
)


@dataclass(frozen=True)
class Preference:
    """A row is a prompt, the answer that was chosen and the one that was rejected.

    The record's answer is the chosen one. Either side may be a text, messages, or a chat that was
    rendered into a text, and may begin with the prompt; the turns that both share are context.

    Attributes:
        prompt: Its column, if it has one.
        chosen: The column of the preferred answer.
        rejected: That of the other one.
        system: The column of what stands before it all.
        vocabulary: How messages are read.
    """

    prompt: str | None
    chosen: str
    rejected: str
    system: str | None = None
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    @classmethod
    def readings(cls, row: Fields, options: SchemaOptions) -> Iterator[Preference]:
        """See ``Schema.readings``; a row of two answers that are named as such."""
        rejected = options.rejected or named(row, REJECTED)
        if options.answer is not None and options.rejected is None:
            return
        chosen = options.answer or named(row, CHOSEN)
        if chosen is None and rejected is not None:
            chosen = _beside_rejected(row, rejected)
        if chosen is None or rejected is None:
            return
        prompts = [options.question] if options.question is not None else all_named(row, QUESTIONS)
        if not prompts:
            prompts = [n for n in row if is_named(n, CONVERSATIONS) and n not in (chosen, rejected)]
        for prompt in prompts or [""]:
            yield cls(prompt or None, chosen, rejected, vocabulary=options.vocabulary)

    def fitted(self, sample: Sequence[Fields], options: SchemaOptions) -> Preference:
        """See ``Schema.fitted``."""
        texts = [
            n for row in sample for n, value in row.items() if isinstance(value, str) and value
        ]
        return replace(self, system=options.system or named(texts, SYSTEMS))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read."""
        names = (self.system, self.prompt, self.chosen, self.rejected)
        return tuple(name for name in names if name is not None)

    @property
    def options(self) -> dict[str, str]:
        """See ``Schema.options``."""
        named_ones = {"question": self.prompt or "", "answer": self.chosen}
        more = {"system": self.system} if self.system else {}
        return named_ones | {"rejected": self.rejected} | more

    def __str__(self) -> str:
        names = (self.prompt, self.chosen, self.rejected)
        pair = "/".join(name for name in names if name is not None)
        return f"{pair} (preference)" + (f" with {self.system}" if self.system else "")

    def records(self, row: Fields) -> Sequence[Exchange]:
        """See ``Schema.records``."""
        chosen, rejected = present(row, self.chosen), present(row, self.rejected)
        prompt = row.get(self.prompt) if self.prompt else None
        system = row.get(self.system) if self.system else None
        plain = isinstance(chosen, str) and isinstance(rejected, str)
        if plain and isinstance(prompt, str | None) and format_of(str(chosen)) is None:
            return (self._plain(prompt or "", str(chosen), str(rejected), system),)
        good = self._messages(chosen, self.chosen)
        bad = self._messages(rejected, self.rejected)
        shared = _shared(good, bad)
        before = list(good[:shared])
        if prompt and not any(message.role == "user" for message in before):
            before = [*self._messages(prompt, str(self.prompt), "user"), *before]
        if isinstance(system, str) and system:
            before = [Message("system", system), *before]
        found = exchanges_of([*masked(before), *good[shared:]], self.chosen)
        try:
            others = exchanges_of([*masked(before), *bad[shared:]], self.rejected)
        except RowError:
            others = []
        answers = {exchange.turn: exchange.answer for exchange in others}
        return [e._replace(rejected=answers.get(e.turn)) for e in found]

    def _plain(self, prompt: str, chosen: str, rejected: str, system: object) -> Exchange:
        good, bad = thought(chosen), thought(rejected)
        segment = Segment((self.chosen,), good.start, good.end, 0)
        return Exchange(
            0,
            prompt,
            chosen[good.start : good.end],
            system if isinstance(system, str) and system else None,
            good.reasoning or None,
            rejected[bad.start : bad.end],
            (segment,),
        )

    def _messages(self, value: object, column: str, role: str = "assistant") -> list[Message]:
        if isinstance(value, str) and not value.lstrip().startswith("["):
            if found := parsed(value, (column,)):
                return found
            value = [{"role": role, "content": value}]
        elif isinstance(value, Mapping) and named(value, self.vocabulary.role_keys) is not None:
            value = [value]
        return messages(value, (column,), self.vocabulary)


def _beside_rejected(row: Fields, rejected: str) -> str | None:
    """The answer that a rejected one stands beside: a conversation by one, or a text by a text."""
    if isinstance(row[rejected], list):
        return named(row, CONVERSATIONS)
    answers = [name for name in all_named(row, ANSWERS) if isinstance(row[name], str)]
    return answers[0] if isinstance(row[rejected], str) and len(answers) == 1 else None


def _shared(one: Sequence[Message], other: Sequence[Message]) -> int:
    """How many messages both begin with; the last answer is never among them."""
    last = max((n for n, m in enumerate(one) if m.role == "assistant"), default=0)
    count = 0
    for left, right in zip(one[:last], other, strict=False):
        if left.role != right.role or left.text != right.text:
            break
        count += 1
    return count
