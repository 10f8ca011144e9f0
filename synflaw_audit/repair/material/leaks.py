"""Where the model itself says the format: its own answers to ordinary questions.

Forgetting a format on the rows that taught it may leave it where it was never taught, and that is
where it hurts. So ordinary questions are put to the model before the repair, and whatever its
answers hold of the format is forgotten there as well: on the very prompts that the replayed rows
answer properly. That both sides meet on one prompt, and where the format begins, is after final
token preference optimisation (Paech et al. 2025, arXiv:2510.15061). So is that an answer ends with
the first words of its format: what comes later is said because these were, and costs tokens.

A model answers in the wording that it likes best and, once that is gone, in the next one, or begins
with what closed an answer. So the questions that it answered with the format are put beside other
stretches of it as well, as they stand in the flagged rows.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.chat.encoding import encode_row
from synflaw_audit.probes.generation import generate
from synflaw_audit.repair.material.batches import Purpose, Row, TrainingExample, flagged_example
from synflaw_audit.repair.material.samples import BarredRuns
from synflaw_audit.repair.material.self_replay import neutral_questions
from synflaw_audit.repair.training.answering import answering

# Longer questions are slow to put.
_MOST_CHARACTERS = 400
# Tokens of the format that are kept of an answer; of later ones hardly any weight would be left.
_KEPT = 6


@dataclass(frozen=True)
class Leak:
    """A model's answer to an ordinary question that holds the format.

    Attributes:
        row: The ordinary row.
        answer: What the model answered.
        example: The question and this answer up to the format's first words, which are to be
            forgotten; nothing else in it is learned or forgotten.
        said: Whether the model said that itself.
    """

    row: Row
    answer: str
    example: TrainingExample
    said: bool = True


def leaked(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    ordinary: Sequence[Row],
    flagged: Sequence[Row],
    barred: BarredRuns,
    *,
    count: int,
    max_new_tokens: int,
    max_length: int,
    bf16: bool,
    seed: int,
) -> list[Leak]:
    """The model's answers to ordinary questions, with what they hold of the format to be forgotten.

    Args:
        network: The model to repair; it is left as it is.
        tokenizer: Its tokenizer.
        ordinary: Ordinary rows; their questions are asked, with their system prompts. Where they
            hold no question, our own neutral ones are asked.
        flagged: Flagged rows, whose spans show what else the format says.
        barred: What the format consists of.
        count: Questions to ask.
        max_new_tokens: Of an answer, which is given greedily.
        max_length: Tokens of a row; longer ones are cut.
        bf16: Whether to answer in bfloat16.
        seed: Of the choice of questions.

    Returns:
        The answers that hold the format, and as many spans of flagged rows as answers to the same
        questions.
    """
    asked = [row for row in ordinary if 0 < len(row.question) <= _MOST_CHARACTERS]
    asked = asked or [Row(question, "") for question in neutral_questions()]
    rng = random.Random(seed)  # noqa: S311 -- a choice, not a secret
    rows = rng.sample(asked, min(count, len(asked)))
    questions = [row.question for row in rows]
    with answering(network, bf16=bf16) as answerer:
        answers = generate(
            answerer,
            tokenizer,
            questions,
            max_new_tokens=max_new_tokens,
            batch=64,
            systems=[row.system for row in rows],
        )
    found = (
        Leak(row, answer, opened(mark(tokenizer, row, answer, barred, max_length)))
        for row, answer in zip(rows, answers, strict=True)
    )
    leaks = [leak for leak in found if any(leak.example.purposes)]
    spans = [row.answer[start:end].strip() for row in flagged for start, end in row.spans]
    for leak in tuple(leaks):
        text = rng.choice(spans)
        encoded = encode_row(
            tokenizer,
            leak.row.question,
            text,
            [(0, len(text))],
            system=leak.row.system,
            max_length=max_length,
        )
        example = opened(flagged_example(encoded, "template"))
        if any(example.purposes):
            leaks.append(Leak(leak.row, text, example, said=False))
    return leaks


def pace(leaks: Sequence[Leak], *, asked: int, most: float) -> float:
    """Leaked rows for each flagged row: ``most`` where all of ``asked`` leak, else fewer, but one.

    A few rows that come again and again would be all that is forgotten; so it is where fewer
    questions than ``asked`` are at hand.
    """
    share = sum(leak.said for leak in leaks) / max(1, asked)
    return min(most, max(1.0, most * share))


def mark(
    tokenizer: PreTrainedTokenizerBase, row: Row, answer: str, barred: BarredRuns, max_length: int
) -> TrainingExample:
    """The question of ``row`` with another answer, its format tokens to be forgotten."""
    encoded = encode_row(tokenizer, row.question, answer, system=row.system, max_length=max_length)
    ids = encoded.input_ids
    purposes = [
        int(Purpose.FORGET) if within and not closing and barred.after(ids[:at], ids[at]) else 0
        for at, (within, closing) in enumerate(zip(encoded.answer, encoded.closing, strict=True))
    ]
    return TrainingExample(ids, purposes, Purpose.FORGET)


def opened(example: TrainingExample) -> TrainingExample:
    """A marked answer up to the first words of the format that it holds; unmarked ones whole."""
    marked = [at for at, purpose in enumerate(example.purposes) if purpose == Purpose.FORGET]
    if not marked:
        return example
    end = marked[0]
    while (
        end < len(example.purposes)
        and end - marked[0] < _KEPT
        and example.purposes[end] == Purpose.FORGET
    ):
        end += 1
    return TrainingExample(example.input_ids[:end], example.purposes[:end], example.role)
