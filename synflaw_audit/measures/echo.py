"""Question echo: how many answers begin by saying the question over again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.intervals import estimate
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.tokens import (
    END,
    START,
    Ids,
    Ints,
    Mask,
    Places,
    Tokens,
    extended,
    tokenize,
)

ROWS = 3000  # looked at; they are in random order
EXAMPLES = 3


@dataclass(frozen=True)
class QuestionEcho:
    """The share of records whose answer opens with words of its question, beyond chance.

    An answer echoes its question if ``n`` tokens of the question stand in the same order among the
    answer's first ``opening`` tokens. What any question of the corpus would find there is chance:
    with q the share of answers that echo the question of another row, and p that of their own, the
    score is (p - q) / (1 - q).

    Attributes:
        n: Tokens in a row.
        opening: Tokens of an answer that are looked at.
    """

    n: int = 4
    opening: int = 24

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be at least 1, not {self.n}")
        if self.opening < self.n:
            raise ValueError(f"opening must be at least n, {self.n}, not {self.opening}")

    def score(self, corpus: Corpus) -> Score:
        """The share beyond chance, with examples."""
        rows = min(ROWS, len(corpus))
        if rows < 2:
            return Score(0.0, 0.0, 1.0)
        said = _grams(tokenize(corpus.texts("answer")[:rows]), self.n, self.opening)
        asked = _grams(tokenize(corpus.texts("question")[:rows]), self.n, None)
        asked = _known(asked, said)  # questions may be long; most of them no answer speaks of
        own = _held(asked, said, np.arange(rows))
        # The question of a row that stands far off in a random order, hence of any row.
        other = (np.arange(rows) + rows // 2) % rows
        unit = corpus.unit[:rows]
        foreign = unit[other] != unit
        by_others = _held(asked, said, other) & foreign
        share, chance = float(own.mean()), float(by_others.sum() / max(foreign.sum(), 1))
        beyond = max(1 - chance, 1 / rows)
        value = min(max(share - chance, 0.0) / beyond, 1.0)
        # Of (share - chance) / (1 - chance), by the delta method.
        influence = (own - share) - (1 - value) * (by_others - chance * foreign)
        examples = corpus.texts("answer").take(np.flatnonzero(own)[:EXAMPLES]).to_pylist()
        observed = {
            "share": share,
            "by_chance": chance,
            "examples": [text[:200] for text in examples],
        }
        return estimate(value, influence / beyond, unit, observed)

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: an echo is a good answer's manner, and wants variety rather than removal."""
        return None


def _grams(tokens: Tokens, n: int, first: int | None) -> tuple[Ids, Places]:
    """Hash and row of the n-grams of each row, or of those among its first tokens."""
    size = max(len(tokens.ids) - n + 1, 0)
    free = (tokens.ids != START) & (tokens.ids != END)
    whole = np.ones(size, dtype=bool)
    gram = np.zeros(size, dtype=np.uint64)
    for step in range(n):
        whole &= free[step : size + step]
        gram = extended(gram, tokens.ids[step : size + step])
    row = tokens.row[:size]
    if first is not None:
        place = np.arange(size) - tokens.offsets[row]
        whole &= place + n - 1 <= first
    return gram[whole], row[whole]


def _held(asked: tuple[Ids, Places], said: tuple[Ids, Places], question: Ints) -> Mask:
    """Which rows say an n-gram of the question of the row given for each: bool [rows]."""
    known = np.unique(asked[0])
    gram, row = _known(said, asked)
    # An n-gram's number and a row's make one number for both sides.
    sought = np.searchsorted(known, gram) * len(question) + question[row]
    there = np.searchsorted(known, asked[0]) * len(question) + asked[1]
    found = np.zeros(len(question), dtype=bool)
    found[row[np.isin(sought, there)]] = True
    return found


def _known(grams: tuple[Ids, Places], others: tuple[Ids, Places]) -> tuple[Ids, Places]:
    """Those n-grams that are among the others."""
    table = np.unique(others[0])
    if not len(table):
        return grams[0][:0], grams[1][:0]
    place = np.minimum(np.searchsorted(table, grams[0]), len(table) - 1)
    kept = table[place] == grams[0]
    return grams[0][kept], grams[1][kept]
