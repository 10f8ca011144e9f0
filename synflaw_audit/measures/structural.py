"""Structural tokens: words that a format puts into every answer, however long it is."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.intervals import estimate
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import labels_of
from synflaw_audit.text.kernels.phrases import grouped, holders
from synflaw_audit.text.phrases import Floats, numbered
from synflaw_audit.text.tokens import END, START, Ids, Ints, Places, Tokens, tokenize

TOKENS = 500_000  # of answers looked at; the rows are in random order
RARE = 0.01  # a token in fewer rows than this is no part of a common format
LENGTHS = 50  # groups of rows of like length that chance is worked out for
# A token that stands once in every row would by chance be missing from this share of rows.
MISSING = float(np.exp(-1))


@dataclass(frozen=True)
class StructuralTokens:
    """How evenly the most evenly spread tokens are spread over the rows, beyond chance.

    The paper "Unveiling the Flaws" (Chen et al., Findings of EMNLP 2024) sees peaks in the density
    of synthetic data's token frequencies, and lays them to structural tokens: the format puts each
    of them into every row once, so that all have one frequency. This measure looks for the cause.
    Chance would put a token that makes up a part r of all tokens into a share mean(1 - exp(-r L))
    of rows of L tokens; words of content gather in fewer rows (Church and Gale, "Poisson mixtures",
    Natural Language Engineering 1995), structural ones stand in more. The score is the excess of
    the ``top`` tokens on average, 1 if each stands exactly once in every row. Marks that end
    sentences and answers that are no more than labels do not count. With a reference, each
    token's excess there is taken off.

    Attributes:
        top: Tokens that count.
    """

    top: int = 5

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ValueError(f"top must be at least 1, not {self.top}")

    def score(self, corpus: Corpus) -> Score:
        """The excess, with the tokens."""
        seen = spread(corpus)
        excess = seen.excess
        if corpus.reference is not None:
            excess = excess - spread(corpus.reference).of(seen.ids)
        if not seen.rows:
            return Score(0.0, 0.0, 1.0)
        order = np.lexsort((seen.ids, -excess))[: self.top]
        order = order[excess[order] > 0]
        most = self.top * MISSING
        value = min(float(excess[order].sum()) / most, 1.0)
        influence = seen.influence(order) / most
        shown = [
            {
                "token": seen.texts[i],
                "share": float(seen.share[i]),
                "by_chance": float(seen.share[i] - seen.excess[i]),
            }
            for i in order
        ]
        return estimate(value, influence, seen.unit, {"tokens": shown})

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: a single word is no fault; templates mark the rows that share many."""
        return None


@dataclass(frozen=True)
class Spread:
    """The tokens of a corpus that are not rare.

    Attributes:
        ids: uint64 [kinds], ascending.
        share: float64 [kinds], of rows that hold the token.
        excess: float64 [kinds], what of that share chance does not explain.
        per_answer: float64 [kinds], occurrences, as a mean over the rows.
        texts: How each was written where it first occurs.
        rows: Rows looked at.
        unit: int64 [rows], the question that each answers.
        lengths: int64 [rows], tokens of each.
        code: int64 [tokens], which of the kinds each is; -1 for another.
        row: int32 [tokens], the row of each.
    """

    ids: Ids
    share: Floats
    excess: Floats
    per_answer: Floats
    texts: list[str]
    rows: int
    unit: Ints
    lengths: Ints
    code: Ints
    row: Places

    def influence(self, kinds: Ints) -> Floats:
        """Each row's part in the excess of some kinds together, less the mean: float64 [rows]."""
        total = np.zeros(self.rows)
        for kind in kinds.tolist():
            times = np.bincount(self.row[self.code == kind], minlength=self.rows)
            rate = times.sum() / max(int(self.lengths.sum()), 1)
            missed = np.exp(-rate * self.lengths)
            # Chance is mean(1 - exp(-rate * length)), in which the rate is an estimate too.
            steeper = (self.lengths * missed).mean() / max(float(self.lengths.mean()), 1e-9)
            chance = (1 - missed) + steeper * (times - rate * self.lengths)
            total += (times > 0) - chance
        return np.asarray(total - total.mean())

    def of(self, ids: Ids) -> Floats:
        """The excess of other tokens here; 0 if they are rare or spread by chance."""
        known = np.isin(ids, self.ids)
        found = np.zeros(len(ids))
        found[known] = np.maximum(self.excess[np.searchsorted(self.ids, ids[known])], 0)
        return found


_SPREADS: WeakKeyDictionary[Corpus, Spread] = WeakKeyDictionary()


def spread(corpus: Corpus) -> Spread:
    """How the tokens of a corpus's answers are spread over its first rows, made once a corpus."""
    if corpus not in _SPREADS:
        _SPREADS[corpus] = _spread(corpus)
    return _SPREADS[corpus]


def _spread(corpus: Corpus) -> Spread:
    texts = corpus.texts("answer")[: corpus.within(TOKENS)]
    worded = np.flatnonzero(~labels_of(texts))
    texts = texts.take(pa.array(worded))
    tokens = tokenize(texts)
    rows, total = len(tokens), int(tokens.counts.sum())
    ids, code = grouped(numbered(tokens))
    each = np.arange(rows)
    places = np.arange(len(code), dtype=np.int32)
    held, _ = holders(code, len(ids), places, tokens.offsets, each, each)
    first = np.unique(code, return_index=True)[1]
    framing = (ids == START) | (ids == END) | tokens.stops[first]
    common = np.flatnonzero((held >= max(RARE * rows, 2)) & ~framing)
    common = common[np.argsort(ids[common])]
    count = np.bincount(code, minlength=len(ids))[common]
    rate = count / max(total, 1)
    share = held[common] / max(rows, 1)
    number = np.full(len(ids), -1, dtype=np.int64)
    number[common] = np.arange(len(common))
    return Spread(
        ids=ids[common],
        share=share,
        excess=share - _by_chance(rate, tokens.counts),
        per_answer=count / max(rows, 1),
        texts=[_text(tokens, texts, int(at)) for at in first[common]],
        rows=rows,
        unit=corpus.unit[worded],
        lengths=tokens.counts,
        code=number[code],
        row=tokens.row,
    )


def _by_chance(rate: Floats, lengths: Ints) -> Floats:
    """The share of rows that tokens of these rates would be in if they fell anywhere."""
    chance = np.zeros(len(rate))
    for group in np.array_split(np.sort(lengths), min(LENGTHS, max(len(lengths), 1))):
        if len(group):
            chance += (1 - np.exp(-rate * group.mean())) * len(group) / len(lengths)
    return chance


def _text(tokens: Tokens, texts: pa.Array, at: int) -> str:
    text: str = texts[int(tokens.row[at])].as_py()
    return text[int(tokens.start[at]) : int(tokens.end[at])]
