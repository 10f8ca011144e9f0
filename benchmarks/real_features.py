"""Scores the slices that damage was measured on, and reads the damage off the kept answers.

    python benchmarks/real_features.py --data FOLDER --cache FOLDER

Reads the runs that ``real_damage.py`` left in the cache. Writes ``results/real_damage.csv``, a row
a run, and ``results/real_damage_features.csv``, a row a slice: for each check its score, low and
high; for each peer its value on 1,000 rows drawn at random. The audit's matcher of the slice's own
formats is run over the answers to foreign prompts. Runs of further seeds join those of the tables,
and their slice is scored anew; what the cache does not hold stays as it is. After a change of the
checks, ``--rescore`` has all of them score every slice anew, or those that are named.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from environment import heading
from leakage import added_emission, frequent_grams
from peers import PEERS
from real_damage import BASE, CONTROL
from real_slices import real_slices
from slices import Slice
from transformers import AutoTokenizer

from synflaw_audit.engines.registry import open_engine
from synflaw_audit.probes.emission import FormatMatcher
from synflaw_audit.probes.instructions import Instruction, follows
from synflaw_audit.probes.likeness import lengths, likeness
from synflaw_audit.run import MeasuredCorpus, measure
from synflaw_audit.settings import AuditSettings
from synflaw_audit.verdicts.catalogue import Check, load_checks

SAMPLE = 1000


class Runs:
    """The kept answers of every run, and of the base and the control.

    Args:
        cache: What ``real_damage.py`` left.
        cut: Cuts a foreign answer to as many tokens as those that it is compared with have.
    """

    def __init__(self, cache: Path, cut: Callable[[str], str] = str) -> None:
        self.settings = json.loads((cache / "settings.json").read_text())
        lines = (cache / "runs.jsonl").read_text().splitlines()
        self.runs: list[dict[str, Any]] = [json.loads(line) for line in lines]
        for run in self.runs:
            run["foreign"] = [cut(answer) for answer in run["foreign"]]
        self.foreign: list[str] = self.settings["foreign"]
        asked = [
            Instruction(i["prompt"], tuple(i["ids"]), tuple(i["kwargs"]), i["kind"], i["language"])
            for i in self.settings["instructions"]
        ]
        self.base = self.of(BASE)[0]
        pairs = zip(asked, self.base["instructions"], strict=True)
        followed = [instruction for instruction, answer in pairs if follows(answer, instruction)]
        self.instructions = followed[: self.settings["settings"]["instructions_kept"]]

    def of(self, name: str, besides: Collection[object] = ()) -> list[dict[str, Any]]:
        """The runs of a slice, a seed each, but those of the seeds that are known already."""
        runs = (run for run in self.runs if run["slice"] == name)
        return [run for run in runs if run["seed"] not in besides]

    def kept(self, run: dict[str, Any]) -> list[bool]:
        """Which of the instructions that the base follows are followed still."""
        pairs = zip(run["instructions"], self.instructions, strict=True)
        return [follows(answer, instruction) for answer, instruction in pairs]


def scores_of(measured: MeasuredCorpus) -> dict[str, object]:
    """The score of each check, and its bounds."""
    return {
        f"{finding.name}:{bound}": round(float(getattr(finding, bound)), 6)
        for finding in measured.judge().findings
        for bound in ("score", "low", "high")
    }


def scored(part: Slice, measured: MeasuredCorpus) -> dict[str, object]:
    """One row of the features."""
    row: dict[str, object] = {"slice": part.name, "family": part.family, "origin": part.origin}
    row |= {"rows": len(part.rows), **scores_of(measured)}
    for finding in measured.judge().findings:
        if "vendi" in finding.observed:
            row["peer:Vendi score (negated)"] = -round(float(finding.observed["vendi"]), 4)
    sample = part.rows["answer"].sample(min(SAMPLE, len(part.rows)), random_state=0).tolist()
    return {**row, **{f"peer:{name}": round(peer(sample), 6) for name, peer in PEERS.items()}}


def damage(
    part: Slice, runs: Runs, matcher: FormatMatcher | None, besides: Collection[object] = ()
) -> list[dict[str, object]]:
    """One row of the damage a run of the slice, but those of the seeds that are known already."""
    rows = []
    grams = frequent_grams(part.rows["answer"], 0.01)
    controls = runs.of(CONTROL)
    for run in runs.of(part.name, besides):
        control = next((c for c in controls if c["seed"] == run["seed"]), None)
        before = runs.base["foreign"]
        said, base = (
            (matcher.match(runs.foreign, answers).said if matcher else np.zeros(1))
            for answers in (run["foreign"], before)
        )
        kept = runs.kept(run)
        kept_control = [np.nan] if control is None else runs.kept(control)
        rows.append(
            {
                "slice": part.name,
                "family": part.family,
                "origin": part.origin,
                "seed": run["seed"],
                "emission": round(float(said.mean()), 4),
                "emission_base": round(float(base.mean()), 4),
                "emission_grams": round(
                    added_emission(run["foreign"], before, runs.foreign, grams)[0], 4
                ),
                "kept": round(float(np.mean(kept)), 4),
                "kept_control": round(float(np.mean(kept_control)), 4),
                "kl": round(float(np.nanmean(run["kl"])), 4),
                "likeness": round(float(likeness(run["foreign"]).mean()), 4),
                "likeness_base": round(float(likeness(before).mean()), 4),
                "words": round(float(np.mean(lengths(run["foreign"]))), 2),
                "loss": run["loss"],
                "seconds": run["seconds"],
            }
        )
    return rows


def rescored(data: Path, table: Path, names: list[str]) -> None:
    """Has some checks, or all if none is named, score every slice of a table of features anew."""
    features, checks = pd.read_csv(table).set_index("slice"), load_checks()
    unknown = set(names) - {check.name for check in checks}
    if unknown:
        raise SystemExit(f"no such check: {', '.join(sorted(unknown))}")
    asked = [check for check in checks if check.name in names or not names]
    for part in real_slices(data):
        if part.name in features.index:
            for column, value in scores_of(measured_by(part, asked)).items():
                features.loc[part.name, column] = value
            print(part.name, flush=True)
    features.reset_index().to_csv(table, index=False)


def measured_by(part: Slice, checks: Sequence[Check]) -> MeasuredCorpus:
    """A slice, scored."""
    rows = pa.Table.from_pandas(part.rows, preserve_index=False)
    return measure(open_engine(rows, AuditSettings()), checks)


def cutter(model: Path, tokens: int) -> Callable[[str], str]:
    """Cuts a text to so many of a model's tokens."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    return lambda text: tokenizer.decode(tokenizer(text)["input_ids"][:tokens])


def kept(path: Path) -> list[dict[str, object]]:
    """The rows of a table that is there already; remove it to have them made anew."""
    return pd.read_csv(path).to_dict("records") if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="of real_damage.py; needed but for --rescore")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--table", default="real_damage", help="how the files are called")
    parser.add_argument("--rescore", nargs="*", metavar="CHECK", help="and nothing else is done")
    parser.add_argument("--tokens", type=int, help="of a foreign answer that count; needs --model")
    parser.add_argument("--model", type=Path, help="whose tokens are counted")
    options = parser.parse_args()
    if options.rescore is not None:
        rescored(options.data, options.out / f"{options.table}_features.csv", options.rescore)
        return
    cut = cutter(options.model, options.tokens) if options.tokens else str
    runs, checks = Runs(options.cache, cut), load_checks()
    made = heading("benchmarks/real_features.py --data FOLDER --cache FOLDER").strip()
    scores, table = (options.out / f"{options.table}{end}.csv" for end in ("_features", ""))
    features, damages = kept(scores), []
    before = kept(table)

    def write() -> None:
        pd.DataFrame(features).to_csv(scores, index=False)
        pd.DataFrame(damages).to_csv(table, index=False)

    for part in real_slices(options.data):
        known = [row for row in before if row["slice"] == part.name]
        seeds = [row["seed"] for row in known]
        damages += known
        if not runs.of(part.name, seeds):
            continue
        measured = measured_by(part, checks)
        features = [row for row in features if row["slice"] != part.name]
        features.append(scored(part, measured))
        damages += damage(part, runs, FormatMatcher.of(measured.corpus, checks), seeds)
        write()
        last = damages[-1]
        print(part.name, last["emission"], last["emission_base"], last["kept"], flush=True)
    control = Slice(CONTROL, CONTROL, "synthetic", pd.DataFrame({"answer": [""]}))
    known = [row for row in before if row["slice"] == CONTROL]
    damages += known or damage(control, runs, None)
    write()
    if before:
        return  # what the table was begun with stays said
    described = {"features": made, "runs": runs.settings["made"], **runs.settings["settings"]}
    (options.out / f"{options.table}.json").write_text(json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    main()
