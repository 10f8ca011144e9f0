"""What a repair will take, without doing it: tokens, time and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Row
from synflaw_audit.repair.material.flagged import read_flagged
from synflaw_audit.repair.material.gather import context_length, gather
from synflaw_audit.repair.material.self_replay import asks_itself, neutral_questions
from synflaw_audit.repair.methods.choice import chosen
from synflaw_audit.repair.methods.registry import chosen_methods
from synflaw_audit.repair.source import ModelSource, settings_for
from synflaw_audit.repair.storage.folder import library_progress
from synflaw_audit.repair.training.memory import resident

if TYPE_CHECKING:
    from synflaw_audit.reading import SourceLike


@dataclass(frozen=True)
class Estimate:
    """What a repair would take.

    Attributes:
        tokens: Training tokens, prompts included, padding not.
        steps: Optimiser steps.
        seconds: Of training on this machine, by timing one micro-batch; without the checks and
            without measuring.
        rows: Rows of each kind, as in :class:`~.result.RepairResult`.
        cuts: What ``max_length`` would cut, likewise.
        memory: Bytes at the peak by what they are for, and their ``total``: from the model's shape
            those of the method that takes most, for one comes after the other, and, where a
            processor trains, those of the ``process`` without a model.
        available: Bytes that all of this may take here.
    """

    tokens: int
    steps: int
    seconds: float
    rows: dict[str, int]
    cuts: dict[str, int]
    memory: dict[str, int]
    available: int


def estimate(
    model: str | Path,
    *,
    forget: str | Path,
    replay: SourceLike | Sequence[Row],
    config: RepairConfig | None = None,
    reference_model: str | Path | None = None,
    base: str | Path | None = None,
    retain: Sequence[Row] = (),
    question: str | None = None,
    answer: str | None = None,
    quiet: bool = False,
) -> Estimate:
    """Prepare a repair, time a micro-batch without taking a step, and write nothing.

    The memory is reckoned from the model's shape before any weight is loaded; what would not fit is
    refused then. Arguments and errors are those of :func:`~.run.repair`. A single process is
    assumed.
    """
    config = RepairConfig() if config is None else config
    source = ModelSource(model, base, reference_model)
    given = reference_model is not None
    config, _ = chosen(config, earlier_model=given, base=source.knows_base)
    methods = chosen_methods(config, earlier_model=given, base=source.knows_base)
    source.require_earlier(methods)
    flagged = read_flagged(forget, scope=config.scope)
    with library_progress(shown=not quiet):
        context = source.context(settings_for(methods, config, source), quiet=quiet)
        material = gather(
            context.tokenizer,
            flagged,
            # What the model will answer is not known yet: as many words as it may.
            [Row(q, " word" * 40) for q in neutral_questions()] if asks_itself(replay) else replay,
            retain,
            context.config,
            context=context_length(source.configuration()),
            question=question,
            answer=answer,
        )
        costs = [method.cost(material, context) for method in methods]
        process = resident() if context.config.device.type == "cpu" else 0
        memory = {"process": process, **_most([cost.memory for cost in costs])}
        memory["total"] = sum(memory.values())
        room = context.room + process
        if memory["total"] > room:
            raise RepairError(
                f"the repair would take {memory['total'] / 1e9:.1f} GB, and there are "
                f"{room / 1e9:.1f} GB: make the batch or max_length smaller, or set lora"
            )
        network = context.load_original()
        for method in methods:
            network = method.prepare(network, context)
        seconds = sum(cost.work(network) for cost in costs if cost.work is not None)
    return Estimate(
        tokens=sum(cost.tokens for cost in costs),
        steps=sum(cost.steps for cost in costs),
        seconds=seconds,
        rows={**material.rows, "without_spans": flagged.without_spans},
        cuts=asdict(material.cuts),
        memory=memory,
        available=room,
    )


def _most(memories: Sequence[dict[str, int]]) -> dict[str, int]:
    """The parts that together are most, without their total."""
    parts = [{name: size for name, size in each.items() if name != "total"} for each in memories]
    return max(parts, key=lambda each: sum(each.values()))
