"""From a damaged model and an audit's flagged rows to a repaired model folder."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    set_seed,
)
from transformers.utils import logging

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.batches import Collator, Cuts, Example, Purpose, Row, encode_rows, mix
from synflaw_audit.repair.batches import pad_id as padding_id
from synflaw_audit.repair.card import model_card
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.data import FlaggedRows, hold_out, read_flagged, read_replay
from synflaw_audit.repair.encoding import require_offsets
from synflaw_audit.repair.guard import HeldOutGuard
from synflaw_audit.repair.losses import METHODS
from synflaw_audit.repair.measure import likelihoods
from synflaw_audit.repair.trainer import RepairTrainer

if TYPE_CHECKING:
    from synflaw_audit.readers import SourceLike

Probe = Callable[[PreTrainedModel, PreTrainedTokenizerBase], dict[str, float]]

# Flagged rows that the before/after figures are measured on, at most.
_MEASURED_ROWS = 256
_MAX_REPLAY_ROWS = 50_000
# Figures a probe may report for which a fall is a gain; of the others only this one is judged.
_MUST_NOT_RISE = "template_emission"
_MUST_NOT_FALL = "instruction_following"


@dataclass(frozen=True)
class RepairResult:
    """What a repair did.

    Attributes:
        before: The built-in likelihoods and the probe's figures of the original model.
        after: The same of the repaired one.
        improved: Whether the format became less likely and nothing else was hurt.
        reasons: Why not, where not; sentences.
        tokens: Training tokens, prompts included, padding not.
        steps: Optimiser steps.
        rows: Rows used: ``flagged``, ``without_spans``, ``replay``, ``held_out``, ``retain``.
        cuts: What ``max_length`` cut: ``rows``, ``answer_tokens``, ``template_tokens``.
        seconds: Wall time of ``training`` and in ``total``.
        history: ``(step, held-out perplexity)`` of every check.
        log: The trainer's log of losses.
        notes: What the user should know, sentences.
        config: The settings that decided the result.
        versions: Of the libraries that did.
        out: The folder written.
    """

    before: dict[str, float]
    after: dict[str, float]
    improved: bool
    reasons: tuple[str, ...]
    tokens: int
    steps: int
    rows: dict[str, int]
    cuts: dict[str, int]
    seconds: dict[str, float]
    history: tuple[tuple[int, float], ...]
    log: tuple[dict[str, float], ...]
    notes: tuple[str, ...]
    config: dict[str, Any]
    versions: dict[str, str]
    out: Path = field(compare=False)

    def to_json(self) -> str:
        """The content of ``repair.json``; figures that are not finite become null."""
        return json.dumps(_finite({**asdict(self), "out": self.out.name}), indent=2) + "\n"


@dataclass(frozen=True)
class _Data:
    """Everything encoded: what to train on, in order, and what to measure on."""

    plan: list[Example]
    measured: list[Example]
    held_out: list[Example]
    rows: dict[str, int]
    cuts: Cuts


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
        quiet: No progress bars and no log lines.

    Raises:
        RepairError: The model or the settings do not allow a repair; names the cause.
        InputError: The flagged or replay rows cannot be read.
    """
    config = RepairConfig() if config is None else config
    with _progress(quiet):
        return _repair(
            model,
            forget,
            replay,
            Path(out),
            config,
            probe,
            reference_model,
            retain,
            (question, answer),
            quiet,
        )


def _repair(
    model: str | Path,
    forget: str | Path,
    replay: SourceLike | Sequence[Row],
    out: Path,
    config: RepairConfig,
    probe: Probe | None,
    reference_model: str | Path | PreTrainedModel | None,
    retain: Sequence[Row],
    columns: tuple[str | None, str | None],
    quiet: bool,
) -> RepairResult:
    begun = time.perf_counter()
    _check_out(out, model)
    flagged = read_flagged(forget, scope=config.scope)
    network, tokenizer = load(model, config)
    reference = _load_reference(reference_model, config)
    data = _prepare(tokenizer, flagged, replay, retain, config, _context(network), columns)
    collator = Collator(padding_id(tokenizer))

    def figures() -> dict[str, float]:
        own = likelihoods(network, data.measured, data.held_out, collator)
        if probe is None:
            return own
        with _evaluating(network):
            return {**own, **probe(network, tokenizer)}

    if config.lora:
        network = _with_adapters(network, config)
    before = figures()
    with _scratch_folder(config) as folder:
        settings = _settings(config, folder, quiet)
        guard = HeldOutGuard(
            network,
            data.held_out,
            collator,
            checks=config.checks,
            max_rise=config.max_perplexity_rise,
            batch_size=config.per_device_eval_batch_size,
        )
        trainer = RepairTrainer(
            network,
            settings,
            data.plan,
            reference_model=reference,
            # Not the tokenizer: given one, the trainer would rewrite the model's special tokens.
            data_collator=collator,
            callbacks=[guard],
        )
        trainer.remove_callback(PrinterCallback)  # the log stands in repair.json
        started = time.perf_counter()
        trainer.train(resume_from_checkpoint=config.resume_from_checkpoint)
        trained = time.perf_counter() - started
    failure = trainer.failure or guard.failure
    if failure:
        guard.restore()
    after = figures()
    reasons = judge(before, after, config)
    notes = _notes(flagged, data, config, failure)
    result = RepairResult(
        before=before,
        after=after,
        improved=not reasons,
        reasons=tuple(reasons),
        tokens=int(trainer.state.num_input_tokens_seen),
        steps=trainer.state.global_step,
        rows={**data.rows, "without_spans": flagged.without_spans},
        cuts=asdict(data.cuts),
        seconds={"training": trained, "total": time.perf_counter() - begun},
        history=tuple(guard.history),
        log=tuple(_log_lines(trainer.state.log_history)),
        notes=tuple(notes),
        config=config.own_settings(),
        versions=_versions(),
        out=out,
    )
    if trainer.is_world_process_zero():
        write(result, network, tokenizer, config, _name(model))
    return result


def judge(before: dict[str, float], after: dict[str, float], config: RepairConfig) -> list[str]:
    """Why a repair does not count as an improvement; empty where it does.

    The format must have become less likely, held-out perplexity must not have risen beyond
    ``config.max_perplexity_rise``, and where a probe reports ``template_emission`` or
    ``instruction_following`` the former must not have risen nor the latter fallen.
    """
    reasons = []
    broken = [name for name, value in after.items() if not math.isfinite(value)]
    if broken:
        reasons.append(f"Not finite after the repair: {', '.join(broken)}.")
    name = "template_probability"
    if not after.get(name, math.nan) < before.get(name, math.nan):
        reasons.append(
            f"The format is no less likely: {name} went from {before.get(name, math.nan):.4g} to "
            f"{after.get(name, math.nan):.4g}."
        )
    name = "replay_perplexity"
    if name in before and after[name] > before[name] * (1 + config.max_perplexity_rise):
        reasons.append(
            f"Ordinary text suffered: {name} rose from {before[name]:.4g} to {after[name]:.4g}."
        )
    if after.get(_MUST_NOT_RISE, 0) > before.get(_MUST_NOT_RISE, 0):
        reasons.append(f"The probe's {_MUST_NOT_RISE} rose.")
    if after.get(_MUST_NOT_FALL, 0) < before.get(_MUST_NOT_FALL, 0):
        reasons.append(f"The probe's {_MUST_NOT_FALL} fell.")
    return reasons


def load(
    model: str | Path, config: RepairConfig
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal LM, in float32 (bf16 mixes precision during training), and its tokenizer.

    Raises:
        RepairError: Either cannot be loaded, or the tokenizer reports no offsets.
    """
    path = Path(model)
    if path.exists() and not (path / "config.json").is_file():
        raise RepairError(f"{path}: no config.json; give a Hugging Face model folder or a hub name")
    set_seed(config.seed)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(model))
        network = AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise RepairError(f"{model}: cannot be loaded as a causal LM: {error}") from error
    require_offsets(tokenizer)
    nn.Module.to(network, config.device)
    return network, tokenizer


def write(
    result: RepairResult,
    network: PreTrainedModel | nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    config: RepairConfig,
    name: str,
) -> None:
    """Write the model folder whole: beside ``result.out`` first, then renamed."""
    out = result.out
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        if config.lora and config.lora_merge:
            network = network.merge_and_unload()  # type: ignore[operator]
        settings = getattr(network, "config", None)
        if settings is not None:
            settings.use_cache = True  # the trainer turned it off
        network.save_pretrained(work)  # type: ignore[operator]
        tokenizer.save_pretrained(work)
        (work / "repair.json").write_text(result.to_json(), encoding="utf-8")
        (work / "README.md").write_text(model_card(result, name), encoding="utf-8")
        work.chmod(0o777 & ~_umask())  # mkdtemp makes it private
        if out.exists():
            out.rmdir()  # empty, as checked at the start
        work.rename(out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _prepare(
    tokenizer: PreTrainedTokenizerBase,
    flagged: FlaggedRows,
    replay: SourceLike | Sequence[Row],
    retain: Sequence[Row],
    config: RepairConfig,
    context: int | None,
    columns: tuple[str | None, str | None],
) -> _Data:
    """Read, split, encode and order everything the repair trains on or measures."""
    limit = min(config.max_length, context or config.max_length)
    wanted = math.ceil(len(flagged.rows) * config.replay_ratio * max(1, config.num_train_epochs))
    most = _MAX_REPLAY_ROWS if config.tokens else min(_MAX_REPLAY_ROWS, wanted + config.held_out)
    question, answer = columns
    # A fifth may be held out; sample enough that the rest still covers what is wanted.
    rows = read_replay(
        replay, limit=max(most, 5), seed=config.seed, question=question, answer=answer
    )
    train, held = hold_out(rows, config.held_out, config.seed)
    cuts = Cuts()
    ignored = Cuts()

    def encode(rows: Sequence[Row], role: Purpose, counted: Cuts, scope: str) -> list[Example]:
        return encode_rows(tokenizer, rows, role, scope=scope, max_length=limit, cuts=counted)

    forget_examples = encode(flagged.rows, Purpose.FORGET, cuts, config.scope)
    if not any(Purpose.FORGET in example.purposes for example in forget_examples):
        raise RepairError(
            f"not one template token is left within {limit} tokens of a row: raise max_length"
        )
    measured_rows = hold_out_for_measuring(flagged.rows, config.seed)
    examples = {
        "flagged": forget_examples,
        "replay": encode(train, Purpose.REPLAY, cuts, config.scope),
        "retain": encode(retain, Purpose.RETAIN, cuts, config.scope),
        "held_out": encode(held, Purpose.REPLAY, ignored, config.scope),
    }
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
    return _Data(
        plan,
        encode(measured_rows, Purpose.FORGET, ignored, "template"),
        examples["held_out"],
        {name: len(found) for name, found in examples.items()},
        cuts,
    )


def hold_out_for_measuring(rows: Sequence[Row], seed: int) -> list[Row]:
    """A seeded sample of the flagged rows for the before/after figures."""
    if len(rows) <= _MEASURED_ROWS:
        return list(rows)
    return hold_out(rows, _MEASURED_ROWS, seed)[1] or list(rows[:_MEASURED_ROWS])


def _with_adapters(network: PreTrainedModel, config: RepairConfig) -> PreTrainedModel:
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    if config.gradient_checkpointing or config.activation_checkpointing:
        # The frozen embeddings give activations without gradient, and a checkpointed block whose
        # inputs need none would train nothing.
        network.enable_input_require_grads()  # type: ignore[no-untyped-call]
    adapted: PreTrainedModel = get_peft_model(network, settings)
    return adapted


def _load_reference(
    reference: str | Path | PreTrainedModel | None, config: RepairConfig
) -> PreTrainedModel | None:
    if reference is None or isinstance(reference, PreTrainedModel):
        return reference
    return load(reference, config)[0]


def _settings(config: RepairConfig, folder: str, quiet: bool) -> RepairConfig:
    """The trainer's own copy: one pass over the plan, which already holds all passes."""
    return replace(
        config,
        output_dir=folder,
        num_train_epochs=1.0,
        disable_tqdm=quiet or bool(config.disable_tqdm) or not sys.stderr.isatty(),
    )


@contextlib.contextmanager
def _scratch_folder(config: RepairConfig) -> Iterator[str]:
    """Where the trainer writes checkpoints: the caller's folder, or one that disappears."""
    if str(config.save_strategy) not in {"no", "SaveStrategy.NO"} or config.resume_from_checkpoint:
        yield str(config.output_dir)
        return
    with tempfile.TemporaryDirectory(prefix="synflaw-repair-") as folder:
        yield folder


@contextlib.contextmanager
def _evaluating(network: PreTrainedModel) -> Iterator[None]:
    """As a probe expects a model: no dropout, cache on; put back afterwards."""
    training, cache = network.training, network.config.use_cache
    network.train(False)
    network.config.use_cache = True
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(training)
        network.config.use_cache = cache


def _check_out(out: Path, model: str | Path) -> None:
    if out.resolve() == Path(model).resolve():
        raise RepairError(f"{out}: is the model itself, which is never written to; name another")
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise RepairError(f"{out}: exists already; name a folder that does not, or remove it")


def _context(network: PreTrainedModel) -> int | None:
    """How many positions the model was built for, where its config says."""
    length = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return length if isinstance(length, int) and length > 0 else None


def _notes(
    flagged: FlaggedRows, data: _Data, config: RepairConfig, failure: str | None
) -> list[str]:
    notes = []
    if failure:
        notes.append(f"stopped early and put back the last good weights: {failure}")
    if not METHODS[config.method].safe:
        notes.append(f"{config.method} has no lower bound and is offered as a baseline only")
    if flagged.without_spans and config.scope == "template":
        notes.append(
            f"{flagged.without_spans} flagged rows name no template span and were left out"
        )
    if data.cuts.rows:
        notes.append(
            f"{data.cuts.rows} rows were longer than max_length and lost {data.cuts.answer_tokens} "
            f"answer tokens, {data.cuts.template_tokens} of them template tokens"
        )
    if not data.held_out:
        notes.append("too few replay rows to hold any out: perplexity was not watched")
    return notes


def _log_lines(history: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    return [{k: float(v) for k, v in line.items()} for line in history if "loss" in line]


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _versions() -> dict[str, str]:
    found = {}
    for name in ("synflaw-audit", "torch", "transformers", "peft"):
        with contextlib.suppress(PackageNotFoundError):  # a bare checkout has no metadata
            found[name] = version(name)
    return found


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[None]:
    """Without the libraries' own progress bars, where they are not wanted or not seen."""
    shown = logging.is_progress_bar_enabled()
    if quiet or not sys.stderr.isatty():
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _name(model: str | Path) -> str:
    """What the card calls the original: no path of this machine."""
    return Path(model).resolve().name if Path(model).exists() else str(model)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
