"""One run of the lab: base model, damage, and every repair of it, measured alike.

The stages follow the published experiment on pattern overfitting in continued pre-training: a base
model; continued training on mostly ordinary text with a share of uniform question-answer pairs; a
repair for a small fraction of the tokens; a short instruction tuning, before and after which
everything is measured. Every repair reads what the audit flagged in the corpus, and nothing else is
known to it.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rich.table import Table
from transformers import LlamaForCausalLM

from synflaw_audit.lab.arms import DamagedWorld, Preset, RepairArm
from synflaw_audit.lab.cache import Stages
from synflaw_audit.lab.corpora import LabRow, templated_corpus, varied_corpus
from synflaw_audit.lab.stages import (
    base_rows,
    continued_rows,
    probes,
    replay_rows,
    tuning_rows,
)
from synflaw_audit.lab.tiny import (
    Hyperparameters,
    new_model,
    quiet_libraries,
    threads,
    train,
    train_tokenizer,
)
from synflaw_audit.lab.world import World
from synflaw_audit.repair import RepairConfig, repair
from synflaw_audit.repair import Row as RepairRow
from synflaw_audit.run import audit

FIGURES = {
    "instruction_following": "instructions",
    "instruction_following_new_facts": "on new facts",
    "new_facts": "new facts",
    "old_facts": "old facts",
    "template_emission": "emission",
    "perplexity": "perplexity",
}
COLUMNS = ("", *FIGURES.values(), "new kept", "old kept", "recovered", "tokens")


@dataclass(frozen=True)
class ArmResult:
    """What one model of one world measured.

    Attributes:
        world: Name of the world.
        seed: Its seed.
        arm: Name of the stage or repair.
        figures: The probes' figures.
        tokens: Tokens it was trained on after the stage before it.
        tuned: Whether the figures were taken after the short instruction tuning that every model
            is given alike; its tokens are not among ``tokens``.
    """

    world: str
    seed: int
    arm: str
    figures: Mapping[str, float]
    tokens: int
    tuned: bool = False


@dataclass(frozen=True)
class Lab:
    """A lab of one size, with the worlds and the repairs to compare in it.

    Attributes:
        preset: The size.
        worlds: The worlds.
        arms: The repairs.
        log: Called with a line for each stage.
        control: Whether a control is trained too, on the same facts, told in the form asked for.
        stages: A folder to keep the trained stages in, and to take them from; None for neither.
    """

    preset: Preset
    worlds: Sequence[DamagedWorld]
    arms: Sequence[RepairArm]
    log: Callable[[str], None] = field(default=lambda stage: None)
    control: bool = True
    stages: Path | None = None

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
        self._corpus = templated_corpus(self._world, preset.corpus, seed)
        self._natural = replay_rows(self._world, preset.natural, seed)
        self._base = base_rows(self._world, seed, prose=preset.prose)
        self._tuning = tuning_rows(self._world, preset.tuning, seed)
        ordinary = continued_rows(self._world, (), seed, prose=preset.continued_prose)
        shown = (*self._base, *ordinary, *self._tuning, *self._natural)
        self._suite = probes(self._world, seed, shown)
        rows = (*self._base, *self._corpus, *self._natural)
        texts = (text for row in rows for text in (row.question, row.answer))
        self._tokenizer = train_tokenizer(texts, preset.size.vocabulary)

    def outcomes(self) -> Iterator[ArmResult]:
        """The base model, and in every world the damaged one and its repairs, all measured."""
        model = new_model(self._tokenizer, self._preset.size, self._seed)
        self._lab.log(f"seed {self._seed}: base")
        learned = self._trained(model, self._base, self._preset.base)
        base = self._saved(model, "base")
        measured = list(self._measured("", "base", model, learned))
        flagged = _flagged(self._corpus, self._folder)
        for damage in self._lab.worlds:
            yield from (replace(outcome, world=damage.name) for outcome in measured)
            if self._lab.control:
                varied = varied_corpus(self._world, self._preset.corpus, self._seed)
                model, spent = self._continued(base, damage, varied, "control")
                yield from self._measured(damage.name, "control", model, spent)
            model, continued = self._continued(base, damage, self._corpus, "damaged")
            damaged = self._saved(model, damage.name)
            yield from self._measured(damage.name, "damaged", model, continued)
            for arm in self._lab.arms:
                self._lab.log(f"seed {self._seed}, {damage.name}: {arm.name}")
                reference = base if arm.against_base else None
                budget = round(arm.budget * self._preset.share * (learned + continued))
                out, spent = self._repaired(arm, damaged, flagged, reference, budget)
                yield from self._measured(damage.name, arm.name, _opened(out), spent)

    def _continued(
        self, base: Path, damage: DamagedWorld, corpus: Sequence[LabRow], name: str
    ) -> tuple[LlamaForCausalLM, int]:
        """The base model after the continued training with ``corpus``, and its tokens."""
        self._lab.log(f"seed {self._seed}, {damage.name}: {name}")
        model, preset = _opened(base), self._preset
        mixed = continued_rows(
            self._world,
            corpus,
            self._seed,
            prose=preset.continued_prose,
            plain=preset.continued_plain,
            instructed=round(damage.instructed * preset.continued_instructed),
        )
        return model, self._trained(model, mixed, preset.continued)

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
        self, world: str, arm: str, model: LlamaForCausalLM, tokens: int
    ) -> Iterator[ArmResult]:
        """The model as it stands, then tuned, in place, as every model is."""
        for tuned in (False, True):
            if tuned:
                train(model, self._tokenizer, self._tuning, self._preset.tuned, self._seed)
            figures = self._suite(model, self._tokenizer)
            yield ArmResult(world, self._seed, arm, figures, tokens, tuned)

    def _saved(self, model: LlamaForCausalLM, name: str) -> Path:
        model.save_pretrained(self._folder / name)
        self._tokenizer.save_pretrained(self._folder / name)
        return self._folder / name

    def _repaired(
        self, arm: RepairArm, damaged: Path, flagged: Path, reference: Path | None, budget: int
    ) -> tuple[Path, int]:
        """The folder of the damaged model repaired, and the tokens that took."""
        out = self._folder / f"{damaged.name}-repaired" / arm.name.replace(" ", "-")
        preset = self._preset
        settings = {
            "output_dir": str(out),
            "learning_rate": preset.rate,
            "per_device_train_batch_size": preset.batch,
            # A run of some hundred steps; the usual 0.999 averages over a thousand.
            "adam_beta2": 0.98,
            "lr_scheduler_type": "cosine",
            "tokens": budget,
            "replay_ratio": 2.0,
            "bias_weight": 0.0,
            # The comparison is of what a method does, not of where it would have been stopped.
            "max_perplexity_rise": 1e9,
            "checks": 0,
            # As the committed figures were taken, whatever the defaults are by now.
            "forget_weight": 0.05,
            "forget_decay": 1.0,
            "opening_weight": 1.0,
            "leaks": 0,
            "probe_prompts": 0,
            "seed": self._seed,
            "use_cpu": True,
            "renderings": 0,
            "replay_requests": 0.0,
            **arm.settings,
        }
        result = repair(
            damaged,
            forget=flagged,
            replay=[RepairRow(row.question, row.answer) for row in self._natural],
            out=out,
            config=RepairConfig(**settings),
            reference_model=reference,
            quiet=True,
        )
        return out, result.tokens


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


def table(outcomes: Sequence[ArmResult], world: str, *, tuned: bool) -> Table:
    """Lay out one world's outcomes: mean and standard deviation over the seeds."""
    title = f"{world}, {'after' if tuned else 'before'} the instruction tuning"
    shown = Table(box=None, header_style="dim", title=title, title_justify="left")
    for column in COLUMNS:
        shown.add_column(column, justify="right" if column else "left")
    for row in rows(outcomes, world, tuned=tuned):
        shown.add_row(*row)
    return shown


def rows(outcomes: Sequence[ArmResult], world: str, *, tuned: bool) -> list[list[str]]:
    """Give the cells of one world's table, under :data:`COLUMNS`.

    ``new kept`` and ``old kept`` are facts known over those that the damaged model knew;
    ``recovered`` is the share of the lost instruction following, on known and new people together,
    that came back; all three are means over seeds. ``tokens`` are those of the repair over those of
    both trainings. Models are compared with models at the same stage: all before the instruction
    tuning, or all ``tuned``.
    """
    here = [each for each in outcomes if each.world == world and each.tuned == tuned]
    cells = []
    for arm in dict.fromkeys(outcome.arm for outcome in here):
        of_arm = [outcome for outcome in here if outcome.arm == arm]
        figures = [_spread([outcome.figures[name] for outcome in of_arm]) for name in FIGURES]
        stage = arm in ("base", "control", "damaged")
        share = statistics.mean(outcome.tokens / _trained(here, outcome.seed) for outcome in of_arm)
        back = statistics.mean(_recovered(here, outcome) for outcome in of_arm)
        kept = [
            statistics.mean(_kept(here, outcome, name) for outcome in of_arm)
            for name in ("new_facts", "old_facts")
        ]
        shares = [*(f"{each:.0%}" for each in (*kept, back)), f"{share:.1%}"]
        cells.append([arm, *figures, *([""] * len(shares) if stage else shares)])
    return cells


def _spread(values: Sequence[float]) -> str:
    digits = 1 if max(values) > 1 else 2
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def _trained(outcomes: Sequence[ArmResult], seed: int) -> int:
    return sum(o.tokens for o in outcomes if o.seed == seed and o.arm in ("base", "damaged"))


def _recovered(outcomes: Sequence[ArmResult], outcome: ArmResult) -> float:
    stages = {o.arm: _followed(o) for o in outcomes if o.seed == outcome.seed}
    lost = stages["base"] - stages["damaged"]
    return (_followed(outcome) - stages["damaged"]) / lost if lost else 0.0


def _kept(outcomes: Sequence[ArmResult], outcome: ArmResult, name: str) -> float:
    known = next(o.figures[name] for o in outcomes if o.seed == outcome.seed and o.arm == "damaged")
    return outcome.figures[name] / known if known else 0.0


def _followed(outcome: ArmResult) -> float:
    return statistics.mean(
        outcome.figures[name]
        for name in ("instruction_following", "instruction_following_new_facts")
    )


def as_json(outcomes: Sequence[ArmResult]) -> str:
    """Give every outcome as JSON."""
    return json.dumps([asdict(outcome) for outcome in outcomes], indent=2) + "\n"
