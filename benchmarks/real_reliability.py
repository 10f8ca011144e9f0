"""How far the real model's yardstick can be relied on: another seed, budget and model beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from fitting import interval, rank_correlation

_BUDGETS_READ = """A little training foretells which slices are said in nearly all answers after
three times as much, and which in hardly any; nine slices leave the interval wide. What lies
between it foretells badly: a greeting in half of the rows goes from under a third of the answers
to nearly all, while labels in half of the rows stay unsaid. Instructions are in an order at two
budgets that agrees no less than at one budget on two machines, so that what the budget changes in
it is within the noise; fewer are kept the longer the training. Ten times as much is known of
three slices, two without a format and one that is said by most answers either way: it shows
nothing of formats that a little training leaves unsaid."""
# Fewer slices are in an order by chance.
_FEWEST = 5


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
    """More training on the same slices (``real_budgets.py``), and what a little foretells of it."""
    described = json.loads((folder / "real_budgets.json").read_text())
    runs = pd.read_csv(folder / "real_budgets.csv")
    runs["emission_added"] = (runs["emission"] - runs["emission_base"]).clip(lower=0)
    tables = {
        int(str(budget)): table.set_index("slice") for budget, table in runs.groupby("budget")
    }
    yield f"Answers read: {described['features']}  "
    yield f"Training and answers: {described['runs']}"
    yield ""
    heads = [f"{kind}, {budget:,}" for kind in ("emission", "kept") for budget in tables]
    yield f"| slice | {' | '.join(heads)} |"
    yield "|---" + "|---:" * len(heads) + "|"
    for name in runs["slice"].unique():
        cells = [
            f"{table.loc[name, column]:.2f}" if name in table.index else ""
            for column in ("emission_added", "kept")
            for table in tables.values()
        ]
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""
    (least, first), *others = tables.items()
    yield (
        "| compared | slices | "
        + " | ".join(
            f"{kind}: Spearman, 95% interval, mean change" for kind in ("emission", "kept")
        )
        + " |"
    )
    yield "|---" * 4 + "|"
    pairs = {"as many, on the machine of the other tables": means}
    pairs |= {f"{budget:,} tokens": table for budget, table in others}
    for title, table in pairs.items():
        names = [name for name in first.index if name in table.index]
        cells = [
            _alike(first.loc[names, column], table.loc[names, column])
            for column in ("emission_added", "kept")
        ]
        yield f"| {least:,} tokens, and {title} | {len(names)} | {' | '.join(cells)} |"
    yield ""
    yield _BUDGETS_READ.replace("\n", " ")


def _alike(one: pd.Series[float], other: pd.Series[float]) -> str:
    """How the slices' order in one measurement is that in the other, and how far both differ."""
    change = f"{(other - one).mean():+.2f}"
    if len(one) < _FEWEST:
        return f"too few, {change}"
    made, told = one.to_numpy(), other.to_numpy()
    low, high = interval(made, told, [str(name) for name in one.index])
    return f"{rank_correlation(made, told):.2f}, {low:.2f} to {high:.2f}, {change}"


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
