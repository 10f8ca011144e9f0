"""From rows to batches: what each token is trained for, in which order, padded how.

Every row has one role, every target token one purpose. One batch holds rows of all roles, sorted by
role, so that a step is one forward pass and the rows that need the reference model are a slice.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from synflaw_audit.chat.encoding import EncodedRow, encode_row
from synflaw_audit.findings.finding import Span


class Purpose(IntEnum):
    """What a token is trained for as a prediction target; rows carry the purpose of their kind."""

    NONE = 0
    FORGET = 1
    RETAIN = 2
    REPLAY = 3


@dataclass(frozen=True)
class Row:
    """A row to train on.

    Attributes:
        question: The question; empty for plain text.
        answer: The answer.
        spans: Of flagged rows, the character spans of the answer that are format.
        system: The row's own system prompt, where it has one.
    """

    question: str
    answer: str
    spans: tuple[Span, ...] = ()
    system: str = ""


@dataclass(frozen=True)
class TrainingExample:
    """An encoded row: token ids and, one entry a token, the :class:`Purpose` as a target."""

    input_ids: list[int]
    purposes: list[int]
    role: Purpose


@dataclass
class Cuts:
    """What ``max_length`` cost: rows cut, and the answer and template tokens lost with them."""

    rows: int = 0
    answer_tokens: int = 0
    template_tokens: int = 0

    def add(self, row: EncodedRow) -> None:
        """Count one encoded row."""
        self.rows += row.cut_answer > 0
        self.answer_tokens += row.cut_answer
        self.template_tokens += row.cut_template


def flagged_example(row: EncodedRow, scope: str) -> TrainingExample:
    """A flagged row: template tokens (scope ``template``) or the whole answer to be forgotten.

    Under ``template`` the content tokens are retained, with what closes the turn; under ``answer``
    nothing is retained, and what closes the turn is left alone: it is no format.
    """

    def purpose(answer: bool, template: bool, closing: bool) -> Purpose:
        if template or (scope == "answer" and answer and not closing):
            return Purpose.FORGET
        return Purpose.RETAIN if answer and scope == "template" else Purpose.NONE

    purposes = list(map(purpose, row.answer, row.template, row.closing))
    return TrainingExample(row.input_ids, list(map(int, purposes)), Purpose.FORGET)


def ordinary_example(row: EncodedRow, role: Purpose) -> TrainingExample:
    """A replayed or re-expressed row: the whole answer is learned."""
    return TrainingExample(
        row.input_ids, [int(role) if answer else 0 for answer in row.answer], role
    )


def encode_rows(
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    role: Purpose,
    *,
    scope: str,
    max_length: int,
    cuts: Cuts,
) -> list[TrainingExample]:
    """Encode rows of one role; rows left without any target token are dropped, cuts are counted.

    Plain text (an empty question) longer than ``max_length`` is split, not cut.
    """
    examples = []
    for row in rows:
        encoded = encode_row(
            tokenizer,
            row.question,
            row.answer,
            row.spans,
            system=row.system,
            max_length=max_length if row.question else None,
        )
        pieces = [encoded]
        if len(encoded.input_ids) > max_length:
            pieces = [
                encoded.sliced(at, at + max_length)
                for at in range(0, len(encoded.input_ids), max_length)
            ]
        for piece in pieces:
            cuts.add(piece)
            example = (
                flagged_example(piece, scope)
                if role is Purpose.FORGET
                else ordinary_example(piece, role)
            )
            if any(example.purposes[1:]):
                examples.append(example)
    return examples


def mix(
    flagged: Sequence[TrainingExample],
    replay: Sequence[TrainingExample],
    retain: Sequence[TrainingExample] = (),
    leaked: Sequence[TrainingExample] = (),
    *,
    replay_ratio: float,
    leak_ratio: float = 1.0,
    passes: float,
    tokens: int | None,
    seed: int,
) -> list[TrainingExample]:
    """The order of training: every stretch of it holds the roles in the same proportion.

    Args:
        flagged: Rows to forget from; one pass visits each once, reshuffled every pass.
        replay: Ordinary rows, ``replay_ratio`` of them for each flagged row, reused when exhausted.
        retain: Further rows to learn, spread evenly over each pass.
        leaked: Further rows to forget from, ``leak_ratio`` of them for each flagged row, likewise.
        replay_ratio: Replay rows for each flagged row, >= 0.
        leak_ratio: Leaked rows for each flagged row, >= 0.
        passes: Passes over ``flagged``, when ``tokens`` is None.
        tokens: Stop at the last row that fits into this many tokens, prompts included, however
            many passes it takes.
        seed: Seed of every shuffle.

    Returns:
        The examples in order, an example as often as it is visited.
    """
    shares = (
        (flagged, 1.0),
        (replay, replay_ratio),
        (retain, len(retain) / max(1, len(flagged))),
        (leaked, leak_ratio),
    )
    streams = [
        (share, _cycle(examples, seed + index))
        for index, (examples, share) in enumerate(shares)
        if examples and share > 0
    ]
    if not streams:
        return []
    # Without flagged rows (a control arm that only replays) the pace is the replay's own.
    turns = (len(flagged) or len(replay)) * passes
    owed = [0.0] * len(streams)
    order: list[TrainingExample] = []
    spent = turn = 0
    while tokens is not None or turn < turns:
        turn += 1
        for index, (share, stream) in enumerate(streams):
            owed[index] += share
            while owed[index] >= 1 - 1e-9:
                owed[index] -= 1
                example = next(stream)
                spent += len(example.input_ids)
                if tokens is not None and spent > tokens:
                    return order
                order.append(example)
    return order


def _cycle(examples: Sequence[TrainingExample], seed: int) -> Iterator[TrainingExample]:
    """Every example once, shuffled; then again in another order, for ever. Empty: nothing."""
    generator = random.Random(seed)  # noqa: S311 - an order, not a secret
    while examples:
        yield from generator.sample(examples, len(examples))


@dataclass(frozen=True)
class Collator:
    """Pads a list of examples, sorted by role, into one batch.

    The mask, not the padding id, says what is padding, so a tokenizer whose pad token is its end of
    text loses nothing. Positions are given on left padding only, where models cannot infer them.

    Attributes:
        pad_id: Id that fills the padding.
        side: ``right`` or ``left``.
    """

    pad_id: int
    side: str = "right"

    def __call__(self, examples: Sequence[TrainingExample]) -> dict[str, Tensor]:
        """A batch of ``b`` rows padded to the longest, ``t``.

        Returns:
            ``input_ids``, ``attention_mask`` and ``purposes``, int64 of shape ``(b, t)``; on left
            padding also ``position_ids``.
        """
        rows = sorted(examples, key=lambda example: example.role)
        length = max(len(row.input_ids) for row in rows)
        batch = {
            "input_ids": self._pad([row.input_ids for row in rows], length, self.pad_id),
            "attention_mask": self._pad([[1] * len(row.input_ids) for row in rows], length, 0),
            "purposes": self._pad([[0, *row.purposes[1:]] for row in rows], length, 0),
        }
        if self.side == "left":
            batch["position_ids"] = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        return batch

    def _pad(self, rows: Sequence[Sequence[int]], length: int, value: int) -> Tensor:
        padded: list[list[Any]] = []
        for row in rows:
            filler = [value] * (length - len(row))
            padded.append([*filler, *row] if self.side == "left" else [*row, *filler])
        return torch.tensor(padded, dtype=torch.long)


def pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id to pad with: the pad token, or the end of text, or 0; the mask hides it either way."""
    for candidate in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(candidate, int):
            return candidate
    return 0
