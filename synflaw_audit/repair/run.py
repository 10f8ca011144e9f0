"""From a damaged model and an audit's flagged rows to a repaired model folder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import PreTrainedModel

from synflaw_audit.probes.base import Probe
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.export.export import export_repaired
from synflaw_audit.repair.material.batches import Row
from synflaw_audit.repair.material.flagged import FlaggedRows, read_flagged
from synflaw_audit.repair.material.gather import Material, context_length, gather, placed
from synflaw_audit.repair.material.self_replay import asks_itself, self_replay
from synflaw_audit.repair.measuring.measure import Evaluator
from synflaw_audit.repair.methods.base import Applied, Context, Method
from synflaw_audit.repair.methods.choice import chosen
from synflaw_audit.repair.methods.registry import USUAL, chosen_methods, named
from synflaw_audit.repair.proof import ResultFolder, prove
from synflaw_audit.repair.result import RepairResult
from synflaw_audit.repair.source import ModelSource, settings_for
from synflaw_audit.repair.storage.folder import check_model, check_out, library_progress
from synflaw_audit.repair.training.processes import on_main

if TYPE_CHECKING:
    from synflaw_audit.reading import SourceLike

__all__ = ["Probe", "repair"]


def repair(
    model: str | Path,
    *,
    forget: str | Path,
    replay: SourceLike | Sequence[Row],
    out: str | Path,
    config: RepairConfig | None = None,
    probe: Probe | None = None,
    reference_model: str | Path | PreTrainedModel | None = None,
    base: str | Path | None = None,
    retain: Sequence[Row] = (),
    question: str | None = None,
    answer: str | None = None,
    quiet: bool = False,
) -> RepairResult:
    """Take the format that an audit found out of a model that was trained on it.

    The original is never written to. The repaired model is written as soon as it is there, whole or
    not at all (beside ``out``, then renamed), and measured afterwards: what fails then does not
    lose it, and ``repair.json`` says which step that was. A repair that did not help is written
    too, and says so (``result.improved``), so that it can be looked at. Under ``accelerate launch``
    the processes share the training; the main one reads, measures and writes, and all get the same
    result.

    Args:
        model: A Hugging Face causal LM: its folder, an adapter's folder, or a hub name.
        forget: The audit's ``flagged.parquet``.
        replay: Ordinary rows: anything ``readers.open_source`` takes, a corpus with a column
            ``text``, or rows in memory; or ``self`` where there are none: the model's own answers
            (see :mod:`.material.self_replay`).
        out: The folder to write; must not exist, or be empty.
        config: The settings; its ``output_dir`` is where checkpoints go, if they are asked for.
        probe: Figures of your own, taken before and after.
        reference_model: What the KL compares with, such as the checkpoint from before the damage;
            None: the original model.
        base: The base of an adapter, where the adapter does not name it, or it has moved; for the
            method ``merge`` what all models were fine-tuned from.
        retain: Further rows to learn, for instance flagged content re-expressed without its format.
        question: The replay corpus's question column, where it is not found by itself.
        answer: Its answer column, likewise.
        quiet: No progress bars or lines.

    Raises:
        RepairError: The model or the settings do not allow a repair, or a step failed after the
            model was written; names the cause.
        InputError: The flagged or replay rows cannot be read.
    """
    begun = time.perf_counter()
    config = RepairConfig() if config is None else config
    out = Path(out)
    check_out(out, model)
    source = ModelSource(model, base, reference_model)
    given = reference_model is not None
    config, because = chosen(config, earlier_model=given, base=source.knows_base)
    methods = chosen_methods(config, earlier_model=given, base=source.knows_base)
    source.require_earlier(methods)
    if isinstance(reference_model, str | Path):
        check_model(reference_model)
    flagged = read_flagged(forget, scope=config.scope)
    with library_progress(shown=not quiet):
        context = source.context(settings_for(methods, config, source), quiet=quiet)
        config = context.config
        network = context.load_original()
        ordinary = (
            on_main(lambda: _own_replay(network, context, flagged))
            if asks_itself(replay)
            else replay
        )
        material = on_main(
            lambda: gather(
                context.tokenizer,
                flagged,
                ordinary,
                retain,
                config,
                context=context_length(source.configuration()),
                question=question,
                answer=answer,
                network=network,
            )
        )
        for method in methods:
            network = method.prepare(network, context)
        measure = Evaluator(material, context.tokenizer, config, probe, quiet=quiet)
        before = measure(network, "before")
        applied = _apply(methods, network, material, context)
        network = applied.model
        # A later method may have merged them already.
        if config.merges and hasattr(network, "merge_and_unload"):
            network = network.merge_and_unload()  # type: ignore[operator]
        draft = RepairResult(
            before=before.values,
            after={},
            improved=None,
            reasons=(),
            failed={"step": "measuring the repaired model", "error": "it did not come to an end"},
            tokens=applied.tokens,
            steps=applied.steps,
            rows={**material.rows, "without_spans": flagged.without_spans},
            cuts=asdict(material.cuts),
            seconds={"training": applied.seconds, "total": time.perf_counter() - begun},
            history=applied.history,
            control=None,
            relearning=None,
            log=applied.log,
            notes=(*because, *applied.says, *_notes(flagged, material, config)),
            config=(applied.config or config).own_settings(),
            reference_model=source.reference_name,
            versions=_versions(),
            out=out,
            datasets=_named(replay),
        )
        folder = ResultFolder(out, source.name)
        folder.write_model(draft, network, context, source.adapter_finisher(config))
        proved = prove(draft, network, before, material, context, measure, folder)
        result = replace(proved, seconds={**proved.seconds, "total": time.perf_counter() - begun})
        if config.export_bits:
            bits = config.export_bits
            with folder.step(f"exporting it in {bits} bits", result):
                note = on_main(lambda: export_repaired(out, forget, bits, config.export_way))
                result = replace(result, notes=(*result.notes, note))
        with folder.step("writing the report", result):
            folder.write_report(result)
    return result


def _own_replay(network: PreTrainedModel, context: Context, flagged: FlaggedRows) -> list[Row]:
    """Neutral rows answered by the model from before the damage or, without it, by this one."""
    reference = context.load_reference() if context.load_reference else None
    return self_replay(
        placed(network if reference is None else reference, context.config),
        context.tokenizer,
        flagged.rows,
        barred=reference is None,
        bf16=bool(context.config.bf16),
        max_length=context.config.max_length,
        seed=context.config.seed,
    )


def _apply(
    methods: Sequence[Method], network: PreTrainedModel, material: Material, context: Context
) -> Applied:
    """One method after the other, until one gives up."""
    total = Applied(network)
    for number, method in enumerate(methods, 1):
        done = method.apply(total.model, material, context)
        total = Applied(
            done.model,
            tokens=total.tokens + done.tokens,
            steps=total.steps + done.steps,
            seconds=total.seconds + done.seconds,
            failure=done.failure,
            says=(*total.says, *done.says),
            history=(*total.history, *done.history),
            log=(*total.log, *done.log),
            config=done.config or total.config,
        )
        if done.failure:
            return replace(total, says=(*total.says, *_left_out(context.config, number)))
    return total


def _left_out(config: RepairConfig, done: int) -> Iterator[str]:
    names = named(config.method or USUAL)
    for name in names[done:]:
        yield f"{name} was not done, since {names[done - 1]} was given up"


def _named(replay: SourceLike | Sequence[Row]) -> tuple[str, ...]:
    """The replayed data set's name; no path of this machine."""
    named = isinstance(replay, str) and not asks_itself(replay) and not Path(replay).exists()
    return (str(replay),) if named else ()


def _notes(flagged: FlaggedRows, material: Material, config: RepairConfig) -> Iterator[str]:
    if flagged.without_spans:
        yield f"{flagged.without_spans} flagged rows name no template span and were left out"
    if config.load_in:
        yield (
            f"trained over weights in {config.load_in}: what was written are adapters of the "
            "original model, not a model"
        )
    if material.cuts.rows:
        yield (
            f"{material.cuts.rows} rows were longer than max_length and lost "
            f"{material.cuts.answer_tokens} answer tokens, {material.cuts.template_tokens} of them "
            "template tokens"
        )
    if material.flaw:
        yield material.flaw
    if not material.held_out:
        yield "too few replay rows to hold any out: perplexity was not watched"
    if material.seen:
        yield "too few flagged rows to hold any out: format and content are those trained on"


def _versions() -> dict[str, str]:
    found = {}
    for name in ("synflaw-audit", "torch", "transformers", "peft"):
        with contextlib.suppress(PackageNotFoundError):  # a bare checkout has no metadata
            found[name] = version(name)
    return found
