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
    """Three times the training beside it, where a slice has both."""
    path = folder / "real_damage_3x.csv"
    if not path.exists():
        yield "Not measured."
        return
    longer = pd.read_csv(path)
    longer["emission_added"] = (longer["emission"] - longer["emission_base"]).clip(lower=0)
    after = longer.groupby("slice").mean(numeric_only=True)
    names = [name for name in means.index if name in after.index]
    before = means.loc[names]
    after = after.loc[names]
    yield "| slice | emission | at 3x | instructions kept | at 3x |"
    yield "|---|---|---|---|---|"
    for name in names:
        yield (
            f"| {name} | {before.loc[name, 'emission_added']:.2f} "
            f"| {after.loc[name, 'emission_added']:.2f} | {before.loc[name, 'kept']:.2f} "
            f"| {after.loc[name, 'kept']:.2f} |"
        )
    emitted, held = (
        rank_correlation(before[each].to_numpy(), after[each].to_numpy())
        for each in ("emission_added", "kept")
    )
    yield ""
    yield f"Spearman over {len(names)} slices: emission {emitted:.2f}, instructions {held:.2f}."


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
