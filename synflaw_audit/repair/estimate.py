"""What a repair will take, without doing it: tokens, time and memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Collator, Example, Row, pad_id
from synflaw_audit.repair.material.flagged import read_flagged
from synflaw_audit.repair.material.prepare import context_length, prepare
from synflaw_audit.repair.methods.forgetting.forward import output_layer
from synflaw_audit.repair.methods.forgetting.terms import StepLoss, token_counts
from synflaw_audit.repair.methods.task_vector import require_before
from synflaw_audit.repair.storage.folder import library_progress, load, with_adapters
from synflaw_audit.repair.training.cache import CachedReference, check_size, wanted_columns
from synflaw_audit.repair.training.reference import BIAS_ROWS, Reference, make_reference

if TYPE_CHECKING:
    from synflaw_audit.reading import SourceLike

# Micro-batches that are timed; one more before them warms up.
_TIMED = 3


@dataclass(frozen=True)
class Estimate:
    """What a repair would take.

    Attributes:
        tokens: Training tokens, prompts included, padding not.
        steps: Optimiser steps.
        seconds: Of training on this machine, by timing a few micro-batches; without the checks.
        rows: Rows of each kind, as in :class:`~.result.RepairResult`.
        cuts: What ``max_length`` would cut, likewise.
        memory: Bytes: ``weights``, ``gradients``, ``optimizer`` (two moments a weight),
            ``reference``, ``activations`` of the largest micro-batch timed, and their ``total``.
    """

    tokens: int
    steps: int
    seconds: float
    rows: dict[str, int]
    cuts: dict[str, int]
    memory: dict[str, int]


def estimate(
    model: str | Path,
    *,
    forget: str | Path,
    replay: SourceLike | Sequence[Row],
    config: RepairConfig | None = None,
    reference_model: str | Path | None = None,
    retain: Sequence[Row] = (),
    question: str | None = None,
    answer: str | None = None,
    quiet: bool = False,
) -> Estimate:
    """Prepare a repair, time a few micro-batches without taking a step, and write nothing.

    Arguments and errors are those of :func:`~.run.repair`. A single process is assumed.
    """
    config = RepairConfig() if config is None else config
    require_before(config, reference_model)
    flagged = read_flagged(forget, scope=config.scope)
    with library_progress(shown=not quiet):
        network, tokenizer = load(model, config)
        given = None if reference_model is None else load(reference_model, config)[0]
    data = prepare(
        tokenizer,
        flagged,
        replay,
        retain,
        config,
        context=context_length(network),
        question=question,
        answer=answer,
    )
    size = config.per_device_train_batch_size
    batches = [data.plan[at : at + size] for at in range(0, len(data.plan), size)]
    if config.lora:
        network = with_adapters(network, config)
    # The largest first: it warms up, and its activations are the peak.
    largest = max(batches, key=lambda rows: max(len(row.input_ids) for row in rows) * len(rows))
    timed = [largest, *batches[:: max(1, len(batches) // _TIMED)][:_TIMED]]
    held, caching, reference = _reference(config, network, given, data.plan, timed)
    loss = StepLoss(config, output_layer(network), reference)
    per_token, activations = _measure(network, loss, timed, Collator(pad_id(tokenizer)))
    tokens = sum(len(example.input_ids) for example in data.plan)
    trained = sum(_size(p) for p in network.parameters() if p.requires_grad)
    memory = {
        "weights": sum(map(_size, network.parameters())),
        "gradients": trained,
        "optimizer": 2 * trained,
        "reference": held,
        "activations": activations,
    }
    return Estimate(
        tokens=tokens,
        steps=-(-len(batches) // config.gradient_accumulation_steps),
        seconds=tokens * per_token + caching,
        rows={**data.rows, "without_spans": flagged.without_spans},
        cuts=asdict(data.cuts),
        memory={**memory, "total": sum(memory.values())},
    )


def _reference(
    config: RepairConfig,
    network: Any,
    given: PreTrainedModel | None,
    plan: Sequence[Example],
    timed: Sequence[Sequence[Example]],
) -> tuple[int, float, Reference | CachedReference | None]:
    """Bytes of the reference, seconds of making it, and one that serves the timed batches."""
    started = time.perf_counter()
    seen = [example for examples in timed for example in examples]
    reference = make_reference(config, network, given, seen)
    if isinstance(reference, CachedReference):
        elapsed = time.perf_counter() - started
        first, last = BIAS_ROWS[config.bias_rows]
        wanted, made = (wanted_columns(rows, range(first, last + 1)) for rows in (plan, seen))
        limit = config.reference_cache_mb * 1e6
        size = check_size(wanted, config.reference_top_k, limit)
        return size, elapsed * len(wanted) / max(1, len(made)), reference
    if reference is None or reference.model is network:
        return 0, 0.0, reference
    return sum(map(_size, reference.model.parameters())), 0.0, reference


def _measure(
    network: Any, loss: StepLoss, timed: Sequence[Sequence[Example]], collator: Collator
) -> tuple[float, int]:
    """Seconds a token after the first batch, and the bytes that its backward pass needs kept."""
    device = next(network.parameters()).device
    seconds, tokens, activations = 0.0, 0, 0
    network.train()
    for number, examples in enumerate(timed):
        batch = {name: value.to(device) for name, value in collator(examples).items()}
        started = time.perf_counter()
        if number == 0:
            activations = _kept(network, loss, batch)
        else:
            torch.autograd.backward(loss(network, batch, token_counts(batch))[0])
        network.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if number:
            seconds += time.perf_counter() - started
            tokens += sum(len(example.input_ids) for example in examples)
    return seconds / tokens, activations


def _kept(network: Any, loss: StepLoss, batch: dict[str, Tensor]) -> int:
    """Bytes of the tensors that the forward pass keeps for the backward pass, weights apart."""
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        value = loss(network, batch, token_counts(batch))[0]
    torch.autograd.backward(value)
    return sum(storages.values())


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
