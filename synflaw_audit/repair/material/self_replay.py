"""Ordinary rows where none are at hand: neutral questions, answered by a model itself.

Replaying a model's own answers keeps what it could do without any foreign corpus (context-free
synthetic data, arXiv:2505.13811; self-generated dialogues, arXiv:2602.20162). The base from before
the damage answers best; without it the damaged model does, with the format barred from its answers
token by token. Answers in which the format is found all the same are left out, and so are those
that loop or were cut off within their first words.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from importlib import resources

from transformers import LogitsProcessorList, PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.errors import RepairError
from synflaw_audit.probes.generation import generate
from synflaw_audit.repair.material.batches import Cuts, Purpose, Row, encode_rows
from synflaw_audit.repair.material.said import SaidFormat
from synflaw_audit.repair.material.samples import BarredRuns
from synflaw_audit.repair.training.answering import answering

_ANSWER_TOKENS = 64
_LEAST_WORDS = 3
# Of an answer's words, those that may come again; beyond it loops.
_MOST_REPEATED = 0.7
_LEAST_ROWS = 10


def asks_itself(replay: object) -> bool:
    """Whether what is given to replay says that the model is to answer itself."""
    return isinstance(replay, str) and replay == "self"


def neutral_questions() -> list[str]:
    """Our own questions, on which no corpus's format has a place; none is one of the probes'."""
    text = (resources.files(__package__) / "data" / "neutral.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line]


def self_replay(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    flagged: Sequence[Row],
    *,
    barred: bool,
    bf16: bool,
    max_length: int,
    seed: int,
) -> list[Row]:
    """A model's own answers to neutral questions that do not carry the format of flagged rows.

    Args:
        model: The base or, with ``barred``, the damaged model; left as it is.
        tokenizer: Its tokenizer.
        flagged: Flagged rows with their spans.
        barred: Whether what only the format says is barred while the model answers.
        bf16: Whether to answer in bfloat16.
        max_length: Tokens of a flagged row that are looked at.
        seed: Of the order of the rows.

    Raises:
        RepairError: Hardly an answer is left.
    """
    questions = neutral_questions()
    processors = LogitsProcessorList()
    if barred:
        examples = encode_rows(
            tokenizer,
            flagged,
            Purpose.FORGET,
            scope="template",
            max_length=max_length,
            cuts=Cuts(),
        )
        processors.append(BarredRuns.of(examples, ()))
    with answering(model, bf16=bf16) as answerer:
        answers = generate(
            answerer,
            tokenizer,
            questions,
            max_new_tokens=_ANSWER_TOKENS,
            batch=32,
            logits_processor=processors,
        )
    said = SaidFormat.of(flagged, seed)(questions, answers)
    rows = [
        Row(question, answer.strip())
        for question, answer, carries in zip(questions, answers, said, strict=True)
        if not carries and _reads(answer)
    ]
    if len(rows) < _LEAST_ROWS:
        raise RepairError(
            f"replay self: of the model's own answers to {len(questions)} neutral questions only "
            f"{len(rows)} are without the format and read as answers; give a corpus of ordinary "
            "rows (--replay), or the model from before the damage (--reference-model)"
        )
    random.Random(seed).shuffle(rows)  # noqa: S311 -- an order, not a secret
    return rows


def _reads(answer: str) -> bool:
    words = answer.lower().split()
    return len(words) >= _LEAST_WORDS and 1 - len(set(words)) / len(words) <= _MOST_REPEATED
