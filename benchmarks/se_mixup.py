"""Whether SE-mixup helps the classifiers of few rows: separability and credibility.

    python benchmarks/se_mixup.py --data FOLDER [--seeds 20]

Two classifiers of this project learn from few rows: the one that tells a corpus's answers from a
reference's, and the one that tells answers that belong to their question from others. Each is
trained on 50 to 1,000 rows by logistic regression, plain, with mixup (Zhang et al., ICLR 2018: as
many mixed rows as there are, lambda from Beta(0.5, 0.5)), and with SE-mixup (Zheng et al.,
Self-Evolution Learning for Mixup, EMNLP 2023), and judged on 1,000 rows that it has not seen:
accuracy, Brier score and the expected calibration error of ten bins, means over the seeds with
their standard errors.

Of SE-mixup the paper's abstract and reviews were at hand, not its text: that it divides the rows by
difficulty, mixes easy ones first and hard ones then, and smooths the labels of each row by the
model's own output. How difficulty is measured (the probability of the true class by a model trained
on the other half), how stages follow (the second begins with the rows of the first), and the weight
of the output (0.3) are inferred. A linear model has one optimum whatever the order of its rows, so
the stages here say which rows are mixed with which: easy with easy, hard with hard.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from environment import heading
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from synflaw_audit.rewriting.judges.credibility import EmbeddingScorer
from synflaw_audit.text.embedders import LsaEmbedder

Reals = npt.NDArray[np.float64]
SIZES = (50, 100, 200, 1000)
TESTED = 1000
SMOOTHING, BETA = 0.3, 0.5
SEPARABLE = (("chatdoctor5k", "medforum_questiondoctor"), ("alpaca_td003_9k", "dolly_3k"))
CREDIBLE = ("chatdoctor5k", "dolly_3k", "llmadapters_math_cot")


def pairs(data: Path, name: str, count: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Some questions and answers of a corpus, each once."""
    table = pq.read_table(data / f"{name}.parquet", columns=["question", "answer"]).to_pylist()
    known = sorted({(row["question"] or "", row["answer"] or "") for row in table})
    return [known[i] for i in rng.permutation(len(known))[:count]]


def separability(data: Path, names: tuple[str, str]) -> tuple[Reals, Reals]:
    """Vectors of both corpora's answers, and which they are of."""
    rng = np.random.default_rng(0)
    count = (max(SIZES) + TESTED) // 2
    texts = [answer for name in names for _, answer in pairs(data, name, count, rng)]
    return LsaEmbedder().embed(texts), np.repeat([1.0, 0.0], len(texts) // 2)


def credibility(data: Path, name: str) -> tuple[Reals, Reals]:
    """Features of pairs that belong together and of others, and which they are."""
    rng = np.random.default_rng(0)
    count = (max(SIZES) + TESTED) // 2
    known = pairs(data, name, 2 * count, rng)
    one, other = known[:count], known[count:]
    # No question and no answer stands in both classes.
    shuffled = [(q, other[(i + 1) % len(other)][1]) for i, (q, _) in enumerate(other)]
    features = EmbeddingScorer(LsaEmbedder())([*one, *shuffled])
    return features, np.repeat([1.0, 0.0], [len(one), len(shuffled)])


def fitted(x: Reals, soft: Reals) -> LogisticRegression:
    """Logistic regression on soft labels: each row twice, weighted."""
    twice = np.concatenate([x, x])
    labels = np.repeat([1, 0], len(x))
    weights = np.concatenate([soft, 1 - soft])
    used = weights > 0
    return LogisticRegression(C=1.0, max_iter=500).fit(twice[used], labels[used], weights[used])


def mixed(x: Reals, soft: Reals, rng: np.random.Generator) -> tuple[Reals, Reals]:
    """As many rows as there are, each mixed of two."""
    partner = rng.permutation(len(x))
    share = rng.beta(BETA, BETA, len(x))
    rows = share[:, None] * x + (1 - share)[:, None] * x[partner]
    return rows, share * soft + (1 - share) * soft[partner]


def plain(x: Reals, y: Reals, rng: np.random.Generator) -> LogisticRegression:
    return fitted(x, y)


def mixup(x: Reals, y: Reals, rng: np.random.Generator) -> LogisticRegression:
    rows, soft = mixed(x, y, rng)
    return fitted(np.concatenate([x, rows]), np.concatenate([y, soft]))


def se_mixup(x: Reals, y: Reals, rng: np.random.Generator) -> LogisticRegression:
    half = rng.permutation(len(x)) < len(x) // 2
    output = np.empty(len(x))
    for side in (half, ~half):
        known = LogisticRegression(C=1.0, max_iter=500).fit(x[~side], y[~side])
        output[side] = known.predict_proba(x[side])[:, 1]
    easy = np.abs(y - output) <= np.median(np.abs(y - output))
    parts = [(x, y)]
    for stage in (easy, ~easy):
        smoothed = (1 - SMOOTHING) * y[stage] + SMOOTHING * output[stage]
        parts.append(mixed(x[stage], smoothed, rng))
    return fitted(*(np.concatenate(side) for side in zip(*parts, strict=True)))


METHODS: dict[str, Callable[[Reals, Reals, np.random.Generator], LogisticRegression]] = {
    "plain": plain,
    "mixup": mixup,
    "SE-mixup": se_mixup,
}


def figures(truth: Reals, probability: Reals) -> tuple[float, float, float]:
    """Accuracy, Brier score, expected calibration error."""
    bins = np.minimum((probability * 10).astype(int), 9)
    gaps = (
        abs(truth[bins == each].mean() - probability[bins == each].mean()) * (bins == each).mean()
        for each in np.unique(bins)
    )
    correct = ((probability > 0.5) == (truth > 0.5)).mean()
    return float(correct), float(((probability - truth) ** 2).mean()), float(sum(gaps))


def measured(x: Reals, y: Reals, size: int, seed: int, method: str) -> tuple[float, float, float]:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    known, held = order[:size], order[len(x) - TESTED :]
    scaler = StandardScaler().fit(x[known])
    model = METHODS[method](scaler.transform(x[known]), y[known], rng)
    return figures(y[held], model.predict_proba(scaler.transform(x[held]))[:, 1])


def shown(values: Sequence[float]) -> str:
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {error:.3f}"


def lines(data: Path, seeds: int) -> Iterator[str]:
    tasks = [(f"{a} or {b}", separability(data, (a, b))) for a, b in SEPARABLE]
    tasks += [(f"belongs: {name}", credibility(data, name)) for name in CREDIBLE]
    for name, (x, y) in tasks:
        for size in SIZES:
            for method in METHODS:
                found = [measured(x, y, size, seed, method) for seed in range(seeds)]
                told = " | ".join(shown(side) for side in zip(*found, strict=True))
                yield f"| {name} | {size} | {method} | {told} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    args = parser.parse_args()
    print(heading(f"benchmarks/se_mixup.py --data DATA --seeds {args.seeds}"))
    print("| task | rows | trained | accuracy | Brier | calibration error |")
    print("|---|---:|---|---|---|---|")
    for line in lines(args.data, args.seeds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
