"""One training run of a repair: what trains, what watches, where its checkpoints go."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback

from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Collator, pad_id
from synflaw_audit.repair.material.prepare import Prepared
from synflaw_audit.repair.measure import token_probability
from synflaw_audit.repair.storage.folder import load, with_adapters
from synflaw_audit.repair.training.guard import Guard
from synflaw_audit.repair.training.processes import on_main
from synflaw_audit.repair.training.trainer import RepairTrainer


@dataclass(frozen=True)
class Arm:
    """One training run: what trained, what watched, and the wall time in seconds.

    ``sharded`` says that no process holds the whole model any more (FSDP, DeepSpeed).
    """

    trainer: RepairTrainer
    guard: Guard
    seconds: float
    sharded: bool

    @property
    def failure(self) -> str | None:
        """Why the run was stopped as harmful, or None."""
        return self.trainer.failure or self.guard.failure


def train(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: Prepared,
    config: RepairConfig,
    reference_model: PreTrainedModel | None,
    quiet: bool,
) -> Arm:
    """Train over the plan; after a failure the last good weights are back in the model."""
    collator = Collator(pad_id(tokenizer))
    with _scratch_folder(config) as folder:
        trainer = RepairTrainer(
            network,
            # One pass over the plan, which already holds all passes.
            replace(
                config,
                output_dir=folder,
                num_train_epochs=1.0,
                disable_tqdm=quiet or bool(config.disable_tqdm) or not sys.stderr.isatty(),
            ),
            data.plan,
            reference_model=reference_model,
            # Not the tokenizer: given one, the trainer would rewrite the model's special tokens.
            data_collator=collator,
        )
        del reference_model
        sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
        guard = _guard(network, data, config, collator, checks=0 if sharded else config.checks)
        trainer.add_callback(guard)
        trainer.remove_callback(PrinterCallback)  # the log stands in repair.json
        started = time.perf_counter()
        trainer.train(resume_from_checkpoint=config.resume_from_checkpoint)
        arm = Arm(trainer, guard, time.perf_counter() - started, sharded)
    if arm.failure and not sharded:
        guard.restore()
    return arm


def _guard(
    network: PreTrainedModel,
    data: Prepared,
    config: RepairConfig,
    collator: Collator,
    *,
    checks: int,
) -> Guard:
    stop_below = None
    if config.stop_at_control and data.held_out:
        stop_below = on_main(lambda: token_probability(network, data.held_out, collator))
    return Guard(
        network,
        data.measured,
        data.held_out,
        collator,
        checks=checks,
        max_rise=config.max_perplexity_rise,
        stop_below=stop_below,
        batch_size=config.per_device_eval_batch_size,
    )


def trainable(network: PreTrainedModel, config: RepairConfig) -> PreTrainedModel:
    """The model, or the model with the adapters that are to be trained."""
    return with_adapters(network, config) if config.lora else network


def gathered(arm: Arm, model: str | Path, config: RepairConfig) -> PreTrainedModel:
    """The trained model in one piece again; the original where the training failed.

    Where every process holds a part of the weights, they are collected into a model loaded anew.
    """
    trainer = arm.trainer
    wrapped = trainer.deepspeed if trainer.is_deepspeed_enabled else trainer.model
    weights = trainer.accelerator.get_state_dict(wrapped)  # all processes take part
    network = trainable(load(model, config)[0], config)
    if weights and not arm.failure:
        network.load_state_dict(weights)
    return network


@contextlib.contextmanager
def _scratch_folder(config: RepairConfig) -> Iterator[str]:
    """Where the trainer writes checkpoints: the caller's folder, or one that disappears."""
    if config.save_strategy != "no" or config.resume_from_checkpoint:
        yield str(config.output_dir)
        return
    with tempfile.TemporaryDirectory(prefix="synflaw-repair-") as folder:
        yield folder
