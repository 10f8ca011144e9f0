"""Scores slices of corpora by every measure, and how a random half of each scores.

    python benchmarks/measures.py --data FOLDER --out benchmarks/results/measures.md

The first table shows the scores of every slice, the second for each measure how far the score of a
random half lies from that of the whole (two halves of each slice of 1,000 rows or more) and how
much CPU time it takes, the third how well two slices can be told apart.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from environment import heading
from slices import Slice, slices

from synflaw_audit.engines.base import silent
from synflaw_audit.engines.local.engine import sketched
from synflaw_audit.measures import MEASURES, Score
from synflaw_audit.measures.separability import Separability
from synflaw_audit.reading import open_source
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.verdicts.catalogue import Check, load_checks

# The mined templates have benchmarks of their own.
LEFT_OUT = ("template_share", "separability")
LARGE = 1000  # rows from which a half is compared with the whole
PAIRS = (
    ("gsm8k test, td002_zscot", "gsm8k test, human"),
    ("gsm8k test, gpt3.5_cot_llmadapters", "gsm8k test, human"),
    ("hc3plus, chatgpt", "hc3plus, human"),
    ("selfinstruct252, text-davinci-003", "selfinstruct252, human"),
    ("alpacaeval, gpt4_0613", "alpacaeval, gpt4_0613_concise"),
    ("alpacaeval, gpt4_0613", "alpacaeval, llama-2-70b-chat-hf"),
    ("math cot", "gsm8k"),
    ("alpaca", "dolly"),
    ("chatdoctor", "medforum"),
    ("medforum", "dolly"),
)


def corpus(rows: pd.DataFrame) -> Corpus:
    return Corpus(sketched(open_source(rows), silent).sketch)


def halves(rows: pd.DataFrame) -> Iterator[Corpus]:
    if len(rows) >= LARGE:
        for seed in (0, 1):
            yield corpus(rows.sample(frac=0.5, random_state=seed))


def shown(score: Score) -> str:
    return "undecided" if score.undecided else f"{score.value:.3f}"


def scored(kept: list[Slice], checks: list[Check]) -> Iterator[str]:
    """The first and the second table, line by line."""
    drift: dict[str, list[float]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    yield "| slice | origin | rows | " + " | ".join(check.name for check in checks) + " |"
    yield "|---|---|---:|" + "---:|" * len(checks)
    for part in kept:
        whole, parts = corpus(part.rows), list(halves(part.rows))
        for each in (whole, *parts):
            _ = each.answer_tokens, each.unit  # what all measures share is no measure's cost
        cells = []
        for check in checks:
            measure = MEASURES[check.measure](**check.params)
            start = time.process_time()
            score = measure.score(whole)
            seconds[check.name].append(time.process_time() - start)
            others = [measure.score(half) for half in parts]
            drift[check.name] += [abs(other.value - score.value) for other in others
                                  if not (other.undecided or score.undecided)]  # fmt: skip
            cells.append(shown(score))
        yield f"| {part.name} | {part.origin} | {len(part.rows)} | " + " | ".join(cells) + " |"
    yield "\n| measure | largest drift | median drift | most CPU seconds |\n|---|---:|---:|---:|"
    for check in checks:
        far = drift[check.name]
        most = max(seconds[check.name])
        yield f"| {check.name} | {max(far):.3f} | {np.median(far):.4f} | {most:.2f} |"


def separated(kept: list[Slice]) -> Iterator[str]:
    """The third table, line by line."""
    by_name = {part.name: part.rows for part in kept}
    rows = [(one, other, by_name[one], by_name[other]) for one, other in PAIRS]
    for name in ("dolly", "alpaca"):
        mixed = by_name[name].sample(frac=1, random_state=0)
        middle = len(mixed) // 2
        rows.append((f"half of {name}", "the other half", mixed[:middle], mixed[middle:]))
    yield "\n| slice | reference | separability | 95% | p |\n|---|---|---:|---|---:|"
    for one, other, ours, theirs in rows:
        score = Separability().score(replace(corpus(ours), reference=corpus(theirs)))
        interval = f"{score.low:.3f} to {score.high:.3f}"
        p_value = score.observed["p_value"]
        yield f"| {one} | {other} | {score.value:.3f} | {interval} | {p_value:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    checks = [check for check in load_checks() if check.measure not in LEFT_OUT]
    kept = list(slices(options.data))
    command = "benchmarks/measures.py --data FOLDER --out benchmarks/results/measures.md"
    lines = ["# The measures on the corpora at hand\n", heading(command)]
    for line in (*scored(kept, checks), *separated(kept)):
        lines.append(line)
        print(line, flush=True)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
