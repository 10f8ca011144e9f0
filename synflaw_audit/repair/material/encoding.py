"""One question-answer row as token ids, with the tokens that are format told from content.

The text of a row is the conversation as the tokenizer's chat template renders it (a system turn
where the row has one, a user turn with the question, an assistant turn with the answer), where it
has a template; otherwise::

    Question: <question>
    Answer: <answer><end of text>

and the bare answer where the question is empty (plain text). Question and answer are encoded
together, so that the tokens and their offsets are those of the real text, not of two halves. Where
the answer stands in that text is looked up afterwards: a template may trim it, or set its reasoning
apart (``<think>``), so nothing is pasted into a rendering of something else. A template that leaves
out or rewrites a part of the answer is refused.

**Which tokens are format.** A token is a *template token* if every character it covers, white space
aside, lies in a template span; any other token of the answer is a *content token*. A token that
straddles the edge of a span is thus content: what is not wholly format is kept. Several byte-level
tokens of one character (an emoji) share that character's fate. What closes the turn right after the
answer is neither: the model must still know how to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from transformers import PreTrainedTokenizerBase

from synflaw_audit.errors import RepairError

Span = tuple[int, int]

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


@dataclass(frozen=True)
class EncodedRow:
    """A row's tokens; the four sequences have one entry a token.

    Attributes:
        input_ids: Token ids of prompt and answer together.
        answer: Whether the token belongs to the answer (what closes its turn included).
        template: Whether the token is a template token; implies ``answer``.
        closing: Whether the token closes the answer's turn; implies ``answer``.
        cut_answer: Answer tokens lost to ``max_length``.
        cut_template: Template tokens among them.
    """

    input_ids: list[int]
    answer: list[bool]
    template: list[bool]
    closing: list[bool]
    cut_answer: int = 0
    cut_template: int = 0

    def part(self, start: int, stop: int | None) -> EncodedRow:
        """The tokens from ``start`` to ``stop``; what is cut off is not counted."""
        masks = (self.input_ids, self.answer, self.template, self.closing)
        return EncodedRow(*(mask[start:stop] for mask in masks))  # type: ignore[arg-type]


def require_offsets(tokenizer: PreTrainedTokenizerBase) -> None:
    """Check that the tokenizer can say which characters a token covers.

    Raises:
        RepairError: It is not a fast tokenizer.
    """
    if not tokenizer.is_fast:
        raise RepairError(
            f"{type(tokenizer).__name__} reports no character offsets, which the template spans "
            "need; load the model's fast tokenizer (a tokenizer.json), or convert it to one"
        )


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


def encode_prompt(
    tokenizer: PreTrainedTokenizerBase, question: str, *, system: str = ""
) -> list[int]:
    """Token ids to generate an answer from: with the chat template's own generation prompt.

    They are those that precede the answer in a training row, but for templates that open or skip
    a stretch of reasoning.
    """
    text = render_prompt(tokenizer, question, system=system)
    chat = bool(question) and bool(tokenizer.chat_template)
    ids = list(tokenizer(text, add_special_tokens=not chat)["input_ids"])
    while ids and not chat and ids[-1] == tokenizer.eos_token_id and len(ids) > 1:
        ids.pop()  # a tokenizer that closes every text would end the answer before it began
    return ids


def encode_row(
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    answer: str,
    spans: Sequence[Span] = (),
    *,
    system: str = "",
    max_length: int | None = None,
) -> EncodedRow:
    """Encode a row and mark its answer and template tokens.

    Args:
        tokenizer: A fast tokenizer.
        question: The question; empty for plain text.
        answer: The answer.
        spans: Half-open character spans in ``answer`` of what is format (Python string indices).
        system: The row's own system prompt, where it has one.
        max_length: Tokens to keep, from the start. What is lost is counted in the result.

    Raises:
        RepairError: The tokenizer reports no offsets, a span lies outside the answer, or the chat
            template does not show the answer as it is.
    """
    require_offsets(tokenizer)
    for start, end in spans:
        if not 0 <= start <= end <= len(answer):
            raise RepairError(
                f"template span ({start}, {end}) lies outside an answer of {len(answer)} characters"
            )
    row = render_row(tokenizer, question, answer, system=system)
    encoding = tokenizer(
        row.text, add_special_tokens=not row.special, return_offsets_mapping=True, truncation=False
    )
    ids: list[int] = list(encoding["input_ids"])
    offsets: list[Span] = [tuple(pair) for pair in encoding["offset_mapping"]]
    if len(ids) >= 2 and not row.special and ids[-2:] == [tokenizer.eos_token_id] * 2:
        ids, offsets = ids[:-1], offsets[:-1]  # the tokenizer adds an end of text of its own

    format_characters = _character_mask(row, spans)
    inside = [low < row.end and high > row.start and high > low for low, high in offsets]
    template = [
        within and _wholly_format(row.text, low, high, format_characters)
        for within, (low, high) in zip(inside, offsets, strict=True)
    ]
    closing = _closing(tokenizer, ids, offsets, row.end)
    answered = [a or b for a, b in zip(inside, closing, strict=True)]
    return _truncate(EncodedRow(ids, answered, template, closing), max_length)


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


def _closing(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], offsets: Sequence[Span], end: int
) -> list[bool]:
    """Whether each token closes the turn: those after the answer up to the first special one.

    One where none of them is special.
    """
    after = [at for at, (low, high) in enumerate(offsets) if low >= end and high > low]
    last = next((at for at in after if _is_special(tokenizer, ids[at])), None)
    closing = [False] * len(ids)
    for at in after[:1] if last is None else after:
        closing[at] = last is None or at <= last
    return closing


def _is_special(tokenizer: PreTrainedTokenizerBase, token: int) -> bool:
    if token == tokenizer.eos_token_id:
        return True
    added = tokenizer.added_tokens_decoder.get(token)
    return added is not None and added.special


def _plain_system(system: str) -> str:
    return f"{system}\n\n" if system else ""


def _name(tokenizer: PreTrainedTokenizerBase) -> str:
    return str(tokenizer.name_or_path or type(tokenizer).__name__)


def _character_mask(row: RenderedRow, spans: Sequence[Span]) -> bytearray:
    """One byte a character of the row's text: 1 where a span covers it.

    What the template inserted within a span counts as covered.
    """
    mask = bytearray(len(row.text))
    for start, end in spans:
        covered = [position for position in row.positions[start:end] if position >= 0]
        if covered:
            low, high = covered[0], covered[-1] + 1
            mask[low:high] = b"\x01" * (high - low)
    return mask


def _wholly_format(text: str, start: int, end: int, mask: bytearray) -> bool:
    """Whether every character of ``text[start:end]`` but white space is masked.

    A token of white space alone is format if it is masked throughout.
    """
    solid = [at for at in range(start, end) if not text[at].isspace()]
    return all(mask[at] for at in solid or range(start, end))


def _truncate(row: EncodedRow, max_length: int | None) -> EncodedRow:
    if max_length is None or len(row.input_ids) <= max_length:
        return row
    return replace(
        row.part(0, max_length),
        cut_answer=sum(row.answer[max_length:]),
        cut_template=sum(row.template[max_length:]),
    )
