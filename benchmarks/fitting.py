"""The damage rank, the risk fitted to it, and how well a fit tells the damage of unseen families.

Everything here is arrays in, numbers out: ``damage.py`` and ``features.py`` make the arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from scipy.stats import rankdata, spearmanr

from synflaw_audit.verdicts.risk import Link, predicted

Floats = npt.NDArray[np.float64]
Fit = Callable[[Floats, Floats], Floats]
Design = Callable[[Floats], Floats]

RIDGE = 0.01
MOST_FEATURES = 4


def places(values: Sequence[float] | Floats) -> Floats:
    """Ranks scaled to [0, 1]; equal values share the mean of their ranks."""
    ranks = rankdata(values)
    return np.asarray((ranks - 1) / max(len(ranks) - 1, 1))


def damage_of(runs: pd.DataFrame) -> pd.DataFrame:
    """The damage of each slice, from runs of one or more seeds.

    Each figure is averaged over the seeds of the slice. The parts are places in [0, 1] among the
    slices: "emission" of the corpus's formulas, "divergence" from the control (the mean of the
    places on plain text and on foreign answers) and "sameness" of the answers (the mean of the
    places by similarity and by lost distinct bigrams). "damage" is the mean of the three.

    Args:
        runs: The columns of ``damage.csv``.

    Returns:
        Indexed by slice, in order of first appearance.
    """
    numbers = runs.select_dtypes("number").columns.drop("seed")
    by = runs.groupby("slice", sort=False)
    table = by[list(numbers)].mean()
    table.insert(0, "family", by["family"].first())
    table.insert(1, "seeds", by["seed"].nunique())
    emitted = places(table["emission"].clip(lower=0))
    diverged = (places(table["js_plain"]) + places(table["js_foreign"])) / 2
    alike = places(table["similarity"] - table["similarity_control"])
    fewer = places(table["distinct_control"] - table["distinct"])
    table["place_emission"] = emitted
    table["place_divergence"] = diverged
    table["place_sameness"] = (alike + fewer) / 2
    table["damage"] = (emitted + diverged + (alike + fewer) / 2) / 3
    return table


def fit(scores: Floats, damage: Floats, ridge: float = RIDGE) -> Floats:
    """Intercept and non-negative weights of a logistic curve through shares in [0, 1].

    Cross-entropy with a ridge on the weights of the scores, those scaled to unit deviation.

    Args:
        scores: float64 [corpora, features].
        damage: float64 [corpora].
        ridge: Of the squared weights; it draws what is predicted towards the mean.

    Returns:
        float64 [1 + features].
    """
    return _fit(scores.tobytes(), damage.tobytes(), scores.shape[1], ridge).copy()


@cache
def _fit(scored: bytes, damaged: bytes, features: int, ridge: float) -> Floats:
    """Of values in bytes: leaving out one family after another asks for many fits thrice."""
    scores = np.frombuffer(scored).reshape(-1, features)
    damage = np.frombuffer(damaged)
    scale = np.maximum(scores.std(axis=0), 1e-6)
    x = np.column_stack([np.ones(len(scores)), scores / scale])

    def loss(w: Floats) -> tuple[float, Floats]:
        logits = x @ w
        value = np.logaddexp(0, logits).mean() - (damage * logits).mean()
        slope = x.T @ (1 / (1 + np.exp(-logits)) - damage) / len(x)
        penalty = np.concatenate([[0.0], 2 * ridge * w[1:]])
        return float(value + ridge * (w[1:] ** 2).sum()), slope + penalty

    bounds = [(None, None)] + [(0, None)] * scores.shape[1]
    found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds)
    return np.concatenate([found.x[:1], found.x[1:] / scale])


# Added to what the exponential link is taken of, where it is fitted: a corpus without a format
# would else be foretold to do no damage for certain, and one answer in hundreds not be explained.
LEAST = 1e-3


def fit_shares(scores: Floats, damage: Floats, ridge: float = 1e-4) -> Floats:
    """No intercept and non-negative weights of 1 - exp(-x), through shares in [0, 1].

    Cross-entropy with a ridge as in :func:`fit`, which keeps the weights finite where every corpus
    with a format is said everywhere.

    Args:
        scores: float64 [corpora, features].
        damage: float64 [corpora].
        ridge: Of the squared weights.

    Returns:
        float64 [1 + features], the first 0.
    """
    return _fit_exponential(scores.tobytes(), damage.tobytes(), scores.shape[1], ridge, True).copy()


def fit_losses(scores: Floats, damage: Floats, ridge: float = 1e-4) -> Floats:
    """Like :func:`fit_shares`, by least squares: what is lost may be less than nothing."""
    return _fit_exponential(
        scores.tobytes(), damage.tobytes(), scores.shape[1], ridge, False
    ).copy()


@cache
def _fit_exponential(
    scored: bytes, damaged: bytes, features: int, ridge: float, shares: bool
) -> Floats:
    scores = np.frombuffer(scored).reshape(-1, features)
    damage = np.frombuffer(damaged)
    scale = np.maximum(scores.std(axis=0), 1e-6)

    def loss(w: Floats) -> tuple[float, Floats]:
        x = scores @ w + LEAST
        made, kept = -np.expm1(-x), np.exp(-x)
        if shares:
            value = ((1 - damage) * x - damage * np.log(made)).mean()
            by_x = 1 - damage / made
        else:
            value = ((made - damage) ** 2).mean()
            by_x = 2 * (made - damage) * kept
        penalty = ridge * ((w * scale) ** 2).sum()
        return float(value + penalty), scores.T @ by_x / len(x) + 2 * ridge * w * scale**2

    start, bounds = np.full(features, 0.3), [(0, None)] * features
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.concatenate([[0.0], found.x])


def index(scores: Floats) -> Floats:
    """The one number that the risk is fitted on: the mean root of the scores, float64 [corpora, 1].

    Equal weights leave nothing to fit to a few families; the root, because the damage done by a
    first share of templated rows is far more than that of as large a further one.
    """
    return np.sqrt(scores).mean(axis=1, keepdims=True)


def weighed(scores: Floats) -> Floats:
    """The scores as they are, so that each has a weight of its own."""
    return scores


def folds(families: Sequence[str]) -> Iterator[tuple[npt.NDArray[np.bool_], str]]:
    """Each family, and which rows are of it."""
    names = np.asarray(families)
    for family in dict.fromkeys(families):
        yield names == family, family


def left_out(
    scores: Floats,
    damage: Floats,
    families: Sequence[str],
    fitter: Fit = fit,
    link: Link = "logistic",
) -> Floats:
    """Each corpus's risk by a fit that has seen none of its family: float64 [corpora]."""
    made = np.empty(len(damage))
    for mask, _ in folds(families):
        made[mask] = _risks(fitter(scores[~mask], damage[~mask]), scores[mask], link)
    return made


def place_unseen(
    scores: Floats,
    damage: Floats,
    families: Sequence[str],
    choose: Callable[[Floats, Floats, Sequence[str]], list[int]] | None = None,
    fitter: Fit = fit,
) -> Floats:
    """The share of the other families' corpora that a corpus is ranked above: float64 [corpora].

    Risks of fits that left out different families are not comparable: without a harmless family
    the intercept is higher, so a harmless corpus gets a higher risk, which lowers a correlation
    over them all, even that of a single score with itself. Here the two corpora of a pair are
    compared by a fit that saw neither's family (leave-pair-out; Airola et al., "An experimental
    comparison of cross-validation techniques for estimating the area under the ROC curve",
    Computational Statistics and Data Analysis 2011).

    Args:
        scores: float64 [corpora, features].
        damage: float64 [corpora].
        families: Of each corpus.
        choose: Chooses the columns anew for each pair of families, by the others; all if not given.
        fitter: Fits.
    """
    above = np.full((len(damage), len(damage)), np.nan)
    for (one, _), (other, _) in combinations(folds(families), 2):
        seen = ~(one | other)
        held = list(range(scores.shape[1]))
        if choose is not None:
            held = choose(scores[seen], damage[seen], list(np.asarray(families)[seen]))
        risks = scores[:, held] @ fitter(scores[seen][:, held], damage[seen])[1:]
        for row, column in ((one, other), (other, one)):
            difference = np.sign(risks[row][:, None] - risks[column][None, :])
            above[np.ix_(row, column)] = (difference + 1) / 2
    return np.asarray(np.nanmean(above, axis=1))


def _risks(weights: Floats, scores: Floats, link: Link = "logistic") -> Floats:
    return predicted(np.broadcast_to(weights, (len(scores), len(weights))), scores, link)


def chosen(
    scores: Floats,
    damage: Floats,
    families: Sequence[str],
    design: Design = index,
    most: int = MOST_FEATURES,
    fitter: Fit = fit,
) -> list[int]:
    """Columns chosen one by one, while the left-out squared error falls by 2%.

    Args:
        scores: float64 [corpora, features].
        damage: float64 [corpora].
        families: Of each corpus.
        design: Makes of some columns what is fitted.
        most: Columns.
        fitter: Fits.
    """
    held: list[int] = []
    error = float(np.mean((damage - damage.mean()) ** 2))
    while len(held) < most:
        tried = {
            column: float(
                np.mean(
                    (
                        left_out(design(scores[:, [*held, column]]), damage, families, fitter)
                        - damage
                    )
                    ** 2
                )
            )
            for column in range(scores.shape[1])
            if column not in held
        }
        best = min(tried, key=lambda column: tried[column])
        if tried[best] > 0.98 * error:
            break
        held, error = [*held, best], tried[best]
    return held or [int(np.argmax([abs(rank_correlation(s, damage)) for s in scores.T]))]


def left_out_chosen(
    scores: Floats,
    damage: Floats,
    families: Sequence[str],
    design: Design = index,
    most: int = MOST_FEATURES,
    fitter: Fit = fit,
) -> tuple[Floats, list[list[int]]]:
    """Like ``left_out``, the columns chosen anew without the family; and which they were."""
    made, columns = np.empty(len(damage)), []
    for mask, _ in folds(families):
        seen = [family for family, hidden in zip(families, mask, strict=True) if not hidden]
        held = chosen(scores[~mask], damage[~mask], seen, design, most, fitter)
        made[mask] = _risks(
            fitter(design(scores[~mask][:, held]), damage[~mask]), design(scores[mask][:, held])
        )
        columns.append(held)
    return made, columns


def left_out_by(
    choose: Callable[[Floats, Floats, Sequence[str]], list[int]],
    scores: Floats,
    damage: Floats,
    families: Sequence[str],
    fitter: Fit,
    link: Link,
) -> tuple[Floats, list[list[int]]]:
    """Like ``left_out``, the columns chosen anew without the family; and which they were."""
    made, columns = np.empty(len(damage)), []
    for mask, _ in folds(families):
        seen = [family for family, hidden in zip(families, mask, strict=True) if not hidden]
        held = choose(scores[~mask], damage[~mask], seen)
        fitted = fitter(scores[~mask][:, held], damage[~mask])
        made[mask] = _risks(fitted, scores[mask][:, held], link)
        columns.append(held)
    return made, columns


def rank_correlation(one: Sequence[float] | Floats, other: Sequence[float] | Floats) -> float:
    """Spearman's rho; 0 if one of them is constant."""
    if len(set(one)) < 2 or len(set(other)) < 2:
        return 0.0
    return float(spearmanr(one, other).statistic)


def resampled(families: Sequence[str], draws: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Rows of as many families as there are, drawn with replacement, each with all its rows."""
    rows = [np.flatnonzero(mask) for mask, _ in folds(families)]
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])


def interval(
    one: Floats, other: Floats, families: Sequence[str], draws: int = 2000
) -> tuple[float, float]:
    """95% bootstrap interval of Spearman's rho over families."""
    values = [rank_correlation(one[i], other[i]) for i in resampled(families, draws, seed=0)]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
