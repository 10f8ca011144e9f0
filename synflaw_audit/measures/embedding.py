"""Embedding concentration: how few kinds of answer there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.intervals import quantile
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.embedders import Vectors

FOLDS = 5


@dataclass(frozen=True)
class EmbeddingConcentration:
    """1 - log(Vendi score) / log(dimensions).

    The Vendi score (Friedman and Dieng, "The Vendi Score", TMLR 2023) is the exponential of the
    entropy of the eigenvalues of K / n, with K the cosine similarities of n answers: the effective
    number of kinds of answer. With d dimensions it is at most d.

    Attributes:
        rows: Answers embedded; above it, a sample that the corpus alone decides.
    """

    rows: int = 2000

    def score(self, corpus: Corpus) -> Score:
        """The concentration, and the Vendi score."""
        from threadpoolctl import threadpool_limits

        vectors = corpus.vectors(self.rows)
        if len(vectors) < FOLDS or vectors.shape[1] < 2:
            return Score(0.0, 0.0, 1.0)
        with threadpool_limits(1):
            value, vendi = _concentration(vectors)
            # The deviation between fifths, each a fifth of the sample, gives that of the whole.
            folds = [_concentration(vectors[fold::FOLDS])[0] for fold in range(FOLDS)]
        half = quantile(FOLDS) * float(np.std(folds, ddof=1)) / np.sqrt(FOLDS)
        observed = {
            "vendi": vendi,
            "dimensions": vectors.shape[1],
            "rows": len(vectors),
            "embedder": corpus.embedder.name,
        }
        return Score(
            value, max(value - half, 0.0), min(value + half, 1.0), observed, rows=len(vectors)
        )

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: it is no matter of single rows."""
        return None


def _concentration(vectors: Vectors) -> tuple[float, float]:
    values = np.linalg.eigvalsh(vectors.T @ vectors)
    values = values[values > 1e-12 * max(values.max(), 1e-300)]
    if not len(values):
        return 1.0, 1.0
    p = values / values.sum()
    entropy = float(-(p * np.log(p)).sum())
    return float(np.clip(1 - entropy / np.log(vectors.shape[1]), 0, 1)), float(np.exp(entropy))
