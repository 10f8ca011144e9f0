"""A training that a guard watches, and what became of it; of any trainer of ``transformers``."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from transformers import PreTrainedModel, PrinterCallback, Trainer

from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Collator, TrainingExample, pad_id
from synflaw_audit.repair.material.gather import Material
from synflaw_audit.repair.measuring.likelihoods import token_probability
from synflaw_audit.repair.methods.base import Applied, Context
from synflaw_audit.repair.methods.guard import Guard
from synflaw_audit.repair.storage.adapters import with_adapters
from synflaw_audit.repair.training.processes import on_main
from synflaw_audit.repair.training.progress import ProgressLines

# Tokens that all checks on the way together look at, as a share of those that are trained on.
_CHECKED_SHARE = 0.25
_FEWEST_CHECKED = 12


def watched(
    make: Callable[[RepairConfig], Trainer],
    model: PreTrainedModel,
    material: Material,
    config: RepairConfig,
    context: Context,
) -> Applied:
    """Train, watched by a :class:`~.guard.Guard`; after a failure the last good weights are back.

    Args:
        make: Makes the trainer of the model, with settings that a trainer can take as they are. If
            it has an attribute ``failure``, that says why it gave up.
        model: The model; changed in place.
        material: What the guard looks at.
        config: The settings, with a batch that fits.
        context: What else the method works with.
    """
    with _scratch_folder(config) as folder:
        trainer = make(
            replace(
                config,
                output_dir=folder,
                # One pass over the plan, which already holds all passes.
                num_train_epochs=1.0,
                disable_tqdm=context.quiet or bool(config.disable_tqdm) or not sys.stderr.isatty(),
            )
        )
        sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
        collator = Collator(pad_id(context.tokenizer))
        guard = _guard(model, material, config, collator, watched=not sharded)
        trainer.add_callback(guard)
        trainer.remove_callback(PrinterCallback)  # the log stands in repair.json
        if not context.quiet and not sys.stderr.isatty():
            trainer.add_callback(ProgressLines())
        started = time.perf_counter()
        trainer.train(resume_from_checkpoint=config.resume_from_checkpoint)
        seconds = time.perf_counter() - started
    failure = getattr(trainer, "failure", None) or guard.failure
    if sharded:
        model = _gathered(trainer, context, failed=failure is not None)
    elif failure:
        guard.restore()
    state = trainer.state
    return Applied(
        model,
        tokens=int(state.num_input_tokens_seen),
        steps=state.global_step,
        seconds=seconds,
        failure=failure,
        says=tuple(_says(guard, failure, sharded=sharded)),
        history=tuple(guard.history),
        log=tuple(_log_lines(state.log_history)),
        config=config,
    )


def _guard(
    model: PreTrainedModel,
    material: Material,
    config: RepairConfig,
    collator: Collator,
    *,
    watched: bool,
) -> Guard:
    stop_below = None
    if config.stop_at_control and material.held_out:
        stop_below = on_main(lambda: token_probability(model, material.held_out, collator))
    trained = sum(len(example.input_ids) for example in material.plan)
    budget = _CHECKED_SHARE * trained / max(1, config.checks) / 2
    return Guard(
        model,
        _within(material.measured, budget),
        _within(material.held_out, budget),
        collator,
        checks=config.checks if watched else 0,
        max_rise=config.max_perplexity_rise,
        stop_below=stop_below,
        batch_size=config.per_device_eval_batch_size,
    )


def _within(rows: Sequence[TrainingExample], tokens: float) -> list[TrainingExample]:
    """The first rows that hold no more tokens together, and a few in any case."""
    kept: list[TrainingExample] = []
    for row in rows:
        tokens -= len(row.input_ids)
        if len(kept) >= _FEWEST_CHECKED and tokens < 0:
            break
        kept.append(row)
    return kept


def _gathered(trainer: Trainer, context: Context, *, failed: bool) -> PreTrainedModel:
    """The trained model in one piece again; the original where the training failed.

    Where every process holds a part of the weights, they are collected into a model loaded anew.
    """
    wrapped = trainer.deepspeed if trainer.is_deepspeed_enabled else trainer.model
    weights = trainer.accelerator.get_state_dict(wrapped)  # all processes take part
    model = context.load_original()
    if context.config.lora:
        model = with_adapters(model, context.config)
    if weights and not failed:
        model.load_state_dict(weights)
    return model


def _says(guard: Guard, failure: str | None, *, sharded: bool) -> Iterator[str]:
    if failure:
        yield f"stopped early and put back the last good weights: {failure}"
    if guard.finished:
        yield f"stopped early, done: {guard.finished}"
    if sharded:
        yield "the model was sharded: it was not watched while it trained"


def _log_lines(history: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    return [{k: float(v) for k, v in line.items()} for line in history if "loss" in line]


@contextlib.contextmanager
def _scratch_folder(config: RepairConfig) -> Iterator[str]:
    """Where the trainer writes checkpoints: the caller's folder, or one that disappears."""
    if config.save_strategy != "no" or config.resume_from_checkpoint:
        yield str(config.output_dir)
        return
    with tempfile.TemporaryDirectory(prefix="synflaw-repair-") as folder:
        yield folder
