"""How long a training would take: one micro-batch is timed, and no step taken."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Collator, TrainingExample
from synflaw_audit.repair.methods.forgetting.cache import (
    CachedReference,
    Wanted,
    check_size,
    wanted_columns,
)
from synflaw_audit.repair.methods.forgetting.reference import (
    BIAS_ROWS,
    Reference,
    make_reference,
)
from synflaw_audit.repair.methods.forgetting.terms import StepLoss, token_counts
from synflaw_audit.repair.training.forward import output_layer


def seconds_of(
    model: Any,
    config: RepairConfig,
    plan: Sequence[TrainingExample],
    load_reference: Callable[[], PreTrainedModel] | None,
    collator: Collator,
) -> float:
    """Seconds of training over the plan on this machine, without the checks.

    A short row warms up; then the micro-batch of the middle of the plan is timed, forward and
    backward. Nothing is changed, and no more is held than the training itself would.

    Raises:
        RepairError: The reference does not fit the model, or its cache would become too large.
    """
    size = config.per_device_train_batch_size or 1
    middle = max(0, (len(plan) - size) // 2)
    timed = plan[middle : middle + size]
    short = min(plan, key=lambda example: len(example.input_ids))
    given = load_reference() if load_reference else None
    caching, reference = _reference(config, model, given, plan, [short, *timed])
    del given
    loss = StepLoss(config, output_layer(model), reference)
    model.train()
    _step(model, loss, collator, [short], config)
    started = time.perf_counter()
    _step(model, loss, collator, timed, config)
    seconds = time.perf_counter() - started
    tokens = sum(len(example.input_ids) for example in plan)
    return caching + seconds * tokens / sum(len(example.input_ids) for example in timed)


def _step(
    model: Any,
    loss: StepLoss,
    collator: Collator,
    rows: Sequence[TrainingExample],
    config: RepairConfig,
) -> None:
    device = next(model.parameters()).device
    batch = {name: value.to(device) for name, value in collator(rows).items()}
    mixed = (
        torch.autocast(device.type, dtype=torch.bfloat16)
        if config.bf16
        else contextlib.nullcontext()
    )
    with mixed:
        value = loss(model, batch, token_counts(batch, config.decay, config.opening_weight))[0]
    torch.autograd.backward(value)
    model.zero_grad()
    if device.type == "cuda":
        torch.cuda.synchronize()


def _reference(
    config: RepairConfig,
    model: Any,
    given: PreTrainedModel | None,
    plan: Sequence[TrainingExample],
    timed: Sequence[TrainingExample],
) -> tuple[float, Reference | CachedReference | None]:
    """The seconds of making the whole reference, and one that serves the timed rows."""
    started = time.perf_counter()
    reference = make_reference(config, model, given, timed)
    if not isinstance(reference, CachedReference):
        return 0.0, reference
    elapsed = time.perf_counter() - started
    wanted, made = (_wanted(config, rows) for rows in (plan, timed))
    return elapsed * len(wanted) / max(1, len(made)), reference


def cache_size(config: RepairConfig, plan: Sequence[TrainingExample]) -> int:
    """Bytes that a cached reference would keep for the plan.

    Raises:
        RepairError: More than allowed.
    """
    limit = config.reference_cache_mb * 1e6
    return check_size(_wanted(config, plan), config.reference_top_k, limit)


def _wanted(config: RepairConfig, rows: Sequence[TrainingExample]) -> Wanted:
    first, last = BIAS_ROWS[config.bias_rows]
    return wanted_columns(rows, range(first, last + 1))
