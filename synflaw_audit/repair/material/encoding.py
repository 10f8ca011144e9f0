"""One question-answer row as token ids, with the tokens that are format told from content.

The text of a row is the tokenizer's chat template, a user turn with the question and an assistant
turn with the answer, where it has one; otherwise::

    Question: <question>
    Answer: <answer><end of text>

and the bare answer where the question is empty (plain text). Question and answer are encoded
together, so that the tokens and their offsets are those of the real text, not of two halves.

**Which tokens are format.** A token is a *template token* if every character it covers, white space
aside, lies in a template span; any other token of the answer is a *content token*. A token that
straddles the edge of a span is thus content: what is not wholly format is kept. Several byte-level
tokens of one character (an emoji) share that character's fate. The end-of-turn token right after
the answer is content: the model must still know how to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from synflaw_audit.errors import RepairError

Span = tuple[int, int]

# Rendered in place of an answer to learn what the template puts around it; private-use characters,
# so that no template or corpus contains it and no template trims it.
_SENTINEL = "\ue000answer\ue001"


@dataclass(frozen=True)
class RenderedRow:
    """A row's text and where the answer stands in it: ``text[start:end]`` is the answer.

    ``shift`` is how many characters of white space the chat template took from the answer's start.
    """

    text: str
    start: int
    end: int
    shift: int
    special: bool


@dataclass(frozen=True)
class EncodedRow:
    """A row's tokens; the three sequences have one entry a token.

    Attributes:
        input_ids: Token ids of prompt and answer together.
        answer: Whether the token belongs to the answer (its end-of-turn token included).
        template: Whether the token is a template token; implies ``answer``.
        cut_answer: Answer tokens lost to ``max_length``.
        cut_template: Template tokens among them.
    """

    input_ids: list[int]
    answer: list[bool]
    template: list[bool]
    cut_answer: int = 0
    cut_template: int = 0


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
    tokenizer: PreTrainedTokenizerBase, question: str, answer: str | None = None
) -> str:
    """The text a question is put to the model in; with ``answer``, the whole text of the row.

    The text holds its special tokens where a chat template writes them: encode it with
    :func:`encode_prompt` rather than by hand.
    """
    if answer is not None:
        return render_row(tokenizer, question, answer).text
    if not question:
        return ""
    if tokenizer.chat_template:
        return _chat(tokenizer, question, None)
    return f"Question: {question}\nAnswer:"


def render_row(tokenizer: PreTrainedTokenizerBase, question: str, answer: str) -> RenderedRow:
    """The whole text of a row, and where its answer stands in it."""
    if not question or not tokenizer.chat_template:
        before = f"Question: {question}\nAnswer: " if question else ""
        start = len(before)
        end_of_text = tokenizer.eos_token if isinstance(tokenizer.eos_token, str) else ""
        text = before + answer + end_of_text
        return RenderedRow(text, start, start + len(answer), 0, special=False)
    before, _, after = _chat(tokenizer, question, _SENTINEL).partition(_SENTINEL)
    shift = 0
    # Some templates trim the answer; the spans then move by what was trimmed from its start.
    if _chat(tokenizer, question, answer) == before + answer.strip() + after:
        shift = len(answer) - len(answer.lstrip())
        answer = answer.strip()
    start = len(before)
    return RenderedRow(before + answer + after, start, start + len(answer), shift, special=True)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, question: str) -> list[int]:
    """Token ids to generate an answer from: those that precede the answer in a training row."""
    text = render_prompt(tokenizer, question)
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
    max_length: int | None = None,
) -> EncodedRow:
    """Encode a row and mark its answer and template tokens.

    Args:
        tokenizer: A fast tokenizer.
        question: The question; empty for plain text.
        answer: The answer.
        spans: Half-open character spans in ``answer`` of what is format (Python string indices).
        max_length: Tokens to keep, from the start. What is lost is counted in the result.

    Raises:
        RepairError: The tokenizer reports no offsets, or a span lies outside the answer.
    """
    require_offsets(tokenizer)
    for start, end in spans:
        if not 0 <= start <= end <= len(answer):
            raise RepairError(
                f"template span ({start}, {end}) lies outside an answer of {len(answer)} characters"
            )
    row = render_row(tokenizer, question, answer)
    encoding = tokenizer(
        row.text, add_special_tokens=not row.special, return_offsets_mapping=True, truncation=False
    )
    ids: list[int] = list(encoding["input_ids"])
    offsets: list[Span] = [tuple(pair) for pair in encoding["offset_mapping"]]
    if len(ids) >= 2 and not row.special and ids[-2:] == [tokenizer.eos_token_id] * 2:
        ids, offsets = ids[:-1], offsets[:-1]  # the tokenizer adds an end of text of its own

    format_characters = _character_mask(row, spans)
    in_answer = [False] * len(ids)
    in_template = [False] * len(ids)
    closed = False
    for position, (start, end) in enumerate(offsets):
        if end <= start:
            continue
        if start < row.end and end > row.start:
            in_answer[position] = True
            in_template[position] = _wholly_format(row.text, start, end, format_characters)
        elif start >= row.end and not closed:
            in_answer[position] = closed = True
    return _truncate(EncodedRow(ids, in_answer, in_template), max_length)


def _chat(tokenizer: PreTrainedTokenizerBase, question: str, answer: str | None) -> str:
    messages: list[dict[str, Any]] = [{"role": "user", "content": question}]
    if answer is not None:
        messages.append({"role": "assistant", "content": answer})
    text = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=answer is None
    )
    if not isinstance(text, str):
        raise RepairError("the tokenizer's chat template did not render to one text")
    return text


def _character_mask(row: RenderedRow, spans: Sequence[Span]) -> bytearray:
    """One byte a character of the row's text: 1 where a span covers it."""
    mask = bytearray(len(row.text))
    for start, end in spans:
        low = max(row.start, row.start + start - row.shift)
        high = min(row.end, row.start + end - row.shift)
        if high > low:
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
    return EncodedRow(
        row.input_ids[:max_length],
        row.answer[:max_length],
        row.template[:max_length],
        cut_answer=sum(row.answer[max_length:]),
        cut_template=sum(row.template[max_length:]),
    )
