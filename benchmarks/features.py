"""Scores every slice by every check of the catalogue, and by what others offer.

    python benchmarks/features.py --data FOLDER

Writes ``results/damage_features.csv``, a row a slice: for each check its score, low and high; for
each peer its value on 1,000 rows drawn at random, and the Vendi score of the audit. The commit and
the machine stand in ``damage_features.json`` beside it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
from environment import heading
from peers import PEERS
from slices import Slice, slices

from synflaw_audit.engines.base import silent
from synflaw_audit.engines.local.engine import sketched
from synflaw_audit.reading import open_source
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.verdicts.catalogue import Check, load_checks
from synflaw_audit.verdicts.judge import judge

SAMPLE = 1000


def scored(part: Slice, checks: tuple[Check, ...]) -> dict[str, object]:
    """One row of the table."""
    source = open_source(pa.Table.from_pandas(part.rows, preserve_index=False))
    sketch = sketched(source, silent).sketch
    row: dict[str, object] = {"slice": part.name, "family": part.family, "origin": part.origin}
    row["rows"] = len(part.rows)
    for finding in judge(Corpus(sketch), checks).findings:
        for bound in ("score", "low", "high"):
            row[f"{finding.name}:{bound}"] = round(float(getattr(finding, bound)), 6)
        if "vendi" in finding.observed:
            row["peer:Vendi score (negated)"] = -round(float(finding.observed["vendi"]), 4)
    sample = part.rows["answer"].sample(min(SAMPLE, len(part.rows)), random_state=0).tolist()
    return {**row, **{f"peer:{name}": round(peer(sample), 6) for name, peer in PEERS.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--checks", nargs="+", help="score these only, beside what is there")
    options = parser.parse_args()
    wanted = [c for c in load_checks() if not options.checks or c.name in options.checks]
    checks, made = tuple(wanted), heading("benchmarks/features.py --data FOLDER").strip()
    table, notes = options.out / "damage_features.csv", options.out / "damage_features.json"
    rows = []
    for part in slices(options.data):
        rows.append(scored(part, checks))
        print(part.name, flush=True)
    scores = pd.DataFrame(rows).set_index("slice")
    described = {"made": {check.name: made for check in checks}}
    if options.checks and table.exists():
        before = pd.read_csv(table).set_index("slice")
        scores = pd.concat([before.drop(columns=scores.columns, errors="ignore"), scores], axis=1)
        described["made"] = {**json.loads(notes.read_text())["made"], **described["made"]}
    options.out.mkdir(parents=True, exist_ok=True)
    scores.to_csv(table)
    notes.write_text(json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    main()
