"""From a damaged model and an audit's flagged rows to a repaired model folder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.repair.card import model_card
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Collator, Row, mix, pad_id
from synflaw_audit.repair.material.flagged import FlaggedRows, read_flagged
from synflaw_audit.repair.material.prepare import Prepared, context_length, prepare
from synflaw_audit.repair.measure import likelihoods
from synflaw_audit.repair.methods.forgetting.losses import METHODS
from synflaw_audit.repair.methods.task_vector import negate, require_before, require_same_shapes
from synflaw_audit.repair.result import RepairResult, judge
from synflaw_audit.repair.storage.folder import (
    check_model,
    check_out,
    library_progress,
    load,
    write_folder,
)
from synflaw_audit.repair.training.arm import Arm, gathered, train, trainable
from synflaw_audit.repair.training.processes import on_main
from synflaw_audit.repair.training.relearning import relearn

if TYPE_CHECKING:
    from synflaw_audit.reading import SourceLike

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
    (``result.improved``), so that it can be looked at. Under ``accelerate launch`` the processes
    share the training; the main one reads, measures and writes, and all get the same result.

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
    require_before(config, reference_model)
    if isinstance(reference_model, str | Path):
        check_model(reference_model)
    flagged = read_flagged(forget, scope=config.scope)
    with library_progress(shown=not quiet):
        network, tokenizer = load(model, config)
        # What would fail after the training must fail before it.
        if config.task_negation and (earlier := _opened(reference_model, config)) is not None:
            require_same_shapes(network, earlier, "reference")
            del earlier
        data = on_main(
            lambda: prepare(
                tokenizer,
                flagged,
                replay,
                retain,
                config,
                context=context_length(network),
                question=question,
                answer=answer,
                network=network,
            )
        )
        network = trainable(network, config)
        before = _figures(network, tokenizer, data, probe)
        # Not given a name here: a cached reference does without the model.
        arm = train(network, tokenizer, data, config, _opened(reference_model, config), quiet)
        if arm.sharded:
            network = gathered(arm, model, config)
        negated = config.task_negation and not arm.failure
        if negated and (earlier := _opened(reference_model, config)) is not None:
            negate(network, load(model, config)[0], earlier, config.task_negation)
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
            reference_model=_reference_name(reference_model),
            versions=_versions(),
            out=out,
        )
        texts = {
            "repair.json": result.to_json(),
            "README.md": model_card(result, _name(model)),
        }
        on_main(lambda: write_folder(out, network, tokenizer, texts, merge=config.merges))
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
    return on_main(lambda: _measure(network, tokenizer, data, probe))


def _measure(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: Prepared,
    probe: Probe | None,
) -> dict[str, float]:
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
    network = trainable(network, config)
    plan = mix((), data.replay, replay_ratio=1, passes=1, tokens=tokens, seed=config.seed)
    plain = replace(
        config,
        forget_weight=0.0,
        bias_weight=0.0,
        replay_weight=1.0,
        save_strategy="no",
        resume_from_checkpoint=None,
    )
    arm = train(network, tokenizer, replace(data, plan=plan), plain, None, quiet)
    if arm.sharded:
        network = gathered(arm, model, config)
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
    found = on_main(
        lambda: relearn(
            network,
            data.measured,
            Collator(pad_id(tokenizer)),
            before=before["template_probability"],
            steps=config.relearn_steps,
            learning_rate=float(config.learning_rate or 0),
            seed=config.seed,
        )
    )
    return None if found is None else asdict(found)


def _notes(flagged: FlaggedRows, data: Prepared, config: RepairConfig, arm: Arm) -> list[str]:
    notes = []
    if arm.failure:
        notes.append(f"stopped early and put back the last good weights: {arm.failure}")
    if arm.guard.finished:
        notes.append(f"stopped early, done: {arm.guard.finished}")
    if not METHODS[config.method].safe:
        notes.append(f"{config.method} has no lower bound and is offered as a baseline only")
    if config.task_negation and not arm.failure:
        notes.append(f"{config.task_negation:.0%} of the damage's task vector was subtracted")
    if flagged.without_spans:
        notes.append(
            f"{flagged.without_spans} flagged rows name no template span and were left out"
        )
    if config.load_in:
        notes.append(
            f"trained over weights in {config.load_in}: what was written are adapters of the "
            "original model, not a model"
        )
    if data.cuts.rows:
        notes.append(
            f"{data.cuts.rows} rows were longer than max_length and lost {data.cuts.answer_tokens} "
            f"answer tokens, {data.cuts.template_tokens} of them template tokens"
        )
    if data.flaw:
        notes.append(data.flaw)
    if arm.sharded:
        notes.append("the model was sharded: it was not watched while it trained")
    if not data.held_out:
        notes.append("too few replay rows to hold any out: perplexity was not watched")
    return notes


def _log_lines(history: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    return [{k: float(v) for k, v in line.items()} for line in history if "loss" in line]


def _name(model: str | Path) -> str:
    """What the card calls the original: no path of this machine."""
    return Path(model).resolve().name if Path(model).exists() else str(model)


def _reference_name(model: str | Path | PreTrainedModel | None) -> str | None:
    """What the report calls the reference; None where it is the original."""
    if model is None:
        return None
    if isinstance(model, str | Path):
        return _name(model)
    return _name(model.config.name_or_path or "a model in memory")


def _versions() -> dict[str, str]:
    found = {}
    for name in ("synflaw-audit", "torch", "transformers", "peft"):
        with contextlib.suppress(PackageNotFoundError):  # a bare checkout has no metadata
            found[name] = version(name)
    return found
