"""How often each verdict comes, of draws whose true share lies at a limit or to either side of it.

    python benchmarks/near_limits.py --out benchmarks/results/near_limits.md

From a population in which a known share of the answers opens with one phrase, or stands in one
frame, corpora of 500 records are drawn; the share is the limit times 0.9, 1.0 and 1.1. Beside the
rule of the interval stands the verdict that the score alone would have.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from environment import heading
from populations import WORDS, corpus

from synflaw_audit.verdicts.catalogue import Check, find_check, load_checks
from synflaw_audit.verdicts.judge import judged, scored

RECORDS = 500
FORMS = {
    "SF102": "Great question, and well put! {}",
    "SF101": "In short, the answer is this: {}. I hope that this helps you.",
}


def rows(form: str, share: float, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(12, 30, RECORDS)
    rank = rng.zipf(1.4, int(lengths.sum())) % len(WORDS)
    texts = [" ".join(part) for part in np.split(WORDS[rank], np.cumsum(lengths)[:-1])]
    answers = [form.format(text) if rng.random() < share else text for text in texts]
    return pd.DataFrame({"question": [f"q{n}" for n in range(RECORDS)], "answer": answers})


def verdicts(
    check: Check, form: str, share: float, draws: int
) -> tuple[Counter[str], Counter[str]]:
    """How many draws have each verdict, near or not, and how many by the score alone."""
    by_interval: Counter[str] = Counter()
    by_score: Counter[str] = Counter()
    for seed in range(draws):
        seen = corpus(rows(form, share, seed), RECORDS)
        (score,) = scored(seen, [check])
        (found,) = judged(seen, [score]).findings
        (alone,) = judged(seen, [replace(score, check=replace(check, near="score"))]).findings
        by_interval["near" if found.near else found.verdict] += 1
        by_score[alone.verdict] += 1
    return by_interval, by_score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    command = f"benchmarks/near_limits.py --draws {options.draws} --out {options.out}"
    lines = [
        "# Verdicts near a limit",
        "",
        heading(command),
        f"{options.draws} corpora of {RECORDS} records each. Near is the interval that holds the "
        "limit; what it comes to, a warning, a failure or undecided, is the policy's `near`.",
        "",
        "| check | true share | pass | warn | near | fail | score alone: pass | warn | fail |",
        "| --- | --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for code, form in FORMS.items():
        check = find_check(load_checks(), code)
        for factor in (0.9, 1.0, 1.1):
            share = factor * check.fail_above
            interval, score = verdicts(check, form, share, options.draws)
            told = [f"{interval[v] / options.draws:.0%}" for v in ("pass", "warn", "near", "fail")]
            alone = [f"{score[v] / options.draws:.0%}" for v in ("pass", "warn", "fail")]
            cells = [f"{code} {check.name}", f"{share:.3g}, limit x {factor}", *told, *alone]
            lines.append(f"| {' | '.join(cells)} |")
            options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
