"""One run of the lab: base model, damage, and every repair of it, measured alike.

The stages follow the published experiment on pattern overfitting in continued pre-training: a base
model; continued training on mostly ordinary text with a share of uniform question-answer pairs; a
repair for a small fraction of the tokens. Every repair reads what the audit flagged in the corpus,
and nothing else is known to it.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.table import Table

from synflaw_audit.audit import audit
from synflaw_audit.lab.arms import Arm, Damage, Preset
from synflaw_audit.lab.cache import Stages
from synflaw_audit.lab.corpora import Row, templated_corpus, varied_corpus
from synflaw_audit.lab.stages import base_rows, continued_rows, probes, replay_rows
from synflaw_audit.lab.tiny import (
    Training,
    new_model,
    quiet_libraries,
    threads,
    train,
    train_tokenizer,
)
from synflaw_audit.lab.world import World
from synflaw_audit.repair import RepairConfig, repair
from synflaw_audit.repair import Row as RepairRow
from synflaw_audit.repair.probes import Suite

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
class Outcome:
    """What one model of one world measured.

    Attributes:
        world: Name of the world.
        seed: Its seed.
        arm: Name of the stage or repair.
        figures: The probes' figures.
        tokens: Tokens it was trained on after the stage before it.
    """

    world: str
    seed: int
    arm: str
    figures: Mapping[str, float]
    tokens: int


@dataclass(frozen=True)
class Lab:
    """A lab of one size, with the worlds and the repairs to compare in it.

    Attributes:
        preset: The size.
        worlds: The worlds.
        arms: The repairs.
        tell: Told what is being done.
        control: Whether a control is trained too, on the same facts, told in the form asked for.
        stages: A folder to keep the trained stages in, and to take them from; None for neither.
    """

    preset: Preset
    worlds: Sequence[Damage]
    arms: Sequence[Arm]
    tell: Callable[[str], None] = field(default=lambda stage: None)
    control: bool = True
    stages: Path | None = None

    def run(self, seeds: Sequence[int]) -> Iterator[Outcome]:
        """Run every world with every seed, and give each outcome as it is measured."""
        for seed in seeds:
            with threads(), quiet_libraries(), tempfile.TemporaryDirectory() as folder:
                yield from self._seeded(seed, Path(folder))

    def _seeded(self, seed: int, folder: Path) -> Iterator[Outcome]:
        preset = self.preset
        world = World.build(seed, preset.known, preset.unknown)
        suite = probes(world, seed)
        corpus = templated_corpus(world, preset.corpus, seed)
        varied = varied_corpus(world, preset.corpus, seed)
        natural = replay_rows(world, preset.natural, seed)
        base = base_rows(world, seed, prose=preset.prose)
        texts = (x for row in (*base, *corpus, *natural) for x in (row.question, row.answer))
        tokenizer = train_tokenizer(texts, preset.size.vocabulary)
        model = new_model(tokenizer, preset.size, seed)
        self.tell(f"seed {seed}: base")
        stages = Stages(self.stages)

        def trained(rows: Sequence[Row], how: Training) -> int:
            return stages.trained(
                model,
                rows,
                (how, tokenizer.backend_tokenizer.to_str()),
                seed,
                lambda: train(model, tokenizer, rows, how, seed),
            )

        spent = trained(base, preset.base)
        figures = suite(model, tokenizer)
        weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.save_pretrained(folder / "base")
        tokenizer.save_pretrained(folder / "base")
        flagged = _flagged(corpus, folder)
        for damage in self.worlds:
            yield Outcome(damage.name, seed, "base", figures, spent)
            kinds = [("control", varied)] if self.control else []
            for name, rows in (*kinds, ("damaged", corpus)):
                self.tell(f"seed {seed}, {damage.name}: {name}")
                model.load_state_dict(weights)
                mixed = continued_rows(
                    world,
                    rows,
                    seed,
                    prose=preset.continued_prose,
                    instructed=damage.instructed,
                )
                continued = trained(mixed, preset.continued)
                yield Outcome(damage.name, seed, name, suite(model, tokenizer), continued)
            damaged = folder / damage.name
            model.save_pretrained(damaged)
            tokenizer.save_pretrained(damaged)
            for arm in self.arms:
                self.tell(f"seed {seed}, {damage.name}: {arm.name}")
                after, tokens = self._repaired(arm, damaged, flagged, natural, suite, seed)
                yield Outcome(damage.name, seed, arm.name, after, tokens)

    def _repaired(
        self,
        arm: Arm,
        damaged: Path,
        flagged: Path,
        natural: Sequence[Row],
        suite: Suite,
        seed: int,
    ) -> tuple[dict[str, float], int]:
        replay = [RepairRow(row.question, row.answer) for row in natural]
        out = damaged.parent / f"{damaged.name}-repaired" / arm.name.replace(" ", "-")
        settings = {
            "output_dir": str(out),
            "learning_rate": self.preset.rate,
            "per_device_train_batch_size": self.preset.batch,
            # A run of some hundred steps; the usual 0.999 averages over a thousand.
            "adam_beta2": 0.98,
            "tokens": round(arm.budget * self.preset.tokens),
            "replay_ratio": 2.0,
            "bias_weight": 0.0,
            # The comparison is of what a method does, not of where it would have been stopped.
            "max_perplexity_rise": 1e9,
            "checks": 0,
            "seed": seed,
            "use_cpu": True,
            "renderings": 0,
            "replay_requests": 0.0,
            **arm.settings,
        }
        result = repair(
            damaged,
            forget=flagged,
            replay=replay,
            out=out,
            config=RepairConfig(**settings),
            probe=suite,
            reference_model=damaged.parent / "base" if arm.against_base else None,
            quiet=True,
        )
        return {name: result.after[name] for name in FIGURES}, result.tokens


def _flagged(corpus: Sequence[Row], folder: Path) -> Path:
    """Audit the corpus; the path of what was flagged."""
    path = folder / "corpus.jsonl"
    lines = (json.dumps({"question": row.question, "answer": row.answer}) for row in corpus)
    path.write_text("\n".join(lines), encoding="utf-8")
    (folder / "audit").mkdir()
    audit([str(path)], out=folder / "audit")
    return folder / "audit" / "flagged.parquet"


def table(outcomes: Sequence[Outcome], world: str) -> Table:
    """Lay out one world's outcomes: mean and standard deviation over the seeds."""
    shown = Table(box=None, header_style="dim", title=world, title_justify="left")
    for column in COLUMNS:
        shown.add_column(column, justify="right" if column else "left")
    for row in rows(outcomes, world):
        shown.add_row(*row)
    return shown


def rows(outcomes: Sequence[Outcome], world: str) -> list[list[str]]:
    """Give the cells of one world's table, under :data:`COLUMNS`.

    ``new kept`` and ``old kept`` are facts known over those that the damaged model knew;
    ``recovered`` is the share of the lost instruction following, on known and new people together,
    that came back; all three are means over seeds. ``tokens`` are those of the repair over those of
    both trainings.
    """
    here = [outcome for outcome in outcomes if outcome.world == world]
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


def _trained(outcomes: Sequence[Outcome], seed: int) -> int:
    return sum(o.tokens for o in outcomes if o.seed == seed and o.arm in ("base", "damaged"))


def _recovered(outcomes: Sequence[Outcome], outcome: Outcome) -> float:
    stages = {o.arm: _followed(o) for o in outcomes if o.seed == outcome.seed}
    lost = stages["base"] - stages["damaged"]
    return (_followed(outcome) - stages["damaged"]) / lost if lost else 0.0


def _kept(outcomes: Sequence[Outcome], outcome: Outcome, name: str) -> float:
    known = next(o.figures[name] for o in outcomes if o.seed == outcome.seed and o.arm == "damaged")
    return outcome.figures[name] / known if known else 0.0


def _followed(outcome: Outcome) -> float:
    return statistics.mean(
        outcome.figures[name]
        for name in ("instruction_following", "instruction_following_new_facts")
    )


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Give every outcome as JSON."""
    return json.dumps([asdict(outcome) for outcome in outcomes], indent=2) + "\n"
