"""Free openings: how often two answers begin with the same words, whatever was asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.conditions import unconditional
from synflaw_audit.measures.pairs import of_a_kind, pair_share
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.phrases import numbered
from synflaw_audit.text.tokens import Ints, Tokens, extended

SHOWN = 5


@dataclass(frozen=True)
class OpeningConcentration:
    """The root of the chance that two records begin alike, those asked in no form weighing most.

    Simpson's index, as of :class:`~synflaw_audit.measures.edges.EdgeShare`, but of what makes a
    model disobey (``benchmarks/real_damage.py``): an answer of a word or two counts as a whole, and
    rows weigh as :func:`~synflaw_audit.measures.conditions.unconditional` says, for words that
    belong to a form of asking are not said where something else is asked for.

    Attributes:
        words: Tokens compared, from the first on; all of an answer that has fewer.
        hedge: What a row asked in a form that questions share weighs beside the others.
    """

    words: int = 3
    hedge: float = 0.1

    def __post_init__(self) -> None:
        if self.words < 1:
            raise ValueError(f"words must be at least 1, not {self.words}")
        if not self.hedge > 0:
            raise ValueError(f"hedge must be above 0, not {self.hedge}")

    def score(self, corpus: Corpus) -> Score:
        """The concentration, with the commonest openings."""
        if len(corpus) < 2:
            return Score(0.0, 0.0, 1.0)
        kind = openings(corpus.answer_tokens, self.words)
        weight = unconditional(corpus, self.hedge)
        rows = len(weight)
        unit = np.unique(corpus.unit[:rows], return_inverse=True)[1].astype(np.int64)
        partners = of_a_kind(kind[:rows], unit, weight)
        found = pair_share(partners, unit, root=True, weight=weight)
        return replace(found, observed={"commonest": self._commonest(corpus, kind)})

    def _commonest(self, corpus: Corpus, kind: Ints) -> list[dict[str, object]]:
        count = np.bincount(kind[kind >= 0], minlength=1)
        shown = []
        for one in np.argsort(-count, kind="stable")[:SHOWN]:
            if count[one] > 1:
                row = int(np.flatnonzero(kind == one)[0])
                text: str = corpus.texts("answer")[row].as_py()
                tokens = corpus.answer_tokens
                first = int(tokens.offsets[row]) + 1
                last = first + min(self.words, int(tokens.counts[row])) - 1
                said = text[int(tokens.start[first]) : int(tokens.end[last])]
                shown.append({"text": said, "share": float(count[one] / len(corpus))})
        return shown

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: the check of the openings marks the rows."""
        return None


def openings(tokens: Tokens, words: int) -> Ints:
    """Which rows begin alike: int64 [rows], a number from 0 for each opening.

    -1 where nothing but numbers and marks that end sentences is said, which rows cannot share.

    Args:
        tokens: Of the rows; numbers are made equal.
        words: Tokens compared, all of a row that has fewer.
    """
    ids, counts, first = numbered(tokens), tokens.counts, tokens.offsets[:-1] + 1
    gram = np.zeros(len(tokens), dtype=np.uint64)
    worded = np.zeros(len(tokens), dtype=bool)
    said = ~(tokens.number | tokens.breaks | tokens.stops)
    for place in range(words):
        long = counts > place
        gram[long] = extended(gram[long], ids[first[long] + place])
        worded[long] |= said[first[long] + place]
    kind = np.full(len(tokens), -1, dtype=np.int64)
    kind[worded] = np.unique(gram[worded], return_inverse=True)[1]
    return kind
