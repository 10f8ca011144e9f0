"""One question-answer row as text, as the model is to read it.

The text of a row is the conversation as the tokenizer's chat template renders it (a system turn
where the row has one, a user turn with the question, an assistant turn with the answer), where it
has a template; otherwise::

    Question: <question>
    Answer: <answer><end of text>

and the bare answer where the question is empty (plain text). Where the answer stands in that text
is looked up afterwards: a template may trim it, or set its reasoning apart (``<think>``), so
nothing is pasted into a rendering of something else. A template that leaves out or rewrites a part
of the answer is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from synflaw_audit.errors import RepairError

# Rendered in place of an answer to learn what the template puts after it; private-use characters,
# so that no template or corpus contains it and no template trims it.
_SENTINEL = "\ue000answer\ue001"


@dataclass(frozen=True)
class RenderedRow:
    """A row's text and where the answer stands in it.

    Attributes:
        text: The whole text.
        start: Where the answer begins in it.
        end: Where it ends; what follows closes the turn.
        positions: For each character of the answer its index in ``text``; -1 for white space that
            the chat template took out.
        special: Whether the text already holds the tokenizer's special tokens.
    """

    text: str
    start: int
    end: int
    positions: Sequence[int]
    special: bool


def render_prompt(
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    answer: str | None = None,
    *,
    system: str = "",
) -> str:
    """The text a question is put to the model in; with ``answer``, the whole text of the row.

    The text holds its special tokens where a chat template writes them: encode it with
    :func:`encode_prompt` rather than by hand.
    """
    if answer is not None:
        return render_row(tokenizer, question, answer, system=system).text
    if not question:
        return ""
    if tokenizer.chat_template:
        return _chat(tokenizer, system, question, None)
    return f"{_plain_system(system)}Question: {question}\nAnswer:"


def render_row(
    tokenizer: PreTrainedTokenizerBase, question: str, answer: str, *, system: str = ""
) -> RenderedRow:
    """The whole text of a row, and where its answer stands in it.

    Raises:
        RepairError: The chat template cannot render it, or leaves out or rewrites a part of the
            answer, so that it stands nowhere in the text.
    """
    if not question or not tokenizer.chat_template:
        before = f"{_plain_system(system)}Question: {question}\nAnswer: " if question else ""
        end_of_text = tokenizer.eos_token if isinstance(tokenizer.eos_token, str) else ""
        start, end = len(before), len(before) + len(answer)
        return RenderedRow(
            before + answer + end_of_text, start, end, range(start, end), special=False
        )
    text = _chat(tokenizer, system, question, answer)
    _, found, after = _chat(tokenizer, system, question, _SENTINEL).rpartition(_SENTINEL)
    end = len(text) - len(after)
    positions = _located(text, end, answer) if found and text.endswith(after) else None
    if positions is None:
        shown = answer if len(answer) <= 60 else f"{answer[:57]}..."
        raise RepairError(
            f"the chat template of {_name(tokenizer)} leaves out or rewrites a part of the answer "
            f"{shown!r}, so its tokens cannot be told from the rest; take such rows out, or bring "
            "their answers into the layout that the template writes"
        )
    kept = [position for position in positions if position >= 0]
    start = kept[0] if kept else end
    return RenderedRow(text, start, kept[-1] + 1 if kept else end, positions, special=True)


def _chat(
    tokenizer: PreTrainedTokenizerBase, system: str, question: str, answer: str | None
) -> str:
    """The conversation as the chat template renders it; with a generation prompt if unanswered.

    Some templates know no system turn: the system prompt then opens the user's turn, as their
    documentation has it. Some demand one: an empty one is given where the row has none.
    """
    turns: list[dict[str, Any]] = [{"role": "user", "content": question}]
    if answer is not None:
        turns.append({"role": "assistant", "content": answer})
    with_system = [{"role": "system", "content": system}, *turns]
    joined = [{"role": "user", "content": f"{system}\n\n{question}"}, *turns[1:]]
    tries = (with_system, joined) if system else (turns, with_system)
    failure: Exception | None = None
    for messages in tries:
        try:
            text = tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=answer is None
            )
        except Exception as error:  # a template is a program, and can raise anything
            failure = failure or error
            continue
        if not isinstance(text, str):
            raise RepairError("the tokenizer's chat template did not render to one text")
        if not system or system.strip() in text:
            return text
    raise RepairError(
        f"the chat template of {_name(tokenizer)} does not render a question and its answer: "
        f"{failure or 'it leaves the system prompt out'}"
    )


def _located(text: str, end: int, answer: str) -> Sequence[int] | None:
    """Where each character of ``answer`` stands in ``text``, whose part up to ``end`` ends in it.

    Both are walked from the end; white space that stands in one only is passed over. None where
    anything else differs.
    """
    start = end - len(answer)
    if start >= 0 and text[start:end] == answer:
        return range(start, end)
    positions = [-1] * len(answer)
    at, here = len(answer) - 1, end - 1
    while at >= 0:
        if here >= 0 and answer[at] == text[here]:
            positions[at] = here
            at, here = at - 1, here - 1
        elif here >= 0 and text[here].isspace():
            here -= 1
        elif answer[at].isspace():
            at -= 1
        else:
            return None
    return positions


def _plain_system(system: str) -> str:
    return f"{system}\n\n" if system else ""


def _name(tokenizer: PreTrainedTokenizerBase) -> str:
    return str(tokenizer.name_or_path or type(tokenizer).__name__)
