"""Format predictability: the bits of an answer that templates of other answers explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.intervals import estimate
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.fitting import fit
from synflaw_audit.text.phrases import Floats, numbered
from synflaw_audit.text.tokens import END, START, Ids, Ints, Mask, Tokens, tokenize

TOKENS = 200_000  # of answers looked at; the rows are in random order


@dataclass(frozen=True)
class FormatPredictability:
    """The share of the information of held-out answers that their templates carry.

    Templates are learned from the answers to one half of the questions and looked for in the
    answers to the other half, and the other way round, so that nothing is explained by itself. A
    token's information is -log2 of its frequency in the half learned from; whoever knows the
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
        halves = [np.flatnonzero(corpus.unit[:rows] % 2 == side) for side in (0, 1)]
        if not all(map(len, halves)):
            return Score(0.0, 0.0, 1.0)
        held = [_explained(corpus, *sides) for sides in (halves, halves[::-1])]
        explained, bits, fixed, tokens = np.concatenate(held, axis=1)
        unit = corpus.unit[np.concatenate(halves[::-1])]
        if not bits.sum():
            return Score(0.0, 0.0, 1.0)
        value = float(explained.sum() / bits.sum())
        observed = {
            "rows_with_a_template": float((explained > 0).mean()),
            "fixed_tokens": float(fixed.sum() / tokens.sum()),
            "bits_per_answer": float(bits.mean()),
            "explained_bits_per_answer": float(explained.mean()),
        }
        # Of a ratio of sums over rows.
        return estimate(value, (explained - value * bits) / bits.mean(), unit, observed)

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: the template check marks the rows."""
        return None


def _explained(corpus: Corpus, known: Ints, held: Ints) -> Floats:
    """What templates of some rows explain of others.

    Args:
        corpus: That all rows are of.
        known: int64 [rows], the rows that templates are learned from.
        held: int64 [rows], the rows to explain.

    Returns:
        float64 [4, held rows]: bits that templates explain, bits, tokens that are format and do
        not stand in the question, tokens.
    """
    texts, other = (corpus.texts("answer").take(pa.array(rows)) for rows in (known, held))
    learned, tokens = tokenize(texts), tokenize(other)
    unit = np.unique(corpus.unit[known], return_inverse=True)[1]
    book = fit(texts, learned, unit, np.ones(len(known), dtype=np.int64))
    covered = book.format(tokens, book.match(tokens))
    ids = numbered(tokens)
    real = (ids != START) & (ids != END)
    bits = np.where(real, _information(numbered(learned), ids), 0.0)
    asked = tokenize(corpus.texts("question").take(pa.array(held)))
    fixed = covered & real & ~_asked(tokens, asked)
    sums = [
        np.bincount(tokens.row, values, len(tokens))
        for values in (bits * covered, bits, fixed, real)
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
