"""Sweep the repair's weights and sources, one at a time around the defaults of the command.

    python benchmarks/repair_sweep.py --out benchmarks/results/repair_sweep.md [--stages DIR]

Runs on seeds that the lab's tables do not use. Every row differs from the first in what it names.
Writes a table a world: instruction following, facts, emission, perplexity, what was kept and what
was recovered, as ``synflaw lab`` gives them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import environment

from synflaw_audit.lab.arms import OURS, PRESETS, WORLDS, RepairArm
from synflaw_audit.lab.run import Lab
from synflaw_audit.lab.tables import COLUMNS, ArmResult, rows

SWEPT: Mapping[str, Sequence[Any]] = {
    "forget_weight": (0.0, 0.05, 0.2),
    "retain_weight": (2.0, 4.0),
    "replay_weight": (2.0,),
    "bias_weight": (0.0, 0.5),
    "replay_requests": (0.0, 0.7),
    "replay_ratio": (2.0,),
    "renderings": (8, 20),
    "samples": (1500,),
    "learning_rate": (1e-3,),
    "tokens": (60_000, 120_000),
}
PRESET = PRESETS["small"]


def arms() -> list[RepairArm]:
    """The defaults, then each variation of them."""
    varied = [
        replace(OURS, name=f"{name} {value:g}", settings={**OURS.settings, name: value})
        for name, values in SWEPT.items()
        for value in values
    ]
    return [OURS, *varied]


def written(outcomes: Sequence[ArmResult], worlds: Sequence[str], command: str) -> str:
    """The result as Markdown."""
    lines = [
        "# Weights and sources of the repair, swept one at a time",
        "",
        environment.heading(command),
        f"The row `{OURS.name}` is what `synflaw repair` does where nothing is said; the others "
        "differ from it in what they name. Columns as in "
        "[lab](lab.md), measured after the instruction tuning.",
    ]
    for world in worlds:
        lines += ["", f"## {world}", ""]
        lines += ["| " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
        lines += ["| " + " | ".join(cells) + " |" for cells in rows(outcomes, world, tuned=True)]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[5])
    parser.add_argument("--worlds", nargs="+", default=["leaking"])
    parser.add_argument("--stages", type=Path)
    options = parser.parse_args()
    chosen = [world for world in WORLDS if world.name in options.worlds]
    lab = Lab(
        PRESET,
        chosen,
        arms(),
        lambda stage: print(stage, file=sys.stderr),
        control=False,
        stages=options.stages,
    )
    outcomes: list[ArmResult] = []
    for outcome in lab.run(options.seeds):
        outcomes.append(outcome)
        if outcome.arm == "base" or not outcome.tuned:
            continue  # nothing can be compared before the damage is known, and measured
        seeds, worlds = " ".join(map(str, options.seeds)), " ".join(options.worlds)
        command = f"benchmarks/repair_sweep.py --seeds {seeds} --worlds {worlds} --out ..."
        options.out.write_text(written(outcomes, options.worlds, command), encoding="utf-8")


if __name__ == "__main__":
    main()
