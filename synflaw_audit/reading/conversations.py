"""Lists of messages, as in OpenAI's ``messages`` and ShareGPT's ``conversations``, as exchanges.

An exchange is what users say until the assistant answers, and that answer. System messages and
what tools return are neither question nor answer. Two messages of one side in a row are one text,
a blank line between them. An answer that opens a conversation has the question "".
"""

from __future__ import annotations

from typing import Any

import orjson

from synflaw_audit.reading.base import Exchange
from synflaw_audit.reading.rows import RowError

QUESTION_ROLES = frozenset({"user", "human", "prompter"})
ANSWER_ROLES = frozenset({"assistant", "gpt", "model", "bot", "chatgpt", "bard", "claude"})
OTHER_ROLES = frozenset(
    {"system", "developer", "tool", "function", "ipython", "function_call", "observation"}
)


def exchanges(conversation: object, column: str) -> list[Exchange]:
    """Reads one conversation.

    Args:
        conversation: A list of messages with ``role`` and ``content``, or ``from`` and ``value``;
            or that list as JSON text, which is how CSV files hold it.
        column: Its column, for the error messages.

    Returns:
        (turn, question, answer) for every answered exchange; ``turn`` counts them from 0.

    Raises:
        RowError: It is no list of messages, is empty, or nobody answers in it.
    """
    messages = _messages(conversation, column)
    if not messages:
        raise RowError(f"{column} is an empty conversation")
    found: list[Exchange] = []
    asked: list[str] = []
    answered: list[str] = []
    for number, message in enumerate(messages):
        role, content = _message(message, f"{column}[{number}]")
        if role in QUESTION_ROLES:
            if answered:
                found.append((len(found), "\n\n".join(asked), "\n\n".join(answered)))
                asked, answered = [], []
            asked.append(_text(content, f"{column}[{number}]"))
        elif role in ANSWER_ROLES and not _only_calls_tools(message, content):
            answered.append(_text(content, f"{column}[{number}]"))
    if answered:
        found.append((len(found), "\n\n".join(asked), "\n\n".join(answered)))
    if not found:
        raise RowError(f"{column} holds no answer: no message of the assistant")
    return found


def completion_exchanges(
    prompt: object, completion: object, columns: tuple[str, str]
) -> list[Exchange]:
    """Reads a conversational prompt and its completion, where either may also be plain text.

    Only what the completion answers counts; the answers inside the prompt are its history.

    Raises:
        RowError: As ``exchanges``.
    """
    history = _as_messages(prompt, "user", columns[0])
    answer = _as_messages(completion, "assistant", columns[1])
    asked = sum(role in QUESTION_ROLES for role in _roles(history, columns[0]))
    both = exchanges(history + answer, f"{columns[0]} + {columns[1]}")
    # The history's own exchanges are those of the history read alone.
    past = 0
    if asked and any(role in ANSWER_ROLES for role in _roles(history, columns[0])):
        past = len(exchanges(history, columns[0]))
        if _roles(history, columns[0])[-1] in ANSWER_ROLES:
            past -= 1  # the completion goes on with the last answer
    found = both[past:]
    if not found:
        raise RowError(f"{columns[1]} holds no answer: no message of the assistant")
    return found


def _messages(value: object, column: str) -> list[Any]:
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise RowError(f"{column} is text, not a list of messages") from None
    if value is None:
        raise RowError(f"{column} is null")
    if not isinstance(value, list):
        raise RowError(f"{column} is {type(value).__name__}, not a list of messages")
    return value


def _as_messages(value: object, role: str, column: str) -> list[Any]:
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    messages = _messages(value, column)
    if not messages:
        raise RowError(f"{column} is an empty conversation")
    return messages


def _roles(messages: list[Any], column: str) -> list[str]:
    return [_message(m, f"{column}[{number}]")[0] for number, m in enumerate(messages)]


def _message(message: object, where: str) -> tuple[str, object]:
    """The role and the content of one message."""
    if not isinstance(message, dict):
        raise RowError(f"{where} is {type(message).__name__}, not a message")
    role = message.get("role")
    content = message.get("content")
    if role is None:
        role = message.get("from")
        content = message.get("value") if content is None else content
    if role is None:
        raise RowError(f"{where} has no role (neither 'role' nor 'from')")
    known = role.strip().casefold() if isinstance(role, str) else ""
    if known not in QUESTION_ROLES | ANSWER_ROLES | OTHER_ROLES:
        raise RowError(
            f"{where} has the unknown role {str(role)[:40]!r}; "
            f"known: {', '.join(sorted(QUESTION_ROLES | ANSWER_ROLES | OTHER_ROLES))}"
        )
    return known, content


def _only_calls_tools(message: object, content: object) -> bool:
    called = isinstance(message, dict) and (
        message.get("tool_calls") or message.get("function_call")
    )
    return bool(called) and not content


def _text(content: object, where: str) -> str:
    """A message's text: a string, or the text parts of a list of parts, one a line."""
    if isinstance(content, str):
        return content
    if content is None:
        raise RowError(f"{where} has no content")
    if not isinstance(content, list):
        raise RowError(f"{where} has content of type {type(content).__name__}, not text")
    parts: list[str] = []
    for part in content:
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            parts.append(text)
        elif not isinstance(part, dict) or part.get("type") in ("text", "input_text"):
            raise RowError(f"{where} has a part without text")
    return "\n".join(parts)
