"""From a damaged model and an audit's flagged rows to a repaired model folder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PretrainedConfig, PreTrainedModel

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.card import model_card
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Collator, Row, mix, pad_id
from synflaw_audit.repair.material.flagged import FlaggedRows, read_flagged
from synflaw_audit.repair.material.gather import Material, context_length, gather
from synflaw_audit.repair.measuring.figures import Change, Measured, changes
from synflaw_audit.repair.measuring.measure import Measure, Probe
from synflaw_audit.repair.measuring.relearning import relearn
from synflaw_audit.repair.methods.base import Applied, Context, Method, Requirement
from synflaw_audit.repair.methods.registry import chosen_methods
from synflaw_audit.repair.result import RepairResult
from synflaw_audit.repair.storage.adapters import base_of, is_adapter, join
from synflaw_audit.repair.storage.folder import (
    Folder,
    check_model,
    check_out,
    configuration,
    library_progress,
    load,
    load_tokenizer,
)
from synflaw_audit.repair.training.memory import Shape, decided
from synflaw_audit.repair.training.processes import on_main
from synflaw_audit.repair.verdict import Limits, judge, unjudged

if TYPE_CHECKING:
    from synflaw_audit.reading import SourceLike

__all__ = ["Probe", "repair"]

# Fewer held-out rows are joined by rows that were trained on, to be relearned from.
_RELEARNING_ROWS = 16


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
            ``text``, or rows in memory.
        out: The folder to write; must not exist, or be empty.
        config: The settings; its ``output_dir`` is where checkpoints go, if they are asked for.
        probe: Figures of your own, taken before and after.
        reference_model: What the KL compares with, such as the checkpoint from before the damage;
            None: the original model.
        base: The base of an adapter, where the adapter does not name it, or it has moved.
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
    methods = chosen_methods(config, earlier_model=reference_model is not None)
    if isinstance(reference_model, str | Path):
        check_model(reference_model)
    flagged = read_flagged(forget, scope=config.scope)
    with library_progress(shown=not quiet):
        source = Source(model, base, reference_model)
        context = source.context(settings_for(methods, config, source), quiet=quiet)
        config = context.config
        network = context.load_original()
        material = on_main(
            lambda: gather(
                context.tokenizer,
                flagged,
                replay,
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
        measure = Measure(material, context.tokenizer, config, probe, quiet=quiet)
        before = measure(network, "before")
        applied = _apply(methods, network, material, context)
        network = applied.model
        if config.merges:
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
            notes=(*applied.says, *_notes(flagged, material, config)),
            config=config.own_settings(),
            reference_model=_reference_name(reference_model),
            versions=_versions(),
            out=out,
        )
        folder = Folder(out)
        on_main(
            lambda: folder.write_model(
                network,
                context.tokenizer,
                _texts(draft, model),
                finish=source.adapter_finisher(config),
            )
        )
        judged = _judged(draft, network, before, material, context, measure, source, folder)
        result = replace(judged, seconds={**judged.seconds, "total": time.perf_counter() - begun})
        with _step("writing the report", result, source, folder):
            on_main(lambda: folder.write_texts(_texts(result, model)))
    return result


@dataclass(frozen=True)
class Source:
    """The models that a repair starts from.

    Attributes:
        model: The damaged model, or an adapter.
        base: An adapter's base, where it was given.
        reference: What to stay close to, by name or in memory; None: the damaged model.
    """

    model: str | Path
    base: str | Path | None
    reference: str | Path | PreTrainedModel | None

    def context(self, config: RepairConfig, *, quiet: bool) -> Context:
        """What methods work with; no weights are loaded yet."""
        shape = Shape.of(self.configuration())
        config = decided(shape, config)
        return Context(
            config=config,
            tokenizer=load_tokenizer(self.model, base=self.base),
            shape=shape,
            load_original=lambda: load(self.model, config, base=self.base),
            load_reference=None if self.reference is None else partial(self._reference, config),
            quiet=quiet,
        )

    def configuration(self) -> PretrainedConfig:
        """The model's configuration; no weights are loaded."""
        return configuration(self.model, base=self.base)

    def _reference(self, config: RepairConfig) -> PreTrainedModel:
        given = self.reference
        if isinstance(given, PreTrainedModel):
            return given
        if given is None:
            raise RepairError("there is no reference model")
        return load(given, config)

    def adapter_finisher(self, config: RepairConfig) -> Callable[[Path], None]:
        """What is done to a folder of adapters that were trained on top of another adapter.

        The original is then not a model that is on disk: both become one adapter of its base.
        """
        if not config.lora or config.merges or not is_adapter(self.model):
            return lambda folder: None
        base = base_of(self.model, self.base)
        return lambda folder: join(Path(self.model), folder, base, folder)


def settings_for(methods: Sequence[Method], config: RepairConfig, source: Source) -> RepairConfig:
    """The settings with what the methods demand, where that was left open."""
    if config.lora is None and any(Requirement.ALL_WEIGHTS in each.requires for each in methods):
        config = replace(config, lora=False)
    if is_adapter(source.model) and not config.lora_merge and config.lora is None:
        config = replace(config, lora=True)  # what is asked for is an adapter
    return config


def _apply(
    methods: Sequence[Method], network: PreTrainedModel, material: Material, context: Context
) -> Applied:
    """One method after the other, until one gives up."""
    total = Applied(network)
    for method in methods:
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
        )
        if done.failure:
            break
    return total


def _judged(
    draft: RepairResult,
    network: PreTrainedModel,
    before: Measured,
    material: Material,
    context: Context,
    measure: Measure,
    source: Source,
    folder: Folder,
) -> RepairResult:
    """The result with what was measured of the repaired model and of the control arm."""
    config = context.config
    with _step("measuring the repaired model", draft, source, folder):
        after = measure(network, "after")
        found = changes(before, after)
    draft = replace(draft, after=after.values, intervals=_intervals(found))
    relearned, control = None, None
    if config.relearn_steps:
        relearned, said = _relearning(network, material, context, before)
        draft = replace(draft, notes=(*draft.notes, *said))
    del network
    if config.control_arm:
        with _step("the control arm", draft, source, folder):
            control = measure(_control_arm(material, context, draft.tokens), "control")
    limits = Limits(config.max_perplexity_rise, config.max_content_loss, config.max_emission)
    with _step("judging the repair", draft, source, folder):
        reasons = judge(found, limits, None if control is None else changes(control, after))
    missing = unjudged(found)
    return replace(
        draft,
        improved=not reasons,
        reasons=tuple(reasons),
        failed=None,
        control=None if control is None else control.values,
        relearning=relearned,
        notes=(*draft.notes, *([f"not judged: {', '.join(missing)}"] if missing else [])),
    )


@contextlib.contextmanager
def _step(name: str, so_far: RepairResult, source: Source, folder: Folder) -> Iterator[None]:
    """A step after the model was written: if it fails, ``repair.json`` says so, and so do we.

    Raises:
        RepairError: It failed.
    """
    try:
        yield
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        failed = replace(so_far, improved=None, reasons=(), failed={"step": name, "error": said})
        with contextlib.suppress(Exception):  # a full disk: the draft stays, which says as much
            on_main(lambda: folder.write_texts(_texts(failed, source.model)))
        raise RepairError(
            f"{folder.path}: the repaired model is written there, but {name} failed ({said}), so "
            "it is not known whether it helped"
        ) from error


def _control_arm(material: Material, context: Context, tokens: int) -> PreTrainedModel:
    """The original after plain training on the replay rows, on the same budget."""
    config = context.config
    plan = mix((), material.replay, replay_ratio=1, passes=1, tokens=tokens, seed=config.seed)
    plain = replace(
        config,
        method="forgetting",
        task_negation=None,
        forget_weight=0.0,
        bias_weight=0.0,
        replay_weight=1.0,
        save_strategy="no",
        resume_from_checkpoint=None,
    )
    alone = replace(context, config=plain, load_reference=None)
    network = context.load_original()
    (method,) = chosen_methods(plain, earlier_model=False)
    network = method.prepare(network, alone)
    return method.apply(network, replace(material, plan=plan), alone).model


def _relearning(
    network: PreTrainedModel, material: Material, context: Context, before: Measured
) -> tuple[dict[str, Any] | None, list[str]]:
    """What the relearning probe found; None, and why, where it could not be taken.

    Nothing is judged by it, so that it does not decide whether the repair is reported.
    """
    collator = Collator(pad_id(context.tokenizer))
    rows = material.measured
    if len(rows) < _RELEARNING_ROWS and not material.seen:
        rows = [*rows, *material.forgotten]
    try:
        found = on_main(
            lambda: relearn(
                network,
                rows,
                collator,
                before=before.values.get("template_probability"),
                steps=context.config.relearn_steps,
                learning_rate=float(context.config.learning_rate or 0),
                seed=context.config.seed,
            )
        )
    except Exception as error:
        return None, [f"relearning was not measured: {type(error).__name__}: {error}"]
    if found is None:
        return None, ["relearning was not measured: it takes two flagged rows with template tokens"]
    return asdict(found), []


def _intervals(found: Mapping[str, Change]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "rows": each.rows,
            "before": each.before_interval,
            "after": each.after_interval,
            "change": each.interval,
        }
        for name, each in found.items()
        if each.rows
    }


def _texts(result: RepairResult, model: str | Path) -> dict[str, str]:
    return {"repair.json": result.to_json(), "README.md": model_card(result, _name(model))}


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
