"""The lab's outcomes as tables: means and standard deviations over the seeds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

FIGURES = {
    "instruction_following": "instructions, known forms",
    "unknown_forms": "unknown forms",
    "instruction_following_new_facts": "known forms on new facts",
    "unknown_forms_new_facts": "unknown forms on new facts",
    "new_facts": "new facts",
    "old_facts": "old facts",
    "template_emission": "emission",
    "perplexity": "perplexity",
}
# Shares of what was lost that came back, each of the mean of two figures.
RECOVERED = {
    "recovered, known forms": ("instruction_following", "instruction_following_new_facts"),
    "recovered, unknown forms": ("unknown_forms", "unknown_forms_new_facts"),
}
COLUMNS = ("", *FIGURES.values(), "new kept", "old kept", *RECOVERED, "tokens")
STAGES = ("base", "control", "damaged")


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


def table(outcomes: Sequence[ArmResult], world: str, *, tuned: bool) -> Table:
    """Lay out one world's outcomes."""
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
    that came back, of forms that the repair knows and of others; all are means over seeds.
    ``tokens`` are those of the repair over those of both trainings. Models are compared with models
    at the same stage: all before the instruction tuning, or all ``tuned``.
    """
    here = [each for each in outcomes if each.world == world and each.tuned == tuned]
    return [_cells(here, arm) for arm in dict.fromkeys(outcome.arm for outcome in here)]


def _cells(here: Sequence[ArmResult], arm: str) -> list[str]:
    of_arm = [outcome for outcome in here if outcome.arm == arm]
    figures = [_spread([outcome.figures[name] for outcome in of_arm]) for name in FIGURES]
    if arm in STAGES:
        return [arm, *figures, *[""] * (len(COLUMNS) - 1 - len(figures))]
    kept = [
        statistics.mean(_kept(here, outcome, name) for outcome in of_arm)
        for name in ("new_facts", "old_facts")
    ]
    back = [
        statistics.mean(_recovered(here, outcome, names) for outcome in of_arm)
        for names in RECOVERED.values()
    ]
    share = statistics.mean(outcome.tokens / _trained(here, outcome.seed) for outcome in of_arm)
    return [arm, *figures, *(f"{each:.0%}" for each in (*kept, *back)), f"{share:.1%}"]


def _spread(values: Sequence[float]) -> str:
    digits = 1 if max(values) > 1 else 2
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def _trained(outcomes: Sequence[ArmResult], seed: int) -> int:
    return sum(o.tokens for o in outcomes if o.seed == seed and o.arm in ("base", "damaged"))


def _recovered(outcomes: Sequence[ArmResult], outcome: ArmResult, names: Sequence[str]) -> float:
    def followed(of: ArmResult) -> float:
        return statistics.mean(of.figures[name] for name in names)

    stages = {o.arm: followed(o) for o in outcomes if o.seed == outcome.seed}
    lost = stages["base"] - stages["damaged"]
    return (followed(outcome) - stages["damaged"]) / lost if lost else 0.0


def _kept(outcomes: Sequence[ArmResult], outcome: ArmResult, name: str) -> float:
    known = next(o.figures[name] for o in outcomes if o.seed == outcome.seed and o.arm == "damaged")
    return outcome.figures[name] / known if known else 0.0


def as_json(outcomes: Sequence[ArmResult]) -> str:
    """Give every outcome as JSON."""
    return json.dumps([asdict(outcome) for outcome in outcomes], indent=2) + "\n"


def read_outcomes(path: Path) -> list[ArmResult]:
    """The outcomes that :func:`as_json` wrote to a file; none where there is no file."""
    if not path.is_file():
        return []
    return [ArmResult(**each) for each in json.loads(path.read_text(encoding="utf-8"))]
