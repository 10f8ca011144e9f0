"""How often the interval of a score holds the truth, for corpora drawn from known populations.

    python benchmarks/interval_coverage.py --out benchmarks/results/interval_coverage.md

Corpora are drawn from the populations of ``populations.py``, at three sizes of which the largest is
more than the sample holds; every measure scores each. The truth is the mean score of the largest,
of which there are as many as of the others, so that a measure whose score depends on the size shows
it. The share of a template is that of the templates that were found: its truth is less by as much
as they find less in other records of the population than those of the largest corpora do, and how
much that is is told apart.
An interval of 95% has to hold the truth in 92% to 98% of the draws. Draws that stand in the file of
scores beside the table are not taken again.
"""

from __future__ import annotations

import argparse
from collections.abc import Container, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from environment import heading
from populations import Kind, Population, corpus

from synflaw_audit.measures import MEASURES
from synflaw_audit.measures.base import Measure
from synflaw_audit.measures.templates import TemplateShare
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.verdicts.catalogue import Check, load_checks

SAMPLE = 1200
SIZES = (400, 1000, 3000)
OTHERS = 4000  # records of the population that templates are looked for in
COLUMNS = ["kind", "draw", "size", "check", "score", "low", "high", "truth"]
# Copies of records make more of the answers repeat others, the more so the fewer records there are.
TEMPLATES = ("answer-template", "question-template")
COPIES = ("answer-duplicate", "answer-near-duplicate")


def chosen(names: Container[str]) -> tuple[Check, ...]:
    """The checks of these names, all if there are none, but for those that need a reference."""
    known = (check for check in load_checks() if check.measure != "separability")
    return tuple(check for check in known if not names or check.name in names)


def drawn(kind: Kind, draw: int, others: Corpus, checks: Sequence[Check]) -> pd.DataFrame:
    """The scores of checks on one draw of every size: see ``COLUMNS``."""
    rows = Population(kind).rows(max(SIZES), seed=draw)
    found = []
    for size in SIZES:
        seen = corpus(rows.iloc[:size], SAMPLE, seed=draw)
        for check in checks:
            measure = MEASURES[check.measure](**check.params)
            score = measure.score(seen)
            truth = followed(measure, seen, others)
            found.append((kind, draw, size, check.name, score.value, score.low, score.high, truth))
    return pd.DataFrame(found, columns=COLUMNS)


def followed(measure: Measure, seen: Corpus, others: Corpus) -> float:
    """Of other records, the share that follow the templates of those seen; nan without any."""
    if not isinstance(measure, TemplateShare):
        return float("nan")
    book = seen.templates(measure.field)
    tokens = others.answer_tokens if measure.field == "answer" else others.question_tokens
    return float((book.match(tokens).template >= 0).mean())


def covered(scores: pd.DataFrame) -> pd.DataFrame:
    """By kind, check and size: the truth, mean and deviation of the scores, and what is held."""
    largest = scores[scores["size"] == max(SIZES)].groupby(["kind", "check"])["score"].mean()
    whole = largest.reindex(pd.MultiIndex.from_frame(scores[["kind", "check"]])).to_numpy()
    # The other records are a sample too: only the ratio of what is found in them counts.
    most = scores[scores["size"] == max(SIZES)].groupby(["kind", "check"])["truth"].mean()
    all_found = most.reindex(pd.MultiIndex.from_frame(scores[["kind", "check"]])).to_numpy()
    found = (scores["truth"] / all_found).fillna(1.0)
    truth = found * whole
    scores = scores.assign(
        found=found,
        truth=truth,
        below=scores["high"] < truth,
        above=scores["low"] > truth,
        half=(scores["high"] - scores["low"]) / 2,
    )
    by = scores.groupby(["kind", "check", "size"], sort=False)
    table = by.agg(
        truth=("truth", "mean"),
        found=("found", "mean"),
        mean=("score", "mean"),
        deviation=("score", "std"),
        half=("half", "mean"),
        below=("below", "mean"),
        above=("above", "mean"),
    )
    return table.assign(covered=1 - table["below"] - table["above"]).reset_index()


def written(table: pd.DataFrame, draws: int, command: str) -> str:
    table = table[(table["kind"] != "copied") | ~table["check"].isin(COPIES)]
    lines = [
        "# How often intervals hold the truth",
        "",
        heading(command),
        f"{draws} corpora of each size; the sample holds {SAMPLE:,} records. Half is half of the "
        "interval's width on average, which should be about twice the deviation of the scores. Of "
        "templates, found is how much of the format that the largest corpora show was found, and "
        "the truth is of what was found.",
    ]
    for kind, part in table.groupby("kind", sort=False):
        lines += [
            "",
            f"## {kind}",
            "",
            "| check | records | truth | mean | deviation | half | below | above | held | found |",
            "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
        ]
        for row in part.itertuples():
            flag = "" if 0.92 <= round(row.covered, 3) <= 0.98 else " *"
            found = f"{row.found:.0%}" if row.check in TEMPLATES else ""
            lines.append(
                f"| {row.check} | {row.size:,} | {row.truth:.3f} | {row.mean:.3f} | "
                f"{row.deviation:.4f} | {row.half:.4f} | {row.below:.1%} | {row.above:.1%} | "
                f"{row.covered:.1%}{flag} | {found} |"
            )
    inside = table["covered"].round(3).between(0.92, 0.98)
    chance = 100 * (0.95 * 0.05 / draws) ** 0.5
    lines += [
        "",
        f"{inside.sum()} of {len(table)} hold it in 92% to 98%; the others have a star. The number "
        f"of draws alone spreads 95% by {chance:.1f} points; over all cells it is "
        f"{table['covered'].mean():.1%}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", choices=get_args(Kind), default=get_args(Kind))
    parser.add_argument("--checks", nargs="+", default=(), help="By name; all if not given.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    np.seterr(all="raise", under="ignore")
    scores = options.out.with_suffix(".csv")
    done: set[tuple[str, int]] = set()
    if scores.exists():
        done = set(pd.read_csv(scores)[["kind", "draw"]].itertuples(index=False, name=None))
    others = {
        kind: corpus(Population(kind).rows(OTHERS, seed=2**31), OTHERS) for kind in options.kinds
    }
    for draw in range(options.draws):
        for kind in options.kinds:
            if (kind, draw) not in done:
                found = drawn(kind, draw, others[kind], chosen(options.checks))
                found.to_csv(scores, mode="a", header=not scores.exists(), index=False)
    command = f"benchmarks/interval_coverage.py --draws {options.draws} --out {options.out}"
    options.out.write_text(written(covered(pd.read_csv(scores)), options.draws, command))


if __name__ == "__main__":
    main()
