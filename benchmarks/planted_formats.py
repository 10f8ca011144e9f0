"""Plants known formats in human answers and measures how exactly the audit finds them.

    python benchmarks/planted_formats.py --data FOLDER --base dolly_3k.parquet

``FOLDER`` holds Parquet files with the columns ``question`` and ``answer``. For every base corpus
and scenario the table shows, as means over the seeds: the share of rows flagged, precision, recall
and F1 of the flagged rows, and the character F1 of the template spans in the planted rows that
were flagged, and the share of the characters of content that are marked in them, facts in the
middle of formats included. The scenario "nothing" shows what is flagged when nothing is planted; a
format of the base corpus's own counts as a false alarm in every scenario.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from environment import heading
from planting import FACTS, FORMATS, Spans

from synflaw_audit import audit
from synflaw_audit.verdicts.catalogue import load_checks

CHECKS = [check for check in load_checks() if check.name == "answer-template"]


@dataclass(frozen=True)
class Scenario:
    """Which formats are planted, and in what share of the rows together."""

    name: str
    formats: tuple[str, ...]
    share: float


def scenarios() -> Iterator[Scenario]:
    yield Scenario("nothing", (), 0.0)
    for name in [*FORMATS, *FACTS]:
        for share in (1.0, 0.3, 0.1, 0.02):
            yield Scenario(f"{name} {share:.0%}", (name,), share)
    for share in (1.0, 0.5, 0.25):
        yield Scenario(
            f"mixed five {share:.0%}", ("assistant", "steps", "closing", "json", "echo"), share
        )
        yield Scenario(
            f"mixed soft {share:.0%}",
            ("soft", "soft-opening", "persona", "middle", "opening"),
            share,
        )


def planted(
    rows: pd.DataFrame, scenario: Scenario, seed: int
) -> tuple[pd.DataFrame, npt.NDArray[np.bool_], list[Spans]]:
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[rng.permutation(len(rows))[: round(scenario.share * len(rows))]] = bool(scenario.formats)
    answers, truth = [], []
    for row, plant in zip(rows.itertuples(), chosen, strict=True):
        if plant:
            name = scenario.formats[rng.integers(len(scenario.formats))]
            text, spans = (FORMATS | FACTS)[name](row.question, row.answer, rng)
        else:
            text, spans = row.answer, []
        answers.append(text)
        truth.append(spans)
    return pd.DataFrame({"question": rows.question, "answer": answers}), chosen, truth


def characters(spans: Iterable[tuple[int, int]]) -> set[int]:
    return {i for start, end in spans for i in range(start, end)}


def measured(rows: pd.DataFrame, scenario: Scenario, seed: int) -> dict[str, float]:
    frame_, chosen, truth = planted(rows, scenario, seed)
    flagged = audit(frame_, checks=CHECKS).flagged()
    found = np.zeros(len(rows), dtype=bool)
    found[flagged["row"]] = True
    hits = int((found & chosen).sum())
    both = said = real = length = 0
    for row, spans in zip(flagged["row"], flagged["template_spans"], strict=True):
        if chosen[row]:
            told = characters((s["start"], s["end"]) for s in spans)
            true = characters(truth[row])
            both, said, real = both + len(told & true), said + len(told), real + len(true)
            length += len(frame_.answer[row])
    return {
        "flagged": found.mean(),
        "precision": hits / max(found.sum(), 1),
        "recall": hits / max(chosen.sum(), 1),
        "f1": 2 * hits / max(found.sum() + chosen.sum(), 1),
        "chars": 2 * both / max(said + real, 1),
        "content": (said - both) / max(length - real, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", action="append", required=True, help="file[:origin]")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    bases = " ".join(f"--base {base}" for base in options.base)
    only = f" --only '{options.only}'" if options.only else ""
    command = f"--data FOLDER {bases} --seeds {options.seeds}{only}"
    print(heading(f"benchmarks/planted_formats.py {command}"))
    measures = "flagged | precision | recall | row F1 | character F1 | content marked"
    print(f"| base | scenario | {measures} |")
    print("|---|---|---|---|---|---|---|---|")
    for base in options.base:
        name, _, origin = base.partition(":")
        rows = pd.read_parquet(options.data / name)
        rows = rows[rows.origin == origin] if origin else rows
        rows = rows.reset_index(drop=True)
        for scenario in scenarios():
            if not re.search(options.only, scenario.name):
                continue
            runs = [measured(rows, scenario, seed) for seed in range(options.seeds)]
            mean = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
            cells = " | ".join(
                f"{mean[k]:.4f}" if k == "content" else f"{mean[k]:.3f}" for k in mean
            )
            print(f"| {base} | {scenario.name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
