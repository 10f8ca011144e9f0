"""Format predictability: the bits of an answer that templates of other answers explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.intervals import estimate, units_of
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.fitting import fit
from synflaw_audit.text.phrases import Floats, numbered
from synflaw_audit.text.tokens import END, START, Ids, Ints, Mask, Tokens, tokenize

TOKENS = 200_000  # of answers looked at; the rows are in random order
LEARNED = 200  # questions that are enough to learn from; with fewer, more folds leave more to learn
MOST_FOLDS = 10


@dataclass(frozen=True)
class FormatPredictability:
    """The share of the information of held-out answers that their templates carry.

    Templates are learned from the answers to one half of the questions and looked for in the
    answers to the other half, and the other way round, so that nothing is explained by itself. Of
    few questions a half teaches less than all of them would; up to ten folds then leave out less
    (Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2009, section 7.10).
    A token's information is -log2 of its frequency among those learned from; whoever knows the
    template knows its tokens beforehand. Being a share of bits, it depends on neither the length
    nor the number of answers.

    Attributes:
        rows: Answers looked at, at most.
    """

    rows: int = 3000

    def __post_init__(self) -> None:
        if self.rows < 2:
            raise ValueError(f"rows must be at least 2, not {self.rows}")

    def score(self, corpus: Corpus) -> Score:
        """The share, with how much of an answer's form is fixed whatever the question says."""
        rows = min(self.rows, corpus.within(TOKENS))
        unit = corpus.unit[:rows]
        fold = unit % _folds(units_of(unit))
        folds = [np.flatnonzero(fold == number) for number in np.unique(fold)]
        if len(folds) < 2:
            return Score(0.0, 0.0, 1.0)
        held = [_explained(corpus, np.setdiff1d(np.arange(rows), out), out) for out in folds]
        explained, bits, fixed, tokens, fewer = np.concatenate(held, axis=1)
        if not bits.sum():
            return Score(0.0, 0.0, 1.0)
        value = float(explained.sum() / bits.sum())
        observed = {
            "rows_with_a_template": float((explained > 0).mean()),
            "fixed_tokens": float(fixed.sum() / tokens.sum()),
            "bits_per_answer": float(bits.mean()),
            "explained_bits_per_answer": float(explained.mean()),
        }
        # Of a ratio of sums over rows, and of the frequencies, which are of the same rows.
        influence = (explained - value * bits - fewer) / bits.mean()
        return estimate(value, influence, unit[np.concatenate(folds)], observed)

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: the template check marks the rows."""
        return None


def _folds(questions: int) -> int:
    """How many folds leave enough questions to learn from: 2, unless there are few."""
    enough = (k for k in range(2, MOST_FOLDS) if questions * (k - 1) >= LEARNED * k)
    return next(enough, MOST_FOLDS)


def _explained(corpus: Corpus, known: Ints, held: Ints) -> Floats:
    """What templates of some rows explain of others.

    Args:
        corpus: That all rows are of.
        known: int64 [rows], the rows that templates are learned from.
        held: int64 [rows], the rows to explain.

    Returns:
        float64 [5, held rows]: bits that templates explain, bits, tokens that are format and do
        not stand in the question, tokens, and how many explained bits fewer there would be if the
        row had been learned from, since its tokens would be the less rare.
    """
    texts, other = (corpus.texts("answer").take(pa.array(rows)) for rows in (known, held))
    learned, tokens = tokenize(texts), tokenize(other)
    unit = np.unique(corpus.unit[known], return_inverse=True)[1]
    book = fit(texts, learned, unit)
    covered = book.format(tokens, book.match(tokens))
    ids = numbered(tokens)
    real = (ids != START) & (ids != END)
    bits = np.where(real, _information(numbered(learned), ids), 0.0)
    asked = tokenize(corpus.texts("question").take(pa.array(held)))
    fixed = covered & real & ~_asked(tokens, asked)
    # Of -log2(count / all) the derivative by a count is -1 / (count * ln 2).
    said = np.unique(ids, return_inverse=True)[1]
    covered_share = np.bincount(said, covered & real) / np.bincount(said)
    overall = (covered & real).sum() / max(real.sum(), 1)
    fewer = np.where(real, covered_share[said] - overall, 0.0) / np.log(2)
    sums = [
        np.bincount(tokens.row, values, len(tokens))
        for values in (bits * covered, bits, fixed, real, fewer)
    ]
    return np.stack(sums).astype(np.float64)


def _information(known: Ids, held: Ids) -> Floats:
    """-log2 of each token's frequency among known tokens; one not known counts as half a token."""
    ids, count = np.unique(known, return_counts=True)
    place = np.minimum(np.searchsorted(ids, held), len(ids) - 1)
    times = np.where(ids[place] == held, count[place], 0.5)
    return np.asarray(-np.log2(times / len(known)))


def _asked(answers: Tokens, questions: Tokens) -> Mask:
    """Which tokens of the answers stand in the question of their row: bool [tokens]."""
    # The number of a row and of a token's id make one number for both.
    ids = np.unique(np.concatenate([answers.ids, questions.ids]))
    said, asked = (
        tokens.row.astype(np.int64) * len(ids) + np.searchsorted(ids, tokens.ids)
        for tokens in (answers, questions)
    )
    return np.isin(said, asked)
