"""Separability: how well a classifier tells the answers from those of a reference corpus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.intervals import quantile
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import hashes_of, mixed
from synflaw_audit.text.embedders import Vectors
from synflaw_audit.text.tokens import Ids, Ints, Mask, extended

FOLDS = 5
FEWEST = 2 * FOLDS  # rows of either corpus
RIDGE = 1.0
NO_REFERENCE = "needs a reference corpus to compare with"

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Separability:
    """2 * AUC - 1 of a classifier that tells the corpus's answers from the reference's.

    A classifier two-sample test (Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests",
    ICLR 2017): ridge regression on embeddings of as many answers of either corpus, cross-validated
    so that answers to one question stand in one fold. Random corpora score 0, corpora that do not
    overlap 1. The p-value is that of permuted labels. What differs may be the subject as well as
    the form: a reference tells something about form only if it is about the same things.

    Attributes:
        rows: Answers of either corpus, at most.
        permutations: Of the labels, for the p-value.
    """

    rows: int = 1000
    permutations: int = 199

    def __post_init__(self) -> None:
        if self.rows < FEWEST:
            raise ValueError(f"rows must be at least {FEWEST}, not {self.rows}")
        if self.permutations < 1:
            raise ValueError(f"permutations must be at least 1, not {self.permutations}")

    def score(self, corpus: Corpus) -> Score:
        """The separability, with AUC and p-value; undecided without a reference."""
        if corpus.reference is None:
            return Score(0.0, 0.0, 1.0, undecided=NO_REFERENCE)
        vectors, ours, fold = _both(corpus, corpus.reference, self.rows)
        if len(vectors) < 2 * FEWEST:
            reason = f"needs {FEWEST} rows of the corpus and of the reference"
            return Score(0.0, 0.0, 1.0, undecided=reason)
        rng = np.random.default_rng(corpus.sketch.seed)
        shuffled = [rng.permutation(ours) for _ in range(self.permutations)]
        auc = cross_validated_auc(vectors, np.stack([ours, *shuffled], axis=1), fold)
        value = float(np.clip(2 * auc[0] - 1, 0, 1))
        half = 2 * quantile(len(vectors)) * _deviation(float(auc[0]), len(vectors) // 2)
        observed = {
            "auc": float(auc[0]),
            "p_value": float((auc >= auc[0]).mean()),  # the labels as they are count as one
            "permutations": self.permutations,
            "rows": len(vectors) // 2,
            "embedder": corpus.embedder.name,
        }
        low, high = max(value - half, 0.0), min(value + half, 1.0)
        return Score(value, low, high, observed, rows=len(vectors) // 2)

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: it is no matter of single rows."""
        return None


@dataclass(frozen=True)
class Projection:
    """Answers of two corpora in the plane.

    Attributes:
        places: float64 [answers, 2].
        reference: bool [answers], the answer is the reference's.
    """

    places: Reals
    reference: Mask


def picture(corpus: Corpus, rows: int = 500) -> Projection:
    """The t-SNE map of answers and reference answers (van der Maaten and Hinton, JMLR 2008).

    Args:
        corpus: With a reference.
        rows: Answers of either corpus, at most.

    Raises:
        ValueError: If there is no reference, or fewer than ``FEWEST`` rows of either corpus.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if corpus.reference is None:
        raise ValueError(f"a picture {NO_REFERENCE}")
    vectors, ours, _ = _both(corpus, corpus.reference, rows)
    if len(vectors) < 2 * FEWEST:
        raise ValueError(f"a picture needs {FEWEST} rows of either corpus")
    mapping = TSNE(
        init="random",
        perplexity=min(30, len(vectors) / 4),
        random_state=corpus.sketch.seed % 2**32,
    )
    # Its threads wait for each other at every step: on a busy machine two take 50 times as long.
    with threadpool_limits(1):
        places = mapping.fit_transform(vectors)
    return Projection(np.asarray(places, dtype=np.float64), ~ours)


def _both(corpus: Corpus, reference: Corpus, rows: int) -> tuple[Vectors, Mask, Ints]:
    """As many answers of both corpora as vectors, which are the corpus's, and their folds."""
    rows = min(rows, len(corpus), len(reference))
    sides = (corpus, reference)
    texts = [text for side in sides for text in side.texts("answer")[:rows].to_pylist()]
    ours = np.repeat([True, False], rows)
    if rows < FEWEST:
        return np.zeros((len(texts), 1)), ours, np.zeros(len(texts), dtype=np.int64)
    keys = np.concatenate([_keys(side, rows) for side in sides])
    # Hashes are in random order, so every fold gets as many questions.
    fold = np.unique(keys, return_inverse=True)[1] % FOLDS
    return corpus.embedder.embed(texts), ours, fold.astype(np.int64)


def _keys(corpus: Corpus, rows: int) -> Ids:
    """What may not stand in two folds: the question, but of rows that count one by one."""
    asked = hashes_of(corpus.texts("question")[:rows])
    alone = mixed(extended(asked, np.arange(rows, dtype=np.uint64)))
    return np.where(corpus.single[:rows], alone, asked)


def cross_validated_auc(vectors: Vectors, labels: Mask, fold: Ints) -> Reals:
    """AUC of ridge regression for many labellings of the same rows at once.

    Args:
        vectors: float64 [rows, dimensions].
        labels: bool [rows, labellings].
        fold: int64 [rows].

    Returns:
        float64 [labellings], the mean over the folds that hold both classes; 0.5 if none does.
    """
    from scipy.stats import rankdata

    inputs = np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1)
    target = np.where(labels, 1.0, -1.0)
    total, count = np.zeros(labels.shape[1]), np.zeros(labels.shape[1])
    penalty = RIDGE * np.eye(inputs.shape[1])
    penalty[-1, -1] = 1e-6  # the intercept is free
    for held in (fold == number for number in np.unique(fold)):
        known = inputs[~held]
        weights = np.linalg.solve(known.T @ known + penalty, known.T @ target[~held])
        ranks = rankdata(inputs[held] @ weights, axis=0)
        ours = labels[held].sum(axis=0)
        pairs = ours * (int(held.sum()) - ours)
        wins = (ranks * labels[held]).sum(axis=0) - ours * (ours + 1) / 2
        total += np.where(pairs > 0, wins / np.maximum(pairs, 1), 0.0)
        count += pairs > 0
    return np.where(count > 0, total / np.maximum(count, 1), 0.5)


def _deviation(auc: float, rows: int) -> float:
    """Standard error of an AUC, by Hanley and McNeil, Radiology 1982, equation 2."""
    auc = max(auc, 1 - auc)
    both, either = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (rows - 1) * (both - auc**2 + either - auc**2)
    return float(np.sqrt(max(spread, 0.0)) / rows)
