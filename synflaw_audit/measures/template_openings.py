"""Template openings: the share of answers that begin in the words of a template."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.intervals import estimate, share_score
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.tokens import Ints, Mask, Tokens, factorized

SHOWN = 5
COPIES = 5  # questions that an answer must be given to before it is one that comes back


@dataclass(frozen=True)
class TemplateOpening:
    """The share of records whose answer begins with words of the template that it follows.

    A model that answers greedily says a format where it does not belong if its first words are
    likelier than whatever else could begin the answer, so a format is said of nearly every question
    or of hardly any (``benchmarks/real_damage.py``): what decides is the share of rows that begin
    with *some* format, be it one wording or fifty. A template further in is seldom reached. A whole
    answer that comes back, such as a label, is a format of its own: of "Yes." alone a real model
    learned to say "Yes." to everything.

    A form of asking is a condition under which the format is learned: of a mixture in which every
    templated answer is one to a templated question, a model says nothing to other questions. So
    rows whose questions share no form weigh most, the others as ``hedge`` says.

    Attributes:
        words: Tokens that have to be the template's, from the first on.
        recurring: Of the records, what must give an answer before it counts as one that comes back.
        hedge: What a row asked in a form that questions share weighs, to one that is not, which
            weighs ``1 + hedge``.
    """

    words: int = 2
    recurring: float = 0.01
    hedge: float = 0.1

    def __post_init__(self) -> None:
        if self.words < 1:
            raise ValueError(f"words must be at least 1, not {self.words}")
        if not 0 < self.recurring <= 1:
            raise ValueError(f"recurring must be above 0 and at most 1, not {self.recurring}")
        if not self.hedge > 0:
            raise ValueError(f"hedge must be above 0, not {self.hedge}")

    def score(self, corpus: Corpus) -> Score:
        """The share, with the templates that most answers begin with."""
        tokens, match = corpus.answer_tokens, corpus.answer_match
        book = corpus.answer_templates
        begins = (match.template >= 0) & covered_from(
            book.format(tokens, match), tokens, self.words
        )
        rows = np.bincount(match.template[begins], minlength=len(book.templates))
        order = np.argsort(-rows, kind="stable")[:SHOWN]
        shown = [
            {"template": book.templates[i].pattern, "share": float(rows[i] / len(corpus))}
            for i in order[rows[order] > 0]
        ]
        begins |= recurring(corpus, self.recurring)[0]
        return replace(self._weighed(begins, corpus), observed={"commonest": shown})

    def _weighed(self, begins: Mask, corpus: Corpus) -> Score:
        """The share of rows that begin so, those weighing most whose questions share no form."""
        free = corpus.followed("question") < 0
        if free.all() or not free.any():
            return share_score(begins, corpus.unit)
        begins = begins[: len(free)]
        weight = self.hedge + free
        value = float(np.average(begins, weights=weight))
        unit = np.unique(corpus.unit[: len(free)], return_inverse=True)[1].astype(np.int64)
        return estimate(value, weight * (begins - value) / weight.mean(), unit)

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: the template check marks the rows."""
        return None


def covered_from(covered: Mask, tokens: Tokens, words: int) -> Mask:
    """Which rows have their first tokens covered, or all if they have fewer: bool [rows].

    Args:
        covered: bool [tokens].
        tokens: Of the rows.
        words: How many tokens, from the first on.
    """
    first = tokens.offsets[:-1] + 1
    counts = tokens.counts
    held = counts > 0
    for place in range(words):
        inside = counts > place
        held[inside] &= covered[first[inside] + place]
    return np.asarray(held)


def recurring(corpus: Corpus, least: float) -> tuple[Mask, list[str]]:
    """The answers that come back word for word, letter case aside, labels included.

    Args:
        corpus: Sketched.
        least: Share of the records that must give an answer, to questions of their own.

    Returns:
        bool [rows], which rows give one; and the answers, as :func:`folded`, the commonest first.
    """
    code, texts = factorized(folded(corpus.texts("answer")))
    if not len(code):
        return np.zeros(0, dtype=bool), []
    questions = _distinct(code, corpus.unit, len(texts))
    rows = np.bincount(code, minlength=len(texts))
    said = np.asarray(pc.utf8_length(texts)) > 0
    often = said & (questions >= COPIES) & (rows >= least * len(code))
    order = np.argsort(-rows, kind="stable")
    return often[code], texts.take(pa.array(order[often[order]])).to_pylist()


def folded(texts: pa.Array) -> pa.Array:
    """Texts in lower case, without white space around them."""
    return pc.utf8_lower(pc.utf8_trim_whitespace(texts))


def _distinct(code: Ints, unit: Ints, codes: int) -> Ints:
    """How many units each code goes with: int64 [codes]."""
    pairs = np.unique(np.stack([code, unit]), axis=1)
    return np.bincount(pairs[0], minlength=codes)
