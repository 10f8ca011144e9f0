"""Conversations, however they are held, as messages and these as exchanges.

A conversation is a list of messages: ``role`` and ``content`` (OpenAI), ``from`` and ``value``
(ShareGPT), ``type`` and ``content`` (LangChain), ``role`` and ``parts`` (Gemini) and whatever else
``vocabulary`` knows. It may also be an object of lists, a list of question-answer pairs, a list of
texts by turns, or any of these as JSON or Python text, which is how CSV files hold it.

An exchange is what users say until the assistant answers, and that answer. What tools return is
neither. Two messages of one side in a row are one text, a blank line between them. An answer that
opens a conversation has the question "". An answer that is masked from the loss is context.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from synflaw_audit.reading.rows import NoAnswerError, RowError
from synflaw_audit.reading.schemas.exchange import Exchange, Path, Segment, structured
from synflaw_audit.reading.schemas.reasoning import thought
from synflaw_audit.reading.schemas.values import number_text
from synflaw_audit.reading.schemas.vocabulary import (
    ANSWERS,
    MASKED,
    QUESTIONS,
    REASONING_KEYS,
    TRAINED,
    Role,
    Vocabulary,
    folded,
    named,
)

DEFAULT = Vocabulary()
# Parts of a message that are text, and those that are what a model thinks.
_TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
_THINKING_PARTS = frozenset({"thinking", "reasoning", "thought", "redacted_thinking"})
_CALLS = ("tool_calls", "function_call", "tool_call")
_CALL_PARTS = frozenset({"tool_use", "tool_call", "function_call", "functioncall"})
_RESULT_PARTS = frozenset({"tool_result", "function_response", "tool_response"})
# An answer that is a call and nothing else, where calls are written into the text.
_CALLED = re.compile(r"\s*(?:<tool_call>.*?</tool_call>\s*)+", re.DOTALL)
_DEEPEST_CONTENT = 4
# In a list of question-answer pairs, what these are called.
_QUESTION_KEYS = tuple(name for group in QUESTIONS[:2] for name in group)
_ANSWER_KEYS = tuple(name for group in ANSWERS for name in group)
_GAP = "\n\n"


class Message(NamedTuple):
    """One message.

    Attributes:
        role: What it is to the model that learns.
        text: What it says; None if it says nothing in words, such as one that only calls a tool.
        segments: Where that stands; ``at`` is a place in ``text``.
        reasoning: What the model thinks before.
        trained: Whether it is learned, if it is an answer.
    """

    role: Role
    text: str | None
    segments: tuple[Segment, ...] = ()
    reasoning: str = ""
    trained: bool = True


def messages(value: object, path: Path, words: Vocabulary = DEFAULT) -> list[Message]:
    """Reads a conversation.

    Args:
        value: However it is held.
        path: Where it stands in its row.
        words: What roles and keys are called.

    Raises:
        RowError: It is no conversation.
    """
    return [_message(entry, words) for entry in _entries(value, path, words)]


def exchanges(value: object, column: str, words: Vocabulary = DEFAULT) -> list[Exchange]:
    """Reads one conversation into exchanges.

    Args:
        value: However it is held.
        column: Its column.
        words: What roles and keys are called.

    Raises:
        NoAnswerError: Nobody answers in words in it, or no answer is learned.
        RowError: It is no list of messages, or is empty.
    """
    return exchanges_of(messages(value, (column,), words), column)


def exchanges_of(read: Sequence[Message], column: str) -> list[Exchange]:
    """The exchanges of messages, those that are learned.

    Args:
        read: The messages.
        column: Where they stand, for the error messages.

    Raises:
        NoAnswerError: None of its answers is learned.
        RowError: Nobody answers in it.
    """
    found: list[Exchange] = []
    system = _GAP.join(m.text for m in read if m.role == "system" and m.text) or None
    open_one = _Open(0)
    for message in read:
        if message.role == "user":
            if open_one.answered:
                found += open_one.closed(system)
                open_one = _Open(open_one.turn + 1)
            if message.text is not None:
                open_one.asked.append(message.text)
        elif message.role in ("assistant", "reasoning"):
            open_one.take(message)
    if open_one.answered:
        found += open_one.closed(system)
    if not found:
        fault, why = _why_none(read)
        raise fault(f"{column} holds no answer: {why}")
    return found


def is_conversation(value: object, words: Vocabulary = DEFAULT, *, asked: bool = False) -> bool:
    """Whether a value is a list of messages in which somebody answers, as far as can be told.

    Args:
        value: The value.
        words: What roles and keys are called.
        asked: Whether somebody must ask in it, too.
    """
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return False
    try:
        found = messages(value, ("",), words)
    except RowError:
        return False
    roles = {message.role for message in found}
    return "assistant" in roles and (not asked or "user" in roles)


def message_of_text(role: Role, text: str, segments: tuple[Segment, ...]) -> Message:
    """A message that is one text; of an answer, its reasoning apart."""
    if role != "assistant":
        return Message(role, None if role == "context" else text, segments)
    return _answer(text, segments, "", trained=True)


def masked(read: Sequence[Message]) -> list[Message]:
    """Messages of which no answer is learned: what stood before."""
    return [message._replace(trained=False) for message in read]


def learned(read: Sequence[Message]) -> bool:
    """Whether any answer among them is learned."""
    return any(m.role == "assistant" and m.trained and m.text is not None for m in read)


@dataclass
class _Open:
    """An exchange that is being read."""

    turn: int
    asked: list[str] = field(default_factory=list)
    said: list[Message] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)

    @property
    def answered(self) -> bool:
        return bool(self.said)

    def take(self, message: Message) -> None:
        if message.role == "reasoning":
            self.thoughts.append(message.text or "")
            return
        if message.reasoning and message.trained:
            self.thoughts.append(message.reasoning)
        if message.text is not None:
            self.said.append(message)

    def closed(self, system: str | None) -> Iterator[Exchange]:
        """The exchange, if it is learned."""
        learned = [message for message in self.said if message.trained]
        if not learned:
            return
        segments: list[Segment] = []
        at = 0
        for message in learned:
            segments += [segment._replace(at=segment.at + at) for segment in message.segments]
            at += len(message.text or "") + len(_GAP)
        answer = _GAP.join(message.text or "" for message in learned)
        reasoning = _GAP.join(filter(None, self.thoughts)) or None
        question = _GAP.join(self.asked)
        yield Exchange(self.turn, question, answer, system, reasoning, None, tuple(segments))


def _why_none(read: Sequence[Message]) -> tuple[type[RowError], str]:
    answers = [message for message in read if message.role == "assistant"]
    if not answers:
        return RowError, "no message of the assistant (say who it is: --roles assistant=NAME)"
    if all(message.text is None for message in answers):
        return NoAnswerError, "the assistant only calls tools"
    return NoAnswerError, "every message of the assistant is masked from the loss"


class _Entry(NamedTuple):
    """A message before it is understood.

    Attributes:
        value: The message.
        name: How error messages name it.
        path: Where it stands.
        content: Where its content stands, if that does not follow from its path.
    """

    value: object
    name: str
    path: Path
    content: Path | None = None


def _entries(value: object, path: Path, words: Vocabulary) -> Iterator[_Entry]:
    column = ".".join(map(str, path))
    if isinstance(value, str):
        if (parsed := structured(value)) is None:
            raise RowError(f"{column} is text, not a list of messages")
        value = parsed
    if isinstance(value, Mapping):
        inner = named(value, ("messages", "conversations", "contents"))
        if inner is not None:
            yield from _entries(value[inner], (*path, inner), words)
            return
        if by_role := _by_roles(value, words):
            for key, side in by_role:
                said = {"role": side, "content": value[key]}
                yield _Entry(said, f"{column}.{key}", path, (*path, key))
            return
        yield from _transposed(value, path, words)
        return
    if value is None:
        raise RowError(f"{column} is null")
    if not isinstance(value, list | tuple):
        raise RowError(f"{column} is {type(value).__name__}, not a list of messages")
    if not value:
        raise RowError(f"{column} is an empty conversation")
    if len(value) > 1 and all(isinstance(item, str) for item in value):
        yield from _by_turns(value, path)
        return
    for number, item in enumerate(value):
        place = (*path, number)
        name = f"{column}[{number}]"
        if isinstance(item, list | tuple) and len(item) == 2 and not any(map(_is_number, item)):
            yield from _by_turns(item, place)
        elif isinstance(item, Mapping) and (pair := _pair(item, words)):
            for role, key in zip(("user", "assistant"), pair, strict=True):
                message = {"role": role, "content": item[key]}
                yield _Entry(message, name, place, (*place, key))
        elif isinstance(item, Mapping) and isinstance(item.get("kwargs"), Mapping):
            yield _constructed(item, item["kwargs"], name, place)
        else:
            yield _Entry(item, name, place)


def _by_roles(value: Mapping[Any, Any], words: Vocabulary) -> list[tuple[Any, Role]]:
    """The keys and roles of an object that has each side's text under its name; none if not."""
    found = [(key, words.role(key)) for key, text in value.items() if isinstance(text, str)]
    named_ones = [(key, role) for key, role in found if role is not None]
    roles = {role for _, role in named_ones}
    whole = len(found) == len(value) and {"user", "assistant"} <= roles
    return named_ones if whole and len(named_ones) == len(found) == len(roles) else []


def _transposed(value: Mapping[Any, Any], path: Path, words: Vocabulary) -> Iterator[_Entry]:
    """The messages of an object of lists, as the ``datasets`` library holds a list of structs."""
    column = ".".join(map(str, path))
    lists = {key: item for key, item in value.items() if isinstance(item, list | tuple)}
    counts = {len(item) for item in lists.values()}
    content = named(lists, words.content_keys)
    if named(lists, words.role_keys) is None or content is None or len(counts) != 1:
        raise RowError(f"{column} is an object, not a list of messages")
    if counts == {0}:
        raise RowError(f"{column} is an empty conversation")
    for number in range(counts.pop()):
        message = {key: item[number] for key, item in lists.items()}
        place = (*path, content, number)
        yield _Entry(message, f"{column}[{number}]", (*path, number), place)


def _is_number(value: object) -> bool:
    return isinstance(value, bool | int | float)


def _by_turns(texts: Sequence[object], path: Path) -> Iterator[_Entry]:
    """The messages of texts that two sides say by turns, the user first."""
    for number, text in enumerate(texts):
        role = "assistant" if number % 2 else "user"
        name = f"{'.'.join(map(str, path))}[{number}]"
        yield _Entry({"role": role, "content": text}, name, path, (*path, number))


def _pair(item: Mapping[Any, Any], words: Vocabulary) -> tuple[str, str] | None:
    """The keys of a question and an answer, if that is what an item of a conversation holds."""
    if named(item, words.role_keys) is not None:
        return None
    question, answer = _filled(item, _QUESTION_KEYS), _filled(item, _ANSWER_KEYS)
    return (question, answer) if question is not None and answer is not None else None


def _filled(item: Mapping[Any, Any], known: tuple[str, ...]) -> str | None:
    """The key of one of these names under which there is a value."""
    return named((key for key, value in item.items() if value is not None), known)


def _message(entry: _Entry, words: Vocabulary) -> Message:
    value = entry.value
    if not isinstance(value, Mapping):
        raise RowError(f"{entry.name} is {type(value).__name__}, not a message")
    role = _role(value, entry.name, words)
    if role == "context":
        return Message(role, None)
    key = _content_key(value, words)
    content = value.get(key) if key is not None else None
    if len(value) == 2 and type(content) is str and entry.content is None:  # as most are
        whole = (Segment((*entry.path, str(key)), 0, len(content), 0),)
        if role != "assistant":
            return Message(role, content, whole)
        return _answer(content, whole, "", trained=True)
    called = any(value.get(name) for name in _CALLS)
    path = (*entry.path, key or "") if entry.content is None else entry.content
    read = _Content(entry.name)
    if content is not None:
        read.add(content, path)
    elif not called and role != "reasoning":
        raise RowError(f"{entry.name} has no content")
    text, segments = read.text(), tuple(read.segments)
    if role == "user" and read.results and not text:
        return Message("context", None)
    if (called or read.calls) and not text.strip():
        return Message(role, None, reasoning=_thoughts(value, read))
    if role != "assistant":
        return Message(role, text, segments)
    return _answer(text, segments, _thoughts(value, read), trained=_trained(value))


def _constructed(
    item: Mapping[Any, Any], fields: Mapping[Any, Any], name: str, place: Path
) -> _Entry:
    """A message as LangChain serializes one: its class tells the role."""
    kind = item.get("id")
    role = kind[-1] if isinstance(kind, list) and kind else None
    return _Entry({**fields, "role": role}, name, (*place, "kwargs"))


def _answer(text: str, segments: tuple[Segment, ...], reasoning: str, *, trained: bool) -> Message:
    """An answer, and what stands before it that is marked as reasoning."""
    if _CALLED.fullmatch(text):
        return Message("assistant", None, reasoning=reasoning, trained=trained)
    parts = thought(text)
    if not parts.reasoning and parts.start == 0 and parts.end == len(text):
        return Message("assistant", text, segments, reasoning, trained)
    kept = tuple(cut for s in segments if (cut := _cut(s, parts.start, parts.end)) is not None)
    reasoning = _GAP.join(filter(None, (reasoning, parts.reasoning)))
    return Message("assistant", text[parts.start : parts.end], kept, reasoning, trained)


def _cut(segment: Segment, start: int, end: int) -> Segment | None:
    """What is left of a segment of a text of which only a part is kept."""
    first = max(segment.at, start)
    last = min(segment.at + segment.end - segment.start, end)
    if first > last:
        return None
    begin = segment.start + first - segment.at
    return Segment(segment.path, begin, begin + last - first, first - start)


def _role(message: Mapping[str, Any], name: str, words: Vocabulary) -> Role:
    said: object = None
    for key in words.role_keys:
        value = message.get(key)
        if value is None:
            continue
        if isinstance(value, Mapping):  # {"author": {"role": "user"}}
            value = value.get("role") or value.get("name")
        if (role := words.role(value)) is not None:
            return role
        said = value if said is None else said
    written = named(message, map(folded, words.role_keys)) if said is None else None
    if written not in (None, *words.role_keys):
        return _role({words.role_keys[0]: message[str(written)]}, name, words)
    if said is None and isinstance(message.get("label"), bool):  # axolotl's segments
        return "assistant" if message["label"] else "user"
    if said is None:
        keys = " nor ".join(map(repr, words.role_keys[:2]))
        neither = f"neither {keys}" if len(words.role_keys) > 1 else f"no {keys}"
        raise RowError(f"{name} has no role ({neither}); name its keys with --message-keys")
    known = ", ".join(sorted(words.known))
    raise RowError(
        f"{name} has the unknown role {str(said)[:40]!r}; say what it is with --roles, as in "
        f"--roles assistant={str(said)[:40]}; known: {known}"
    )


def _content_key(message: Mapping[str, Any], words: Vocabulary) -> str | None:
    for key in words.content_keys:
        if message.get(key) is not None:
            return key
    present = [key for key, value in message.items() if value is not None]
    return named(present, map(folded, words.content_keys))


def _thoughts(message: Mapping[str, Any], read: _Content) -> str:
    found = [message[k] for k in REASONING_KEYS if isinstance(message.get(k), str)]
    return _GAP.join(filter(None, (text.strip() for text in (*found, *read.thoughts))))


def _trained(message: Mapping[str, Any]) -> bool:
    """Whether an answer is learned; a number of the loss that is not 0 says that it is."""
    for key in TRAINED:
        value = message.get(key)
        if isinstance(value, bool | int | float) and not value:
            return False
    return not any(message.get(key) is True or message.get(key) == 1 for key in MASKED)


class _Content:
    """The text of a message's content: a string, or the parts of it that are text, one a line."""

    def __init__(self, name: str) -> None:
        self.texts: list[str] = []
        self.segments: list[Segment] = []
        self.thoughts: list[str] = []
        self.calls = self.results = False
        self._name = name
        self._length = 0

    def text(self) -> str:
        return "\n".join(self.texts)

    def add(self, content: object, path: Path, depth: int = 0) -> None:
        """Takes content that stands at a path.

        Raises:
            RowError: It is no text, or a part that should be text holds none.
        """
        if isinstance(content, str):
            at = self._length + (1 if self.texts else 0)
            self.texts.append(content)
            self.segments.append(Segment(path, 0, len(content), at))
            self._length = at + len(content)
        elif isinstance(content, Mapping) and depth < _DEEPEST_CONTENT:
            self._add_part(content, path, depth)
        elif isinstance(content, list | tuple) and depth < _DEEPEST_CONTENT:
            for number, part in enumerate(content):
                if not isinstance(part, str | Mapping):
                    raise RowError(f"{self._name} has a part without text")
                self.add(part, (*path, number), depth + 1)
        elif isinstance(content, bool | int | float):
            self.add(number_text(content, self._name), path, depth)
        else:
            kind = type(content).__name__
            raise RowError(f"{self._name} has content of type {kind}, not text")

    def _add_part(self, part: Mapping[str, Any], path: Path, depth: int) -> None:
        kind = str(part.get("type") or "").casefold()
        if kind in _THINKING_PARTS or part.get("thought") is True:
            found = (part.get(k) for k in ("thinking", "reasoning", "thought", "text", "content"))
            self.thoughts += [text for text in found if isinstance(text, str)][:1]
        elif part.get("text") is not None and isinstance(part["text"], str | list | Mapping):
            self.add(part["text"], (*path, "text"), depth + 1)
        elif kind in _TEXT_PARTS:
            raise RowError(f"{self._name} has a part without text")
        elif kind in _CALL_PARTS or part.get("functionCall") or part.get("function_call"):
            self.calls = True
        elif kind in _RESULT_PARTS or part.get("functionResponse"):
            self.results = True
        elif (inner := named(part, ("parts", "content"))) and part[inner] is not None:
            self.add(part[inner], (*path, inner), depth + 1)
