"""Self-repetition: how much of an answer other answers say in the same words."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synflaw_audit.measures.base import Marker, Score, inclusion_chance
from synflaw_audit.measures.intervals import estimate
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.copies import firsts
from synflaw_audit.text.kernels.phrases import grouped, holders
from synflaw_audit.text.phrases import Floats, numbered
from synflaw_audit.text.tokens import (
    END,
    START,
    Ids,
    Ints,
    Places,
    Tokens,
    extended,
    factorized,
)

TOKENS = 500_000  # of answers looked at; the rows are in random order
SHOWN = 5


@dataclass(frozen=True)
class SelfRepetition:
    """The share of an answer's n-grams that occur in a draw of ``draw`` tokens of other answers.

    Self-repetition is the n-grams that recur across the outputs of one system (Salkar et al.,
    "Self-Repetition in Abstractive Neural Summarizers", AACL 2022). Their count grows with the
    number and length of answers; the share expected in a draw of fixed size (rarefaction:
    Hurlbert, "The nonconcept of species diversity", Ecology 1971) does not. Answers to one
    question count as one, since they repeat each other because of it. Numbers are all alike.

    Attributes:
        n: Tokens of an n-gram.
        draw: Tokens in the draw.
    """

    n: int = 4
    draw: int = 10_000

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be at least 1, not {self.n}")
        if self.draw < 1:
            raise ValueError(f"draw must be at least 1, not {self.draw}")

    def score(self, corpus: Corpus) -> Score:
        """The share, with the commonest n-grams."""
        rows = corpus.within(TOKENS)
        units, unit = np.unique(corpus.unit[:rows], return_inverse=True)
        at, gram = _grams(corpus.answer_tokens, rows, self.n)
        if len(units) < 2 or not len(gram):
            return Score(0.0, 0.0, 1.0)
        row = corpus.answer_tokens.row[at]
        distinct, code = grouped(gram)
        offsets, order = corpus.answer_tokens.offsets[: rows + 1], np.argsort(unit, kind="stable")
        _, units_with = holders(code, len(distinct), at.astype(np.int32), offsets, order, unit)
        # A draw of so many tokens holds so many units; copies of a row say nothing new.
        new = firsts(unit, factorized(corpus.texts("answer")[:rows])[0])
        tokens = int(corpus.answer_tokens.counts[:rows][new].sum())
        wanted = self.draw * len(units) / tokens
        drawn = min(wanted, len(units) - 1)
        seen = inclusion_chance(units_with - 1, len(units) - 1, drawn)
        value = float(seen[code].mean())
        # What a unit adds: n-grams that repeat others, and that those of others repeat its own.
        fewer = inclusion_chance(np.maximum(units_with - 2, 0), len(units) - 1, drawn)
        own = np.bincount(unit[row], seen[code] - value, len(units))
        lent = _lent(code, unit[row], seen - fewer, len(units))
        each = (own + lent - lent.mean()) / len(code) * len(units)
        observed = {
            "n": self.n,
            "draw_tokens": round(drawn * tokens / len(units)),
            "commonest": self._commonest(corpus, at, code, units_with, len(units)),
        }
        found = estimate(value, each, np.arange(len(units)), observed)
        if wanted > drawn:
            # A smaller draw than asked for repeats less: as much more for each doubling, at most,
            # as the last one brought.
            half = inclusion_chance(units_with - 1, len(units) - 1, drawn / 2)[code].mean()
            more = float((value - half) * np.log2(wanted / drawn))
            found = replace(found, high=min(found.high + more, 1.0))
        return replace(found, rows=rows)

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: common words are no fault of a row; templates mark those that are."""
        return None

    def _commonest(
        self, corpus: Corpus, at: Ints, code: Places, units_with: Ints, units: int
    ) -> list[dict[str, str | float]]:
        tokens = corpus.answer_tokens
        first = np.unique(code, return_index=True)[1]
        shown: list[dict[str, str | float]] = []
        # First seen comes first among equals: rows are in the order of their hashes.
        for gram in np.argsort(-units_with, kind="stable")[:SHOWN]:
            begin = int(at[first[gram]])
            text = corpus.texts("answer")[int(tokens.row[begin])].as_py()
            words = text[int(tokens.start[begin]) : int(tokens.end[begin + self.n - 1])]
            shown.append({"text": words, "share": float(units_with[gram] / units)})
        return shown


def _grams(tokens: Tokens, rows: int, n: int) -> tuple[Ints, Ids]:
    """First token and hash of each n-gram of the first rows; none spans a row's bounds."""
    ids = numbered(tokens)[: tokens.offsets[rows]]
    free = (ids != START) & (ids != END)
    size = max(len(ids) - n + 1, 0)
    whole = np.ones(size, dtype=bool)
    gram = np.zeros(size, dtype=np.uint64)
    for step in range(n):
        whole &= free[step : size + step]
        gram = extended(gram, ids[step : size + step])
    at = np.flatnonzero(whole)
    return at, gram[at]


def _lent(code: Places, unit: Ints, gain: Floats, units: int) -> Floats:
    """What each unit adds to the n-grams of others that it shares: float64 [units].

    Args:
        code: Of each occurrence, its n-gram.
        unit: Of each occurrence.
        gain: Of each n-gram, how much more of its occurrences are seen for each unit that holds it.
        units: How many there are.
    """
    pairs, own = np.unique(unit.astype(np.int64) * len(gain) + code, return_counts=True)
    gram = pairs % len(gain)
    others = np.bincount(code, minlength=len(gain))[gram] - own
    return np.asarray(np.bincount(pairs // len(gain), others * gain[gram], units))
