"""Reads off the kept answers what more training on the same slice does.

    python benchmarks/real_budgets.py --data FOLDER --cache FOLDER

The cache holds a folder for each budget, which ``real_damage.py --budget TOKENS --cache`` left.
Writes ``results/real_budgets.csv``, a row a run, and ``.json``, how it came about; from both
``real_calibrate.py`` makes its table of budgets. Each slice is measured once, and its matcher run
over the answers of all budgets.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from environment import heading
from real_features import Runs, damage, measured_by
from real_slices import real_slices
from slices import Slice

from synflaw_audit.probes.emission import FormatMatcher
from synflaw_audit.verdicts.catalogue import load_checks

RESULT = Path(__file__).resolve().parent / "results" / "real_budgets.csv"


def opened(cache: Path) -> dict[int, Runs]:
    """The runs of each budget, the smallest first."""
    found = [Runs(path.parent) for path in cache.glob("*/settings.json")]
    found.sort(key=lambda runs: runs.settings["settings"]["budget"])
    return {runs.settings["settings"]["budget"]: runs for runs in found}


def rows_of(part: Slice, budgets: dict[int, Runs]) -> Iterator[dict[str, object]]:
    """One row a run of the slice, with its budget in tokens."""
    checks = load_checks()
    matcher = FormatMatcher.of(measured_by(part, checks).corpus, checks)
    for budget, runs in budgets.items():
        for row in damage(part, runs, matcher):
            yield {"budget": budget, **row}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    options = parser.parse_args()
    budgets, rows = opened(options.cache), []
    for part in real_slices(options.data):
        if any(runs.of(part.name) for runs in budgets.values()):
            rows += rows_of(part, budgets)
            print(part.name, [(row["emission"], row["kept"]) for row in rows[-3:]], flush=True)
    # A control was not trained at every budget.
    pd.DataFrame(rows).drop(columns="kept_control").to_csv(RESULT, index=False)
    made = heading("benchmarks/real_budgets.py --data FOLDER --cache FOLDER").strip()
    said = " and ".join(sorted({runs.settings["made"] for runs in budgets.values()}))
    described = {"features": made, "runs": said}
    RESULT.with_suffix(".json").write_text(json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    main()
