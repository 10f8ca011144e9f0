"""One question-answer row as token ids, with the tokens that are format told from content.

Question and answer are encoded together, as ``rendering`` writes them, so that the tokens and their
offsets are those of the real text, not of two halves.

**Which tokens are format.** A token is a *template token* if every character it covers, white space
aside, lies in a template span; any other token of the answer is a *content token*. A token that
straddles the edge of a span is thus content: what is not wholly format is kept. Several byte-level
tokens of one character (an emoji) share that character's fate. What closes the turn right after the
answer is neither: the model must still know how to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from synflaw_audit.chat.rendering import RenderedRow, render_prompt, render_row
from synflaw_audit.errors import RepairError
from synflaw_audit.findings.finding import Span


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

    def sliced(self, start: int, stop: int | None) -> EncodedRow:
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
        row.sliced(0, max_length),
        cut_answer=sum(row.answer[max_length:]),
        cut_template=sum(row.template[max_length:]),
    )
