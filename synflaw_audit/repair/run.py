"""From a damaged model and an audit's flagged rows to a repaired model folder."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback

from synflaw_audit.repair.batches import Collator, Row, mix, pad_id
from synflaw_audit.repair.card import model_card
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.data import FlaggedRows, read_flagged
from synflaw_audit.repair.folder import (
    check_model,
    check_out,
    library_progress,
    load,
    with_adapters,
    write_folder,
)
from synflaw_audit.repair.guard import Guard
from synflaw_audit.repair.losses import METHODS
from synflaw_audit.repair.measure import likelihoods, token_probability
from synflaw_audit.repair.prepare import Prepared, context_length, prepare
from synflaw_audit.repair.relearning import relearn
from synflaw_audit.repair.result import RepairResult, judge
from synflaw_audit.repair.trainer import RepairTrainer

if TYPE_CHECKING:
    from synflaw_audit.readers import SourceLike

Probe = Callable[[PreTrainedModel, PreTrainedTokenizerBase], dict[str, float]]


def repair(
    model: str | Path,
    *,
    forget: str | Path,
    replay: SourceLike | Sequence[Row],
    out: str | Path,
    config: RepairConfig | None = None,
    probe: Probe | None = None,
    reference_model: str | Path | PreTrainedModel | None = None,
    retain: Sequence[Row] = (),
    question: str | None = None,
    answer: str | None = None,
    quiet: bool = False,
) -> RepairResult:
    """Take the format that an audit found out of a model that was trained on it.

    The original is never written to. The result appears whole or not at all: it is written beside
    ``out`` and renamed. A repair that did not help is written too, and says so
    (``result.improved``), so that it can be looked at.

    Args:
        model: A Hugging Face causal LM: its folder, or a hub name.
        forget: The audit's ``flagged.parquet``.
        replay: Ordinary rows: anything ``readers.open_source`` takes, a corpus with a column
            ``text``, or rows in memory.
        out: The folder to write; must not exist, or be empty.
        config: The settings; its ``output_dir`` is where checkpoints go, if they are asked for.
        probe: Figures of your own, taken before and after.
        reference_model: What the KL compares with, such as the checkpoint from before the damage;
            None: the original model.
        retain: Further rows to learn, for instance flagged content re-expressed without its format.
        question: The replay corpus's question column, where it is not found by itself.
        answer: Its answer column, likewise.
        quiet: No progress bars.

    Raises:
        RepairError: The model or the settings do not allow a repair; names the cause.
        InputError: The flagged or replay rows cannot be read.
    """
    begun = time.perf_counter()
    config = RepairConfig() if config is None else config
    out = Path(out)
    check_out(out, model)
    if isinstance(reference_model, str | Path):
        check_model(reference_model)
    flagged = read_flagged(forget, scope=config.scope)
    with library_progress(shown=not quiet):
        network, tokenizer = load(model, config)
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
        if config.lora:
            network = with_adapters(network, config)
        before = _figures(network, tokenizer, data, probe)
        # Not given a name here: a cached reference does without the model.
        arm = _train(network, tokenizer, data, config, _opened(reference_model, config), quiet)
        after = _figures(network, tokenizer, data, probe)
        reasons = judge(before, after, max_perplexity_rise=config.max_perplexity_rise)
        state = arm.trainer.state
        result = RepairResult(
            before=before,
            after=after,
            improved=not reasons,
            reasons=tuple(reasons),
            tokens=int(state.num_input_tokens_seen),
            steps=state.global_step,
            rows={**data.rows, "without_spans": flagged.without_spans},
            cuts=asdict(data.cuts),
            seconds={"training": arm.seconds, "total": time.perf_counter() - begun},
            history=tuple(arm.guard.history),
            control=(
                _control_arm(model, data, config, probe, quiet, int(state.num_input_tokens_seen))
                if config.control_arm
                else None
            ),
            relearning=_relearning(network, tokenizer, data, config, before),
            log=tuple(_log_lines(state.log_history)),
            notes=tuple(_notes(flagged, data, config, arm)),
            config=config.own_settings(),
            versions=_versions(),
            out=out,
        )
        if arm.trainer.is_world_process_zero():
            texts = {
                "repair.json": result.to_json(),
                "README.md": model_card(result, _name(model)),
            }
            merge = config.lora and config.lora_merge
            write_folder(out, network, tokenizer, texts, merge=merge)
    return result


def _opened(
    model: str | Path | PreTrainedModel | None, config: RepairConfig
) -> PreTrainedModel | None:
    """The reference model, loaded if it was given by its name."""
    return load(model, config)[0] if isinstance(model, str | Path) else model


def _figures(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: Prepared,
    probe: Probe | None,
) -> dict[str, float]:
    """The built-in likelihoods and the probe's figures of the model as it stands."""
    own = likelihoods(network, data.measured, data.held_out, Collator(pad_id(tokenizer)))
    if probe is None:
        return own
    # As a probe expects a model: no dropout, cache on.
    training, cache = network.training, network.config.use_cache
    network.train(False)
    network.config.use_cache = True
    try:
        with torch.no_grad():
            return {**own, **probe(network, tokenizer)}
    finally:
        network.train(training)
        network.config.use_cache = cache


@dataclass(frozen=True)
class _Arm:
    """One training run: what trained, what watched, and the wall time in seconds."""

    trainer: RepairTrainer
    guard: Guard
    seconds: float

    @property
    def failure(self) -> str | None:
        return self.trainer.failure or self.guard.failure


def _train(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: Prepared,
    config: RepairConfig,
    reference_model: PreTrainedModel | None,
    quiet: bool,
) -> _Arm:
    """Train over the plan; after a failure the last good weights are back in the model."""
    collator = Collator(pad_id(tokenizer))
    guard = Guard(
        network,
        data.measured,
        data.held_out,
        collator,
        checks=config.checks,
        max_rise=config.max_perplexity_rise,
        stop_below=(
            token_probability(network, data.held_out, collator)
            if config.stop_at_control and data.held_out
            else None
        ),
        batch_size=config.per_device_eval_batch_size,
    )
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
            callbacks=[guard],
        )
        del reference_model
        trainer.remove_callback(PrinterCallback)  # the log stands in repair.json
        started = time.perf_counter()
        trainer.train(resume_from_checkpoint=config.resume_from_checkpoint)
        arm = _Arm(trainer, guard, time.perf_counter() - started)
    if arm.failure:
        guard.restore()
    return arm


def _control_arm(
    model: str | Path,
    data: Prepared,
    config: RepairConfig,
    probe: Probe | None,
    quiet: bool,
    tokens: int,
) -> dict[str, float]:
    """Figures of the original after plain training on the replay rows, on the same budget."""
    network, tokenizer = load(model, config)
    if config.lora:
        network = with_adapters(network, config)
    plan = mix((), data.replay, replay_ratio=1, passes=1, tokens=tokens, seed=config.seed)
    plain = replace(
        config,
        forget_weight=0.0,
        bias_weight=0.0,
        replay_weight=1.0,
        save_strategy="no",
        resume_from_checkpoint=None,
    )
    _train(network, tokenizer, replace(data, plan=plan), plain, None, quiet)
    return _figures(network, tokenizer, data, probe)


def _relearning(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: Prepared,
    config: RepairConfig,
    before: dict[str, float],
) -> dict[str, Any] | None:
    if not config.relearn_steps:
        return None
    found = relearn(
        network,
        data.measured,
        Collator(pad_id(tokenizer)),
        before=before["template_probability"],
        steps=config.relearn_steps,
        learning_rate=float(config.learning_rate or 0),
        seed=config.seed,
    )
    return None if found is None else asdict(found)


@contextlib.contextmanager
def _scratch_folder(config: RepairConfig) -> Iterator[str]:
    """Where the trainer writes checkpoints: the caller's folder, or one that disappears."""
    if config.save_strategy != "no" or config.resume_from_checkpoint:
        yield str(config.output_dir)
        return
    with tempfile.TemporaryDirectory(prefix="synflaw-repair-") as folder:
        yield folder


def _notes(flagged: FlaggedRows, data: Prepared, config: RepairConfig, arm: _Arm) -> list[str]:
    notes = []
    if arm.failure:
        notes.append(f"stopped early and put back the last good weights: {arm.failure}")
    if arm.guard.finished:
        notes.append(f"stopped early, done: {arm.guard.finished}")
    if not METHODS[config.method].safe:
        notes.append(f"{config.method} has no lower bound and is offered as a baseline only")
    if flagged.without_spans:
        notes.append(
            f"{flagged.without_spans} flagged rows name no template span and were left out"
        )
    if data.cuts.rows:
        notes.append(
            f"{data.cuts.rows} rows were longer than max_length and lost {data.cuts.answer_tokens} "
            f"answer tokens, {data.cuts.template_tokens} of them template tokens"
        )
    if data.flaw:
        notes.append(data.flaw)
    if not data.held_out:
        notes.append("too few replay rows to hold any out: perplexity was not watched")
    return notes


def _log_lines(history: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    return [{k: float(v) for k, v in line.items()} for line in history if "loss" in line]


def _name(model: str | Path) -> str:
    """What the card calls the original: no path of this machine."""
    return Path(model).resolve().name if Path(model).exists() else str(model)


def _versions() -> dict[str, str]:
    found = {}
    for name in ("synflaw-audit", "torch", "transformers", "peft"):
        with contextlib.suppress(PackageNotFoundError):  # a bare checkout has no metadata
            found[name] = version(name)
    return found
