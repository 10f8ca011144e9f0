"""One run of the lab: base model, damage, and every repair of it, measured alike.

The stages follow the published experiment on pattern overfitting in continued pre-training: a base
model; continued training on mostly ordinary text with a share of uniform question-answer pairs; a
repair for a small fraction of the tokens; a short instruction tuning, before and after which
everything is measured. Every repair reads what the audit flagged in the corpus, and nothing else is
known to it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from transformers import LlamaForCausalLM

from synflaw_audit.lab.arms import WORLDS, DamagedWorld, Preset, RepairArm
from synflaw_audit.lab.cache import Stages
from synflaw_audit.lab.corpora import LabRow, templated_corpus, varied_corpus
from synflaw_audit.lab.known import KNOWN
from synflaw_audit.lab.stages import (
    base_rows,
    continued_rows,
    probes,
    replay_rows,
    tuning_rows,
)
from synflaw_audit.lab.tables import ArmResult
from synflaw_audit.lab.tiny import (
    Hyperparameters,
    new_model,
    quiet_libraries,
    threads,
    train,
    train_tokenizer,
)
from synflaw_audit.lab.unknown import UNKNOWN
from synflaw_audit.lab.world import World
from synflaw_audit.repair import RepairConfig, repair
from synflaw_audit.repair import Row as RepairRow
from synflaw_audit.repair.material.flagged import read_flagged
from synflaw_audit.repair.material.reexpress import content_pieces
from synflaw_audit.run import audit

KINDS = (*KNOWN, *UNKNOWN)
RETRAINED = "re-trained on the fixed corpus"


@dataclass(frozen=True)
class Lab:
    """A lab of one size, with the worlds and the repairs to compare in it.

    Attributes:
        preset: The size.
        worlds: The worlds.
        arms: The repairs.
        log: Called with a line for each stage.
        control: Whether a control is trained too, on the same facts, told in the form asked for.
        retrained: Whether the base model is trained anew with the corpus cut free of its format:
            no repair, but what one is to be held against.
        tuned: Whether everything is measured again after the instruction tuning.
        stages: A folder to keep the trained stages in, and to take them from; None for neither.
        known: Outcomes of earlier runs, which are given instead of being measured again.
    """

    preset: Preset
    worlds: Sequence[DamagedWorld]
    arms: Sequence[RepairArm]
    log: Callable[[str], None] = field(default=lambda stage: None)
    control: bool = True
    retrained: bool = False
    tuned: bool = True
    stages: Path | None = None
    known: Sequence[ArmResult] = ()

    def run(self, seeds: Sequence[int]) -> Iterator[ArmResult]:
        """Run every world with every seed, and give each outcome as it is measured."""
        for seed in seeds:
            with threads(), quiet_libraries(), tempfile.TemporaryDirectory() as folder:
                yield from _Run(self, seed, Path(folder)).outcomes()


class _Run:
    """One seed of a lab: its facts, its rows, its probes, and the stages one after the other."""

    def __init__(self, lab: Lab, seed: int, folder: Path) -> None:
        preset = lab.preset
        self._lab, self._preset, self._seed, self._folder = lab, preset, seed, folder
        self._stages = Stages(lab.stages)
        self._world = World.build(seed, preset.known, preset.unknown)
        self._corpus = templated_corpus(self._world, preset.corpus, seed, KINDS)
        self._natural = replay_rows(self._world, preset.natural, seed)
        self._base = base_rows(
            self._world, seed, instructed=preset.instructed, prose=preset.prose, kinds=KINDS
        )
        self._tuning = tuning_rows(self._world, preset.tuning, seed, KINDS)
        shown = (*self._base, *self._mixed(WORLDS[1], ()), *self._tuning, *self._natural)
        self._suite = probes(self._world, seed, shown, UNKNOWN)
        rows = (*self._base, *self._corpus, *self._natural)
        texts = (text for row in rows for text in (row.question, row.answer))
        self._tokenizer = train_tokenizer(texts, preset.size.vocabulary)

    def outcomes(self) -> Iterator[ArmResult]:
        """The base model, and in every world the damaged one and its repairs, all measured."""
        model = new_model(self._tokenizer, self._preset.size, self._seed)
        self._lab.log(f"seed {self._seed}: base")
        learned = self._trained(model, self._base, self._preset.base)
        base = self._saved(model, "base")
        flagged = _flagged(self._corpus, self._folder)
        for damage in self._lab.worlds:
            yield from self._in(damage, base, learned, flagged)

    def _in(
        self, damage: DamagedWorld, base: Path, learned: int, flagged: Path
    ) -> Iterator[ArmResult]:
        """The outcomes of one world, whose base model took ``learned`` tokens."""
        yield from self._measured(damage, "base", lambda: (_opened(base), learned))
        for name, corpus in self._healthy(flagged):
            yield from self._measured(damage, name, partial(self._continued, base, damage, corpus))
        model, continued = self._continued(base, damage, self._corpus)
        damaged = self._saved(model, damage.name)
        yield from self._measured(damage, "damaged", lambda: (_opened(damaged), continued))
        budget = self._preset.budget(learned + continued)
        for arm in self._lab.arms:
            yield from self._measured(
                damage, arm.name, partial(self._repaired, arm, damaged, flagged, base, budget)
            )

    def _healthy(self, flagged: Path) -> Iterator[tuple[str, Sequence[LabRow]]]:
        """Corpora without the format that a model may be trained on instead, by name."""
        if self._lab.control:
            yield "control", varied_corpus(self._world, self._preset.corpus, self._seed, KINDS)
        if self._lab.retrained:
            found = read_flagged(flagged, scope="template").rows
            cut = (LabRow(row.question, " ".join(content_pieces(row))) for row in found)
            yield RETRAINED, [row for row in cut if row.answer]

    def _continued(
        self, base: Path, damage: DamagedWorld, corpus: Sequence[LabRow]
    ) -> tuple[LlamaForCausalLM, int]:
        """The base model after the continued training with ``corpus``, and its tokens."""
        model = _opened(base)
        return model, self._trained(model, self._mixed(damage, corpus), self._preset.continued)

    def _mixed(self, damage: DamagedWorld, corpus: Sequence[LabRow]) -> list[LabRow]:
        preset = self._preset
        return continued_rows(
            self._world,
            corpus,
            self._seed,
            prose=preset.continued_prose,
            plain=preset.continued_plain,
            instructed=round(damage.instructed * preset.continued_instructed),
            kinds=KINDS,
        )

    def _trained(
        self, model: LlamaForCausalLM, rows: Sequence[LabRow], how: Hyperparameters
    ) -> int:
        """Train in place, or take the stage from where it is kept; its tokens."""
        return self._stages.trained(
            model,
            rows,
            (how, self._tokenizer.backend_tokenizer.to_str()),
            self._seed,
            lambda: train(model, self._tokenizer, rows, how, self._seed),
        )

    def _measured(
        self, damage: DamagedWorld, arm: str, made: Callable[[], tuple[LlamaForCausalLM, int]]
    ) -> Iterator[ArmResult]:
        """The model as it stands, then tuned, as every model is; or what is known of it."""
        stages = (False, True) if self._lab.tuned else (False,)
        here = (damage.name, self._seed, arm)
        known = [o for o in self._lab.known if (o.world, o.seed, o.arm) == here]
        if {outcome.tuned for outcome in known}.issuperset(stages):
            yield from (outcome for outcome in known if outcome.tuned in stages)
            return
        self._lab.log(f"seed {self._seed}, {damage.name}: {arm}")
        model, tokens = made()
        for tuned in stages:
            if tuned:
                train(model, self._tokenizer, self._tuning, self._preset.tuned, self._seed)
            figures = self._suite(model, self._tokenizer)
            yield ArmResult(damage.name, self._seed, arm, figures, tokens, tuned)

    def _saved(self, model: LlamaForCausalLM, name: str) -> Path:
        model.save_pretrained(self._folder / name)
        self._tokenizer.save_pretrained(self._folder / name)
        return self._folder / name

    def _repaired(
        self, arm: RepairArm, damaged: Path, flagged: Path, base: Path, budget: int | None
    ) -> tuple[LlamaForCausalLM, int]:
        """The damaged model repaired, and the tokens that took.

        Only what decides nothing is set beside the arm's own settings: where files go, and that the
        lab, not the repair, asks the model questions before and after.
        """
        out = self._folder / f"{damaged.name}-repaired" / arm.name.replace(" ", "-")
        plumbing = {"output_dir": str(out), "use_cpu": True, "probe_prompts": 0}
        settings = {**plumbing, "seed": self._seed, "tokens": budget, **arm.settings}
        result = repair(
            damaged,
            forget=flagged,
            replay=[RepairRow(row.question, row.answer) for row in self._natural],
            out=out,
            config=RepairConfig(**settings),
            reference_model=base if arm.against_base else None,
            quiet=True,
        )
        return _opened(out), result.tokens


def _opened(folder: Path) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(folder)


def _flagged(corpus: Sequence[LabRow], folder: Path) -> Path:
    """Audit the corpus; the path of what was flagged."""
    path = folder / "corpus.jsonl"
    lines = (json.dumps({"question": row.question, "answer": row.answer}) for row in corpus)
    path.write_text("\n".join(lines), encoding="utf-8")
    (folder / "audit").mkdir()
    audit([str(path)], out=folder / "audit")
    return folder / "audit" / "flagged.parquet"
