"""Fits the two predictions of the risk to what was measured on a real model.

    python benchmarks/real_calibrate.py

Reads what ``real_features.py`` wrote to ``results/``; writes ``results/real_damage.md`` and the
shipped ``synflaw_audit/verdicts/risk.json``. Each prediction is 1 - exp(-x), x a sum of at most two
checks' scores to a power with non-negative weights; which checks and powers, is chosen anew without
the family that is predicted. Ranks are by fits that saw neither family of the pair that is
compared.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path

import fitting
import numpy as np
import pandas as pd
from environment import heading
from fitting import (
    Fit,
    fit_losses,
    fit_shares,
    folds,
    interval,
    left_out,
    left_out_by,
    place_unseen,
    rank_correlation,
    resampled,
)
from real_reliability import budgets, models, reachable, seeds

from synflaw_audit.verdicts.risk import Calibration, Feature, Floats, Forecast

DRAWS, RESIDUAL_LEVEL = 200, 0.9
# Of the curve that every single score is given, with an intercept of its own.
RIDGE = 0.001
FOLLOWED = 64  # instructions that the base follows, on the machine of most runs
SEVERE = 0.25  # a damage above it is worth a warning

Term = tuple[str, float]  # a check, and the power of its score


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes:
        title: What it is.
        fit: Fits the weights of a shape.
        shapes: The terms that a prediction may be made of. The first is the one that ships.
    """

    title: str
    fit: Fit
    shapes: tuple[tuple[Term, ...], ...]


# A format is said if it is soon reached, and then steeply: in nearly all answers or in hardly any.
# Where answers follow no template at all, there is none to be said.
_POWERS = (3.0, 1.0, 2.0, 4.0)
_BESIDES = ("answer-template", None, "answer-closing", "format-predictability")
# What is said whatever is asked for disobeys, in proportion; whether it is a template or not.
_SAID_ALIKE = ("free-opening", "answer-opening", "template-opening")
TARGETS = {
    "emission": Target(
        "share of foreign answers that carry the corpus's format",
        fit_shares,
        tuple(
            (("template-opening", power), *(((other, 1.0),) if other else ()))
            for power, other in product(_POWERS, _BESIDES)
        ),
    ),
    "instruction_loss": Target(
        "share of instruction following lost, beyond natural rows",
        fit_losses,
        tuple(((check, power),) for check, power in product(_SAID_ALIKE, (1.0, 0.5, 0.75))),
    ),
}


# What the page owes its reader about how it came about.
IN_VIEW = (
    "What was chosen with results in view, so that the figures are somewhat better than "
    "another corpus will see, whatever family is left out: the budget and the probes (two earlier "
    "settings were given up for their slowness, and the instructions narrowed to those that the "
    "base follows once the base and the control were known); what the loss is relative to (first "
    "the control, then the mean of human corpora, which is less noisy); which slices were planted "
    "(because natural corpora all came out near 0); the checks `template-opening` and "
    "`free-opening`, and the shapes among which a prediction is chosen: 1 - exp(-x) without an "
    "intercept in place of a logistic curve, so that a corpus without a format is foretold to do "
    "no damage, and the third power. Of later date are two slices that were planted where the "
    "prediction was suspected to fail, and failed: one word, foretold at 0.02 and said everywhere, "
    "after which whole answers that come back count in `template-opening`, as do rows the less "
    "whose questions share a form; and a closing of short answers, foretold at 0.04 and said in "
    "0.58, after which a template that ends an answer counts there by how few tokens stand before "
    "it. That changed the score of no other slice by more than 0.05, so nothing here has tried it. "
    "Both were measured on another machine, where the base follows 59 of the instructions (64 "
    "before), on answers of 128 tokens cut to 48: the closing is in 0.65 of the whole answers, and "
    "formats that close long answers are not seen in 48 tokens at all."
)


fit = partial(fitting.fit, ridge=RIDGE)


def terms(target: Target) -> list[Term]:
    """All that the shapes are made of, each once."""
    return list(dict.fromkeys(term for shape in target.shapes for term in shape))


def choose(target: Target, scores: Floats, damage: Floats, families: Sequence[str]) -> list[int]:
    """The columns of the shape that errs least, in squares, on families that were left out."""
    known = terms(target)
    held = [[known.index(term) for term in shape] for shape in target.shapes]
    made = [left_out(scores[:, one], damage, families, target.fit, "exponential") for one in held]
    return held[int(np.argmin([((each - damage) ** 2).mean() for each in made]))]


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

    def scores(self, terms: Sequence[Term]) -> Floats:
        """Of some terms, float64 [slices, terms]."""
        columns = [self.features[f"{check}:score"] ** power for check, power in terms]
        return np.column_stack(columns).astype(float)


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


def comparison(target: Target, damage: Floats, table: Table) -> tuple[list[str], Floats]:
    """The prediction beside every single score, and the prediction for each left-out slice."""
    families, known = table.families, terms(target)
    scores, anew = table.scores(known), partial(choose, target)
    made, columns = left_out_by(anew, scores, damage, families, target.fit, "exponential")
    ranked = place_unseen(scores, damage, families, anew, target.fit)
    ships = table.scores(target.shapes[0])
    shipped = left_out(ships, damage, families, target.fit, "exponential")
    lines = [
        "| score | Spearman | 95% interval | mean absolute error | 95% interval |",
        "|---|---|---|---|---|",
        evaluated("**the prediction, family left out**", ranked, made, damage, table),
        evaluated(
            "the shape that ships, family left out",
            place_unseen(ships, damage, families, fitter=target.fit),
            shipped,
            damage,
            table,
        ),
    ]
    for check in table.checks:
        one = table.features[f"{check}:score"].to_numpy(dtype=float)
        single = left_out(one[:, None], damage, families, fit)
        lines.append(evaluated(check, one, single, damage, table))
    for peer in table.peers:
        one = table.features[peer].to_numpy(dtype=float)
        single = left_out(scaled(one), damage, families, fit)
        lines.append(evaluated(peer.removeprefix("peer:"), one, single, damage, table))
    constant = np.empty(len(damage))
    for mask, _ in folds(families):
        constant[mask] = damage[~mask].mean()
    error = float(np.abs(constant - damage).mean())
    lines.append(f"| the mean of the other families | | | {error:.3f} | |")
    used = pd.Series([" and ".join(map(told, (known[i] for i in held))) for held in columns])
    lines += ["", f"Chosen without a family, times of {len(columns)}: "]
    lines[-1] += ", ".join(f"{shape} {count}" for shape, count in used.value_counts().items())
    lines[-1] += f". What ships: {' and '.join(map(told, target.shapes[0]))}."
    return [*lines, "", ceiling(damage)], made


def told(term: Term) -> str:
    """A check and its power."""
    check, power = term
    return check if power == 1 else f"{check}^{power:g}"


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


def calibrated(
    target: Target, damage: Floats, made: Floats, table: Table, basis: str, command: str
) -> Calibration:
    """The fit that ships.

    Args:
        target: What is predicted, and by which shape.
        damage: Float64 [slices].
        made: As predicted of each slice by a fit without its family.
        table: What was scored.
        basis: As in ``Calibration``.
        command: That makes it.
    """
    shape = target.shapes[0]
    scores = table.scores(shape)
    errors = np.sort(np.abs(made - damage))
    place = min(math.ceil((len(errors) + 1) * RESIDUAL_LEVEL), len(errors)) - 1
    own = target.fit(scores, damage)
    families = table.families
    draws = [target.fit(scores[i], damage[i]) for i in resampled(families, DRAWS, seed=0)]
    means = [table.features[f"{check}:score"].mean() for check, _ in shape]
    return Calibration(
        intercept=round(float(own[0]), 4),
        features=tuple(
            Feature(check, round(float(weight), 4), round(float(mean), 4), power)
            for (check, power), weight, mean in zip(shape, own[1:], means, strict=True)
        ),
        draws=tuple(tuple(round(float(x), 4) for x in draw) for draw in draws),
        residual=round(float(errors[place]), 4),
        basis=basis,
        provenance={
            "command": command,
            "corpora": {
                name: {"family": family, "damage": round(float(value), 4)}
                for name, family, value in zip(table.means.index, families, damage, strict=True)
            },
        },
        level=RESIDUAL_LEVEL,
        link="exponential",
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
        "checks a prediction reads, and to which power, is chosen anew without these families; "
        "the second line of each table is the shape that ships, chosen with all results in view.",
        "",
        IN_VIEW,
        "",
    ]
    made: dict[str, Floats] = {}
    fits = {}
    for name, target in TARGETS.items():
        damage = table.targets[name]
        compared, made[name] = comparison(target, damage, table)
        limit = threshold(made[name], damage, table.families)
        lines += [f"## Predicted: {target.title}", "", *compared, "", limit, ""]
        fits[name] = calibrated(
            target, damage, made[name], table, basis, "python benchmarks/real_calibrate.py"
        )
    limits = reachable(table.runs, described["foreign"], FOLLOWED)
    lines += ["## What could be reached", "", *limits, ""]
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
