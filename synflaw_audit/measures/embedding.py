"""Embedding concentration: how few kinds of answer there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.intervals import half_width, units_of
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.embedders import Vectors
from synflaw_audit.text.tokens import Ints, factorized

FEWEST = 8  # answers
PARTS = 8  # by which it is told how much answers differ


@dataclass(frozen=True)
class EmbeddingConcentration:
    """1 - log(Vendi score) / log(dimensions), of a draw of ``draw`` answers.

    The Vendi score (Friedman and Dieng, "The Vendi Score", TMLR 2023) is the exponential of the
    entropy of the eigenvalues of K / n, with K the cosine similarities of n answers: the effective
    number of kinds of answer. With d dimensions it is at most d. It grows with n, so it is taken of
    draws of one size, each embedded by itself; the score is their mean.

    Attributes:
        rows: Answers looked at, at most.
        draw: Answers in a draw; fewer different ones than that are one draw.
    """

    rows: int = 2000
    draw: int = 200

    def __post_init__(self) -> None:
        if self.draw < FEWEST:
            raise ValueError(f"draw must be at least {FEWEST}, not {self.draw}")
        if self.rows < self.draw:
            raise ValueError(f"rows must be at least draw, {self.draw}, not {self.rows}")

    def score(self, corpus: Corpus) -> Score:
        """The concentration, and the Vendi score."""
        from threadpoolctl import threadpool_limits

        rows = min(self.rows, len(corpus))
        if rows < FEWEST:
            return Score(0.0, 0.0, 1.0)
        order, different = _copies_apart(corpus, rows)
        draw = max(min(self.draw, different), FEWEST)
        starts = range(0, max(rows - draw, 0) + 1, draw)
        drawn = [corpus.vectors(order[start : start + draw]) for start in starts]
        dimensions = drawn[0].shape[1]
        if dimensions < 2:
            return Score(0.0, 0.0, 1.0)
        with threadpool_limits(1):
            found = np.array([_concentration(vectors) for vectors in drawn])
            # Draws tell how much answers differ, if they are enough and share no question.
            parts = found[:, 0].tolist()
            if len(drawn) < PARTS or units_of(corpus.unit[:rows]) < rows:
                parts = _parts(drawn, corpus.unit[order])
        value, vendi = found.mean(axis=0).tolist()
        looked_at = sum(map(len, drawn))
        half = half_width(parts) if len(parts) > 1 else 1.0
        more = 0.0
        if draw // 2 >= FEWEST and draw < self.draw <= rows:
            # So few differ that draws are smaller than asked for: as much more for each doubling,
            # at most, as the last one brought.
            fewer = [corpus.vectors(order[start : start + draw // 2]) for start in starts]
            with threadpool_limits(1):
                before = float(np.mean([_concentration(vectors)[0] for vectors in fewer]))
            more = max(value - before, 0.0) * float(np.log2(self.draw / draw))
        observed = {
            "vendi": vendi,
            "dimensions": dimensions,
            "draws": len(drawn),
            "rows": looked_at,
            "embedder": corpus.embedder.name,
        }
        low, high = max(value - half, 0.0), min(value + half + more, 1.0)
        return Score(value, low, high, observed, rows=looked_at)

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: it is no matter of single rows."""
        return None


def _copies_apart(corpus: Corpus, rows: int) -> tuple[Ints, int]:
    """The first rows in an order in which copies are far apart, and how many differ.

    Copies in a draw make it a smaller one; draws of large corpora hold hardly any.

    Returns:
        int64 [rows], and the number.
    """
    said = factorized(corpus.texts("answer")[:rows])[0]
    pair = np.unique(np.stack([corpus.unit[:rows], said]), axis=1, return_inverse=True)[1].ravel()
    alike = np.argsort(pair, kind="stable")
    number = np.empty(rows, dtype=np.int64)
    number[alike] = np.arange(rows) - np.searchsorted(pair[alike], pair[alike])
    return np.argsort(number, kind="stable"), int((number == 0).sum())


def _parts(drawn: list[Vectors], unit: Ints) -> list[float]:
    """The mean concentration of parts of the draws; no question is in two, unlike in draws."""
    group = np.unique(unit, return_inverse=True)[1] % PARTS
    ends = np.cumsum([len(vectors) for vectors in drawn])
    groups = np.split(group[: ends[-1]], ends[:-1])
    return [
        float(
            np.mean(
                [
                    _concentration(vectors[of == number])[0]
                    for vectors, of in zip(drawn, groups, strict=True)
                    if (of == number).any()
                ]
            )
        )
        for number in np.unique(group[: ends[-1]])
    ]


def _concentration(vectors: Vectors) -> tuple[float, float]:
    values = np.linalg.eigvalsh(vectors.T @ vectors)
    values = values[values > 1e-12 * max(values.max(), 1e-300)]
    if not len(values):
        return 1.0, 1.0
    p = values / values.sum()
    entropy = float(-(p * np.log(p)).sum())
    return float(np.clip(1 - entropy / np.log(vectors.shape[1]), 0, 1)), float(np.exp(entropy))
