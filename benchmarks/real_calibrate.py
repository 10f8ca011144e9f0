"""Fits the two predictions of the risk to what was measured on a real model.

    python benchmarks/real_calibrate.py

Reads what ``real_features.py`` wrote to ``results/``; writes ``results/real_damage.md`` and the
shipped ``synflaw_audit/verdicts/risk.json``. Each prediction is a logistic curve of at most two
checks' scores with non-negative weights; which checks, is chosen anew without the family that is
predicted. Ranks are by fits that saw neither family of the pair that is compared.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import fitting
import numpy as np
import pandas as pd
from environment import heading
from fitting import (
    chosen,
    folds,
    interval,
    left_out,
    left_out_chosen,
    place_unseen,
    rank_correlation,
    resampled,
    weighed,
)
from real_reliability import budgets, models, seeds

from synflaw_audit.verdicts.risk import Calibration, Feature, Floats, Forecast

DRAWS, RESIDUAL_LEVEL, POWER, MOST = 200, 0.9, 1.0, 2
# The tenth of what the small model's fit had, by which a corpus of nothing but a format was drawn
# so far towards the mean that it was foretold to be said in two answers of three.
RIDGE = 0.001
SEVERE = 0.25  # a damage above it is worth a warning
# Checks that look at what the answers say again: a model can only take over what is said. Which of
# them are read is chosen by the fit; the others stand in the comparison. ``compression`` is none of
# them, for it says nothing of short answers: one of five words over and over scores 0.
CANDIDATES = (
    "answer-template",
    "answer-opening",
    "answer-closing",
    "answer-duplicate",
    "answer-near-duplicate",
    "format-predictability",
    "self-repetition",
    "structural-tokens",
    "template-opening",
)
TARGETS = {
    "emission": "share of foreign answers that carry the corpus's format",
    "instruction_loss": "share of instruction following lost, beyond natural rows",
}


# What the page owes its reader about how it came about.
IN_VIEW = (
    "What was chosen with results in view, so that the figures are somewhat better than "
    "another corpus will see, whatever family is left out: the budget and the probes (two earlier "
    "settings were given up for their slowness, and the instructions narrowed to those that the "
    "base follows once the base and the control were known); what the loss is relative to (first "
    "the control, then the mean of human corpora, which is less noisy); which checks a prediction "
    "may read (narrowed twice); the check `template-opening`, which was made when the emission of "
    "all slices of the first seed was known; two weights in place of a mean of roots (three err "
    "more); which slices were planted (because natural corpora all came out near 0); the ridge of "
    "the fit, a tenth of what it was (the mean error falls, ranks stay). Of later date are two "
    "slices that were planted where the prediction was suspected to fail, and failed: one word, "
    "foretold at 0.02 and said everywhere, after which whole answers that come back count in "
    "`template-opening`, as do rows the less whose questions share a form; and a closing of short "
    "answers, which is still not foretold. They were measured on another machine, where the base "
    "follows 59 of the instructions (64 before), on answers of 128 tokens cut to 48: the closing "
    "is in 0.65 of the whole answers, and formats that close long answers are not seen in 48 "
    "tokens at all."
)


fit = partial(fitting.fit, ridge=RIDGE)


def choose(scores: Floats, target: Floats, families: Sequence[str]) -> list[int]:
    """The columns of a prediction."""
    return chosen(scores, target, families, weighed, MOST, fit)


class Table:
    """What was measured and what was scored, a row a slice."""

    def __init__(self, runs: pd.DataFrame, features: pd.DataFrame) -> None:
        known = features.set_index("slice")
        runs = runs[runs["slice"].isin(known.index)].copy()
        runs["emission_added"] = (runs["emission"] - runs["emission_base"]).clip(lower=0)
        # Any narrow training costs something: what human corpora cost, in the mean.
        self.natural = float(runs.loc[runs["origin"] == "human", "kept"].mean())
        # Not cut off at 0: what is cut off of the noise on one side only would look like damage.
        runs["lost"] = 1 - runs["kept"] / self.natural
        self.runs = runs
        self.means = runs.groupby("slice", sort=False).mean(numeric_only=True)
        self.features = known.loc[self.means.index]
        self.families: list[str] = self.features["family"].tolist()
        self.targets = {
            "emission": self.means["emission_added"].to_numpy(),
            "instruction_loss": self.means["lost"].to_numpy(),
        }
        columns = self.features.columns
        self.checks = [
            name.removesuffix(":score")
            for name in columns
            if name.endswith(":score") and self.features[name].nunique() > 1
        ]
        self.peers = [name for name in columns if name.startswith("peer:")]

    def scores(self) -> Floats:
        """Of the candidates, float64 [slices, candidates]."""
        names = [f"{check}:score" for check in CANDIDATES]
        return self.features[names].to_numpy(dtype=float)


def evaluated(name: str, values: Floats, made: Floats, target: Floats, table: Table) -> str:
    """A line of the comparison: ranks by the score itself, error by a curve fitted to it."""
    low, high = interval(values, target, table.families, draws=400)
    errors = np.abs(made - target)
    drawn = [errors[rows].mean() for rows in resampled(table.families, DRAWS, seed=0)]
    bounds = np.quantile(drawn, [0.025, 0.975])
    return (
        f"| {name} | {rank_correlation(values, target):.2f} | {low:.2f} to {high:.2f} "
        f"| {errors.mean():.3f} | {bounds[0]:.3f} to {bounds[1]:.3f} |"
    )


def scaled(values: Floats) -> Floats:
    """To [0, 1], float64 [slices, 1], so that the same curve can be fitted to any score."""
    spread = values.max() - values.min()
    return ((values - values.min()) / (spread or 1.0))[:, None]


def comparison(target: Floats, table: Table) -> tuple[list[str], Floats]:
    """The prediction beside every single score, and the prediction for each left-out slice."""
    families = table.families
    made, columns = left_out_chosen(table.scores(), target, families, weighed, MOST, fit)
    ranked = place_unseen(table.scores(), target, families, choose, fit)
    every = table.features[[f"{check}:score" for check in table.checks]].to_numpy(dtype=float)
    free, _ = left_out_chosen(every, target, families, weighed, MOST, fit)
    lines = [
        "| score | Spearman | 95% interval | mean absolute error | 95% interval |",
        "|---|---|---|---|---|",
        evaluated("**the prediction, family left out**", ranked, made, target, table),
        evaluated(
            "the same, chosen among all checks",
            place_unseen(every, target, families, choose, fit),
            free,
            target,
            table,
        ),
    ]
    for check in table.checks:
        one = table.features[f"{check}:score"].to_numpy(dtype=float)
        single = left_out(one[:, None], target, families, fit)
        lines.append(evaluated(check, one, single, target, table))
    for peer in table.peers:
        one = table.features[peer].to_numpy(dtype=float)
        single = left_out(scaled(one), target, families, fit)
        lines.append(evaluated(peer.removeprefix("peer:"), one, single, target, table))
    constant = np.empty(len(target))
    for mask, _ in folds(families):
        constant[mask] = target[~mask].mean()
    error = float(np.abs(constant - target).mean())
    lines.append(f"| the mean of the other families | | | {error:.3f} | |")
    used = pd.Series([CANDIDATES[i] for held in columns for i in held]).value_counts()
    lines += ["", f"Chosen without a family, times of {len(columns)}: "]
    lines[-1] += ", ".join(f"{check} {count}" for check, count in used.items()) + "."
    lines += ["", ceiling(target)]
    return lines, made


def ceiling(target: Floats) -> str:
    """What equal damages leave of a correlation."""
    rng = np.random.default_rng(0)
    orders = [target + 1e-9 * rng.random(len(target)) for _ in range(DRAWS)]
    mean = float(np.mean([rank_correlation(order, target) for order in orders]))
    equal = int((np.abs(target) < 1e-9).sum())
    return (
        f"The damage of {equal} slices is exactly 0; a score that put all in their right order, "
        f"and those in any, would reach {mean:.2f}."
    )


def threshold(made: Floats, target: Floats, families: list[str]) -> str:
    """A limit on the prediction, set on the other families and tried on the one left out."""
    severe, said = target > SEVERE, np.zeros(len(target), dtype=bool)
    for mask, _ in folds(families):
        limits = np.unique(made[~mask])
        right = [((made[~mask] >= limit) == severe[~mask]).mean() for limit in limits]
        said[mask] = made[mask] >= limits[int(np.argmax(right))]
    caught, false = int((said & severe).sum()), int((said & ~severe).sum())
    return (
        f"Damage above {SEVERE:.0%}, by a limit set without the family: {caught} of "
        f"{int(severe.sum())} found, {false} of {int((~severe).sum())} false alarms."
    )


def calibrated(target: Floats, made: Floats, table: Table, basis: str, command: str) -> Calibration:
    """The fit that ships.

    Args:
        target: The damage, float64 [slices].
        made: As predicted of each slice by a fit without its family.
        table: What was scored.
        basis: As in ``Calibration``.
        command: That makes it.
    """
    held = choose(table.scores(), target, table.families)
    scores = table.scores()[:, held]
    errors = np.sort(np.abs(made - target))
    place = min(math.ceil((len(errors) + 1) * RESIDUAL_LEVEL), len(errors)) - 1
    own = fit(scores, target)
    draws = [fit(scores[rows], target[rows]) for rows in resampled(table.families, DRAWS, seed=0)]
    return Calibration(
        intercept=round(float(own[0]), 4),
        features=tuple(
            Feature(CANDIDATES[i], round(float(weight), 4), round(float(mean), 4))
            for i, weight, mean in zip(held, own[1:], scores.mean(axis=0), strict=True)
        ),
        draws=tuple(tuple(round(float(x), 4) for x in draw) for draw in draws),
        power=POWER,
        residual=round(float(errors[place]), 4),
        basis=basis,
        provenance={
            "command": command,
            "corpora": {
                name: {"family": family, "damage": round(float(value), 4)}
                for name, family, value in zip(
                    table.means.index, table.families, target, strict=True
                )
            },
        },
        level=RESIDUAL_LEVEL,
    )


def measurements(table: Table, made: dict[str, Floats]) -> Iterator[str]:
    """A row a slice."""
    yield (
        "| slice | family | seeds | emission | predicted | instructions kept | lost | predicted "
        "| KL | likeness | words |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    drawn = table.runs.groupby("slice")["seed"].nunique()
    for i, (name, row) in enumerate(table.means.iterrows()):
        yield (
            f"| {name} | {table.families[i]} | {drawn[name]} | {row['emission_added']:.2f} "
            f"| {made['emission'][i]:.2f} | {row['kept']:.2f} | {row['lost']:.2f} "
            f"| {made['instruction_loss'][i]:.2f} | {row['kl']:.2f} | {row['likeness']:.3f} "
            f"| {row['words']:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--risk", type=Path, help="where the shipped fit is written")
    options = parser.parse_args()
    runs = pd.read_csv(options.out / "real_damage.csv")
    control = runs[runs["slice"].str.startswith("control")]
    table = Table(runs, pd.read_csv(options.out / "real_damage_features.csv"))
    described = json.loads((options.out / "real_damage.json").read_text())
    families = len(set(table.families))
    basis = (
        f"calibrated: on the damage that {len(table.means)} corpora and mixtures of {families} "
        "families did to a model of 135 million parameters"
    )
    lines = [
        "# Damage in a real model",
        "",
        f"Fit: {heading('benchmarks/real_calibrate.py')}",
        f"Scores: {described['features']}  ",
        f"Training and answers: {described['runs']}",
        "",
        f"SmolLM2-135M-Instruct in bfloat16, LoRA r=16 on all linear layers at 5e-4, "
        f"{described['budget']:,} tokens, {described['tokens_per_step']} a step. Emission is the "
        f"share of {described['foreign']} foreign answers in which the audit's own matcher finds a "
        "format of the slice, less the base's. Of the verifiable instructions that the base "
        f"follows, the control on its own answers kept {control['kept'].mean():.2f} and human "
        f"corpora {table.natural:.2f} in the mean; what is lost is relative to the latter, and "
        "below 0 where more was kept. Ranks of the predictions are by fits that saw neither family "
        "of the two slices that are compared, errors by fits that did not see the slice's. Which "
        "checks a prediction may read was narrowed with a part of these results in view; the "
        "second line of each table says what choosing among all of them would have given.",
        "",
        IN_VIEW,
        "",
    ]
    made: dict[str, Floats] = {}
    fits = {}
    for name, title in TARGETS.items():
        target = table.targets[name]
        told, made[name] = comparison(target, table)
        limit = threshold(made[name], target, table.families)
        lines += [f"## Predicted: {title}", "", *told, "", limit, ""]
        fits[name] = calibrated(
            target, made[name], table, basis, "python benchmarks/real_calibrate.py"
        )
    lines += ["## Seed against seed", "", *seeds(table.runs), ""]
    lines += ["## Three and ten times the budget", "", *budgets(table.means, options.out), ""]
    lines += ["## Another model", "", *models(table.means, options.out), ""]
    lines += ["## Slices", "", *measurements(table, made), ""]
    (options.out / "real_damage.md").write_text("\n".join(lines))
    print("\n".join(lines))
    if options.risk is not None:
        forecast = Forecast(**fits)
        options.risk.write_text(json.dumps(asdict(forecast), indent=1) + "\n")


if __name__ == "__main__":
    main()
