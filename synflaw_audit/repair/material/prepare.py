"""Everything a repair trains on or measures, read, split, encoded and put into order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Cuts, Example, Purpose, Row, encode_rows, mix
from synflaw_audit.repair.material.flagged import FlaggedRows, flaw_of, hold_out, read_replay
from synflaw_audit.repair.material.redress import with_requests
from synflaw_audit.repair.material.reexpress import reexpress
from synflaw_audit.repair.material.samples import Barred, sample_answers

if TYPE_CHECKING:
    from synflaw_audit.reading import SourceLike

# Flagged rows that the before/after figures are measured on, at most.
_MEASURED_ROWS = 256
_MAX_REPLAY_ROWS = 50_000


@dataclass(frozen=True)
class Prepared:
    """What to train on, in order, and what to measure on.

    Attributes:
        plan: Training rows in order, a row as often as it is visited.
        measured: A sample of the flagged rows, encoded with scope ``template`` if they have spans.
        held_out: Replay rows that ``plan`` does not hold.
        replay: The replay rows that it draws from.
        rows: Rows of each kind: ``flagged``, ``replay``, ``retain``, ``held_out``; where the
            model's own answers were sampled also ``samples``, how many of ``retain`` are such.
        cuts: What ``max_length`` cut from the training rows.
        flaw: What the audit finds wrong with the replay rows, in a sentence, or None.
    """

    plan: list[Example]
    measured: list[Example]
    held_out: list[Example]
    replay: list[Example]
    rows: dict[str, int]
    cuts: Cuts
    flaw: str | None


def prepare(
    tokenizer: PreTrainedTokenizerBase,
    flagged: FlaggedRows,
    replay: SourceLike | Sequence[Row],
    retain: Sequence[Row],
    config: RepairConfig,
    *,
    context: int | None,
    question: str | None = None,
    answer: str | None = None,
    network: PreTrainedModel | None = None,
) -> Prepared:
    """Read the replay rows, hold some out, encode everything, and order it.

    Args:
        tokenizer: The model's tokenizer.
        flagged: The audit's flagged rows.
        replay: Ordinary rows.
        retain: Further rows to learn.
        config: The settings.
        context: Positions the model was built for, where known: the upper limit of a row's length.
        question: The replay corpus's question column, where it is not found by itself.
        answer: Its answer column, likewise.
        network: The model, where its own answers are to be sampled (``config.samples``).

    Raises:
        RepairError: Rows this short hold no template token, or the budget holds no row.
    """
    limit = min(config.max_length, context or config.max_length)
    rows = read_replay(
        replay,
        limit=_replay_rows(len(flagged.rows), config),
        seed=config.seed,
        question=question,
        answer=answer,
    )
    train, held = hold_out(rows, config.held_out, config.seed)
    if config.replay_requests:
        train = with_requests(train, config.replay_requests, config.seed)
    if config.scope == "template":
        told_anew = reexpress(flagged.rows, rows, renderings=config.renderings, seed=config.seed)
        retain = [*retain, *told_anew]
    cuts, uncounted = Cuts(), Cuts()

    def encode(rows: Sequence[Row], role: Purpose, scope: str, into: Cuts) -> list[Example]:
        return encode_rows(tokenizer, rows, role, scope=scope, max_length=limit, cuts=into)

    examples = {
        "flagged": encode(flagged.rows, Purpose.FORGET, config.scope, cuts),
        "replay": encode(train, Purpose.REPLAY, config.scope, cuts),
        "retain": encode(retain, Purpose.RETAIN, config.scope, cuts),
        "held_out": encode(held, Purpose.REPLAY, config.scope, uncounted),
    }
    if network is not None and config.samples and config.scope == "template":
        own = _own_answers(network, tokenizer, flagged.rows, rows, examples, config)
        examples["retain"] += encode(own, Purpose.RETAIN, config.scope, cuts)
        examples["samples"] = encode(own, Purpose.RETAIN, config.scope, uncounted)
    if not any(Purpose.FORGET in example.purposes for example in examples["flagged"]):
        raise RepairError(
            f"not one token to forget is left within {limit} tokens of a row: raise max_length"
        )
    plan = mix(
        examples["flagged"],
        examples["replay"],
        examples["retain"],
        replay_ratio=config.replay_ratio,
        passes=config.num_train_epochs,
        tokens=config.tokens,
        seed=config.seed,
    )
    if not plan:
        raise RepairError(f"a budget of {config.tokens} tokens does not hold one row; raise tokens")
    measured = flagged.rows
    if len(measured) > _MEASURED_ROWS:
        measured = tuple(hold_out(measured, _MEASURED_ROWS, config.seed)[1])
    spans = any(row.spans for row in measured)
    return Prepared(
        plan,
        # Whole answers stand in for the format where the audit names none.
        encode(measured, Purpose.FORGET, "template" if spans else "answer", uncounted),
        examples["held_out"],
        examples["replay"],
        {name: len(found) for name, found in examples.items()},
        cuts,
        flaw_of(rows, config.seed) if config.audit_replay else None,
    )


def _own_answers(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    flagged: Sequence[Row],
    replay: Sequence[Row],
    examples: dict[str, list[Example]],
    config: RepairConfig,
) -> list[Row]:
    """The model's own answers to flagged questions, kept from the format that the rows show."""
    if not getattr(network, "is_quantized", False) and not hasattr(network, "hf_device_map"):
        torch.nn.Module.to(network, config.device)
    return sample_answers(
        network,
        tokenizer,
        flagged,
        replay,
        Barred.of(examples["flagged"], examples["replay"]),
        count=config.samples,
        context=context_length(network),
        seed=config.seed,
    )


def context_length(network: PreTrainedModel) -> int | None:
    """How many positions the model was built for, where its config says."""
    length = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return length if isinstance(length, int) and length > 0 else None


def _replay_rows(flagged: int, config: RepairConfig) -> int:
    """How many replay rows to sample: what one run can use, and those held out."""
    if config.tokens is not None:
        return _MAX_REPLAY_ROWS
    used = math.ceil(flagged * config.replay_ratio * max(1, config.num_train_epochs))
    # At least five: a fifth is held out, and one row must remain to do so.
    return max(5, min(_MAX_REPLAY_ROWS, used + config.held_out))
