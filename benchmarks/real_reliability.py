"""How far the real model's yardstick can be relied on: another seed, budget and model beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
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
_DRAWS = 400


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


def reachable(runs: pd.DataFrame, foreign: int, followed: int) -> Iterator[str]:
    """What a foretelling that knew each slice's true damage would reach on so few prompts.

    Args:
        runs: A row a run, with "emission_added" and "lost".
        foreign: Answers that emission is a share of.
        followed: Instructions that what is kept is a share of.
    """
    by = runs.groupby("slice", sort=False)
    means, drawn = by.mean(numeric_only=True), by.size().to_numpy()
    rng = np.random.default_rng(0)
    asked = foreign * drawn
    said = np.round(means["emission_added"].to_numpy() * asked)

    def emitted() -> float:
        true = rng.beta(said + 0.5, asked - said + 0.5)
        return rank_correlation(true, rng.binomial(asked, true) / asked)

    yield (
        f"Emission is a share of {foreign} answers. Were the share of each slice drawn about what "
        f"was measured (Jeffreys' prior) and known, it would rank what {foreign} answers show of "
        f"it at {_told([emitted() for _ in range(_DRAWS)])}."
    )
    lost, kept = means["lost"].to_numpy(), means["kept"].to_numpy()
    seed = _seed_deviation(runs) / np.sqrt(drawn)
    natural = float((kept / (1 - lost)).mean())
    prompt = np.sqrt(kept * (1 - kept) / followed) / natural

    def ranked(noise: npt.NDArray[np.float64]) -> str:
        spread = math.sqrt(max(lost.var(ddof=1) - float((noise**2).mean()), 0.0))
        values = []
        for _ in range(_DRAWS):
            true = rng.normal(0, spread, len(lost))
            values.append(rank_correlation(true, true + rng.normal(0, noise)))
        return _told(values)

    yield ""
    yield (
        f"What is lost differs by {_seed_deviation(runs):.3f} (standard deviation) from seed to "
        f"seed, and its standard error from {followed} instructions is {prompt.mean():.3f}, in "
        "part the same for all slices, for all are asked the same; over the slices it has a "
        f"standard deviation of {lost.std(ddof=1):.3f}. Knowing the true loss would rank what was "
        f"measured at {ranked(seed)}, if these instructions are all there are; at "
        f"{ranked(np.hypot(seed, prompt))}, if they are drawn anew for every slice. It lies "
        "between."
    )
    yield ""
    emission, likeness = (
        rank_correlation(means[name].to_numpy(), lost) for name in ("emission_added", "likeness")
    )
    yield (
        f"Nor is the loss the format's alone: the emission that was measured, and so the best "
        f"that could be foretold of it, ranks the loss at {emission:.2f}, and the likeness of the "
        f"answers, measured as well, at {likeness:.2f}."
    )


def _told(values: list[float]) -> str:
    """The mean of simulated correlations, and between what 95% of them lie."""
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{np.mean(values):.2f} ({low:.2f} to {high:.2f})"


def _seed_deviation(runs: pd.DataFrame) -> float:
    """The standard deviation of what one seed says is lost, from slices with two."""
    both = runs.pivot_table(index="slice", columns="seed", values="lost").dropna()
    return float(np.sqrt(((both[0] - both[1]) ** 2).mean() / 2))


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
