"""How far the real model's yardstick can be relied on: another seed, budget and model beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from fitting import rank_correlation


def seeds(runs: pd.DataFrame) -> Iterator[str]:
    """One seed against another, where a slice has both."""
    both = runs.pivot_table(
        index="slice", columns="seed", values=["emission_added", "lost", "kl", "likeness"]
    )
    drawn = runs["seed"].nunique()
    both = both.dropna()
    if drawn < 2 or len(both) < 3:
        yield f"{len(both) if drawn > 1 else 0} slices have two seeds: too few to compare."
        return
    yield (
        "| axis | slices | Spearman, seed against seed | best that a perfect score could reach on "
        "one seed, on the mean of two | mean absolute difference |"
    )
    yield "|---|---|---|---|---|"
    for name in ("emission_added", "lost", "kl", "likeness"):
        one, other = (both[name][seed].to_numpy() for seed in (0, 1))
        alike = rank_correlation(one, other)
        # Spearman and Brown: what two measurements together are worth; the best is their root.
        once, twice = (math.sqrt(max(each, 0)) for each in (alike, 2 * alike / (1 + alike)))
        yield (
            f"| {name} | {len(both)} | {alike:.2f} | {once:.2f}, {twice:.2f} "
            f"| {np.abs(one - other).mean():.3f} |"
        )
    yield ""
    yield (
        "The prompts are the same for both seeds, so what another choice of prompts would change "
        "comes on top."
    )


def budgets(means: pd.DataFrame, folder: Path) -> Iterator[str]:
    """Three and ten times the training beside it, where a slice has both."""
    longer = {}
    for times in (3, 10):
        path = folder / f"real_damage_{times}x.csv"
        if path.exists():
            runs = pd.read_csv(path)
            runs["emission_added"] = (runs["emission"] - runs["emission_base"]).clip(lower=0)
            longer[times] = runs.groupby("slice").mean(numeric_only=True)
    names = [name for name in means.index if any(name in table.index for table in longer.values())]
    if not names:
        yield "Not measured."
        return
    heads = [f"{kind} at {times}x" for kind in ("emission", "kept") for times in (1, *longer)]
    yield f"| slice | {' | '.join(heads)} |"
    yield "|---" * (1 + len(heads)) + "|"
    tables = (means, *longer.values())
    for name in names:
        cells = [
            f"{table.loc[name, column]:.2f}" if name in table.index else ""
            for column in ("emission_added", "kept")
            for table in tables
        ]
        yield f"| {name} | {' | '.join(cells)} |"
    for times, table in longer.items():
        shared = [name for name in names if name in table.index]
        if len(shared) < 5:
            continue
        emitted, held = (
            rank_correlation(means.loc[shared, each], table.loc[shared, each])
            for each in ("emission_added", "kept")
        )
        yield ""
        yield (
            f"Spearman over {len(shared)} slices, 1x against {times}x: emission {emitted:.2f}, "
            f"instructions {held:.2f}."
        )


def models(means: pd.DataFrame, folder: Path) -> Iterator[str]:
    """The lab's model of 2.1 million parameters beside it (``damage.csv``)."""
    small = pd.read_csv(folder / "damage.csv").groupby("slice").mean(numeric_only=True)
    names = [name for name in means.index if name in small.index]
    ours, theirs = means.loc[names], small.loc[names]
    emitted = rank_correlation(
        ours["emission_added"].to_numpy(), theirs["emission"].clip(lower=0).to_numpy()
    )
    moved = rank_correlation(ours["kl"].to_numpy(), theirs["js_foreign"].to_numpy())
    alike = rank_correlation(
        ours["likeness"].to_numpy(),
        (theirs["similarity"] - theirs["similarity_control"]).to_numpy(),
    )
    yield (
        f"Over the {len(names)} slices that the lab's model of 2.1 million parameters was trained "
        f"on as well ([damage](damage.md)), Spearman between the two models: emission "
        f"{emitted:.2f}, divergence {moved:.2f}, likeness of the answers {alike:.2f}."
    )
