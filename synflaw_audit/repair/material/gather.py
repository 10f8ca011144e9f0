"""Everything a repair trains on or measures, read, split, encoded and put into order."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import (
    Cuts,
    Purpose,
    Row,
    TrainingExample,
    encode_rows,
    mix,
)
from synflaw_audit.repair.material.flagged import FlaggedRows, flaw_of, hold_out, read_replay
from synflaw_audit.repair.material.leaks import Leak, leaked, pace
from synflaw_audit.repair.material.redress import with_requests
from synflaw_audit.repair.material.reexpress import content_pieces, reexpress
from synflaw_audit.repair.material.samples import BarredRuns, sample_answers

if TYPE_CHECKING:
    from synflaw_audit.reading import SourceLike

_MAX_REPLAY_ROWS = 50_000
# Rows that are measured whatever that costs, of either kind; more of them as long as measuring them
# once takes no more than a share of the tokens that are trained on.
_LEAST_MEASURED = 32
_MEASURED_SHARE = 0.25
# Of the model's own answers: a format that is said at all is mostly said early.
_LEAK_TOKENS = 16
# No row is shorter: what a budget of tokens cannot visit need not be read.
_FEWEST_TOKENS = 16


@dataclass(frozen=True)
class Material:
    """What to train on, in order, and what to measure on.

    Attributes:
        plan: Training rows in order, a row as often as it is visited.
        measured: Flagged rows that ``plan`` does not hold, encoded with scope ``template`` if they
            have spans; some that it holds where there are too few (see ``seen``).
        held_out: Replay rows that ``plan`` does not hold.
        forgotten: The flagged rows that it draws from.
        replay: The replay rows that it draws from.
        leaked: The model's own answers to ordinary questions that hold the format.
        pairs: Answers to one question: without the format, and with it.
        ordinary: The text of held-out replay rows, to ask their questions.
        flagged: The text of the flagged rows.
        rows: Rows of each kind: ``flagged``, ``replay``, ``retain``, ``held_out`` (replay rows) and
            ``held_out_flagged``; also ``samples``, how many of ``retain`` are such, and ``leaked``.
        cuts: What ``max_length`` cut from the training rows.
        flaw: What the audit finds wrong with the replay rows, in a sentence, or None.
        seen: Whether ``measured`` rows are trained on, because there are too few flagged rows.
    """

    plan: list[TrainingExample]
    measured: list[TrainingExample]
    held_out: list[TrainingExample]
    forgotten: list[TrainingExample]
    replay: list[TrainingExample]
    leaked: list[TrainingExample]
    pairs: list[tuple[TrainingExample, TrainingExample]]
    ordinary: list[Row]
    flagged: list[Row]
    rows: dict[str, int]
    cuts: Cuts
    flaw: str | None
    seen: bool


def gather(
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
) -> Material:
    """Read the replay rows, hold some of these and of the flagged rows out, encode, and order.

    Args:
        tokenizer: The model's tokenizer.
        flagged: The audit's flagged rows.
        replay: Ordinary rows.
        retain: Further rows to learn.
        config: The settings.
        context: Positions the model was built for, where known: the upper limit of a row's length.
        question: The replay corpus's question column, where it is not found by itself.
        answer: Its answer column, likewise.
        network: The model, where its own answers are wanted (``config.samples``, ``leaks``).

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
    trained, measured = hold_out(flagged.rows, config.held_out, config.seed)
    seen = not measured
    if seen:
        measured = trained
    if config.token_limit is not None:
        trained = _some(trained, max(1, config.token_limit // _FEWEST_TOKENS), config.seed)
    if config.replay_requests:
        train = with_requests(train, config.replay_requests, config.seed)
    if config.scope == "template":
        told_anew = reexpress(trained, rows, renderings=config.renderings, seed=config.seed)
        retain = [*retain, *told_anew]
    cuts, uncounted = Cuts(), Cuts()

    def encode(rows: Sequence[Row], role: Purpose, scope: str, into: Cuts) -> list[TrainingExample]:
        return encode_rows(tokenizer, rows, role, scope=scope, max_length=limit, cuts=into)

    examples = {
        "flagged": encode(trained, Purpose.FORGET, config.scope, cuts),
        "replay": encode(train, Purpose.REPLAY, config.scope, cuts),
        "retain": encode(retain, Purpose.RETAIN, config.scope, cuts),
        "held_out": encode(held, Purpose.REPLAY, config.scope, uncounted),
    }
    if network is not None and config.samples and config.scope == "template":
        own = _own_answers(network, tokenizer, trained, rows, examples, config)
        examples["retain"] += encode(own, Purpose.RETAIN, config.scope, cuts)
        examples["samples"] = encode(own, Purpose.RETAIN, config.scope, uncounted)
    leaks: list[Leak] = []
    if network is not None and config.leaks and config.scope == "template":
        leaks = _leaked(network, tokenizer, train, trained, examples, config, limit)
        examples["leaked"] = [leak.example for leak in leaks]
    if not any(Purpose.FORGET in example.purposes for example in examples["flagged"]):
        raise RepairError(
            f"not one token to forget is left within {limit} tokens of a row: raise max_length"
        )
    plan = mix(
        examples["flagged"],
        examples["replay"],
        examples["retain"],
        examples.get("leaked", ()),
        replay_ratio=config.replay_ratio,
        leak_ratio=pace(leaks, asked=config.leaks, most=config.leak_ratio),
        passes=config.passes,
        tokens=config.token_limit,
        seed=config.seed,
    )
    if not plan:
        raise RepairError(
            f"a budget of {config.token_limit} tokens does not hold one row; raise tokens"
        )
    spans = any(row.spans for row in measured)
    # Whole answers stand in for the format where the audit names none.
    scope = "template" if spans else "answer"
    spent = sum(len(example.input_ids) for example in plan)
    affordable = _affordable(encode(measured, Purpose.FORGET, scope, uncounted), spent)
    ordinary = _affordable(examples["held_out"], spent)
    counts = {name: len(found) for name, found in examples.items()}
    return Material(
        plan=plan,
        measured=affordable,
        held_out=ordinary,
        forgotten=examples["flagged"],
        replay=examples["replay"],
        leaked=examples.get("leaked", []),
        pairs=list(
            _pairs(trained, leaks, lambda row, role: encode([row], role, "answer", uncounted))
        ),
        ordinary=held,
        flagged=list(flagged.rows),
        rows={
            **counts,
            "held_out": len(ordinary),
            "held_out_flagged": 0 if seen else len(affordable),
        },
        cuts=cuts,
        flaw=flaw_of(rows, config.seed) if config.audit_replay else None,
        seen=seen,
    )


def _some(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """``count`` of the rows at random, in their order."""
    rng = random.Random(seed)  # noqa: S311 -- a sample, not a secret
    return [rows[at] for at in sorted(rng.sample(range(len(rows)), min(count, len(rows))))]


def _affordable(examples: Sequence[TrainingExample], trained_tokens: int) -> list[TrainingExample]:
    """As many of the rows as may be measured; they come in no order that matters."""
    kept: list[TrainingExample] = []
    tokens = 0
    for example in examples:
        tokens += len(example.input_ids)
        if len(kept) >= _LEAST_MEASURED and tokens > _MEASURED_SHARE * trained_tokens:
            break
        kept.append(example)
    return kept


def _own_answers(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    flagged: Sequence[Row],
    replay: Sequence[Row],
    examples: dict[str, list[TrainingExample]],
    config: RepairConfig,
) -> list[Row]:
    """The model's own answers to flagged questions, kept from the format that the rows show."""
    return sample_answers(
        placed(network, config),
        tokenizer,
        flagged,
        replay,
        BarredRuns.of(examples["flagged"], examples["replay"]),
        count=config.samples,
        context=context_length(network.config),
        seed=config.seed,
    )


def _pairs(
    flagged: Sequence[Row],
    leaks: Sequence[Leak],
    encode: Callable[[Row, Purpose], list[TrainingExample]],
) -> Iterator[tuple[TrainingExample, TrainingExample]]:
    """What flagged rows say without and with their format; ordinary answers and the model's own."""
    for row in flagged:
        content = " ".join(content_pieces(row))
        if content and row.question:
            yield from _encoded_pair(encode, replace(row, answer=content, spans=()), row)
    for leak in leaks:
        if leak.said and leak.row.answer:  # none where the question is one of our own
            yield from _encoded_pair(encode, leak.row, replace(leak.row, answer=leak.answer))


def _encoded_pair(
    encode: Callable[[Row, Purpose], list[TrainingExample]], chosen: Row, rejected: Row
) -> Iterator[tuple[TrainingExample, TrainingExample]]:
    """Both rows, unless one has no token of its answer left."""
    yield from zip(encode(chosen, Purpose.REPLAY), encode(rejected, Purpose.FORGET), strict=False)


def _leaked(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    ordinary: Sequence[Row],
    flagged: Sequence[Row],
    examples: dict[str, list[TrainingExample]],
    config: RepairConfig,
    limit: int,
) -> list[Leak]:
    """What the model's own answers to ordinary questions hold of the format."""
    return leaked(
        placed(network, config),
        tokenizer,
        ordinary,
        flagged,
        BarredRuns.of(examples["flagged"], examples["replay"]),
        count=config.leaks,
        max_new_tokens=_LEAK_TOKENS,
        max_length=limit,
        bf16=bool(config.bf16),
        seed=config.seed,
    )


def placed(network: PreTrainedModel, config: RepairConfig) -> PreTrainedModel:
    """The model where it will be trained, to be asked there."""
    if not getattr(network, "is_quantized", False) and not hasattr(network, "hf_device_map"):
        torch.nn.Module.to(network, config.device)
    return network


def context_length(configuration: PretrainedConfig) -> int | None:
    """How many positions the model was built for, where its config says."""
    length = getattr(configuration.get_text_config(), "max_position_embeddings", None)
    return length if isinstance(length, int) and length > 0 else None


def _replay_rows(flagged: int, config: RepairConfig) -> int:
    """How many replay rows to sample: what one run can use, and those held out."""
    if config.token_limit is not None:
        # Enough to be chosen from, and to show what requests look like.
        return min(_MAX_REPLAY_ROWS, 2_000 + config.token_limit // _FEWEST_TOKENS)
    used = math.ceil(flagged * config.replay_ratio * max(1, config.passes))
    # At least five: a fifth is held out, and one row must remain to do so.
    return max(5, min(_MAX_REPLAY_ROWS, used + config.held_out))
