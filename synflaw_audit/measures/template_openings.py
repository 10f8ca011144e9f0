"""Template openings: the share of answers that begin, or soon end, in the words of a template."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.conditions import unconditional
from synflaw_audit.measures.intervals import estimate, share_score
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.phrases import Floats
from synflaw_audit.text.tokens import Ints, Mask, Tokens, factorized

SHOWN = 5
COPIES = 5  # questions that an answer must be given to before it is one that comes back


@dataclass(frozen=True)
class TemplateOpening:
    """The share of records whose answer soon comes to words of the template that it follows.

    A model that answers greedily says a format where it does not belong if its first words are
    likelier than whatever else could begin the answer, so a format is said of nearly every question
    or of hardly any (``benchmarks/real_damage.py``): what decides is the share of rows that begin
    with *some* format, be it one wording or fifty. A template further in is seldom reached; but one
    that ends an answer is, if the answer is short, and counts by how few tokens stand before it. A
    whole answer that comes back, such as a label, is a format of its own: of "Yes." alone a real
    model learned to say "Yes." to everything.

    A form of asking is a condition under which the format is learned, so rows weigh as
    :func:`~synflaw_audit.measures.conditions.unconditional` says.

    Attributes:
        words: Tokens that have to be the template's, from the first or up to the last.
        reach: A template that ends an answer counts exp(-n / reach) after n other tokens.
        recurring: Of the records, what must give an answer before it counts as one that comes back.
        hedge: What a row asked in a form that questions share weighs beside the others.
    """

    words: int = 2
    reach: float = 20.0
    recurring: float = 0.01
    hedge: float = 0.1

    def __post_init__(self) -> None:
        if self.words < 1:
            raise ValueError(f"words must be at least 1, not {self.words}")
        if not self.reach > 0:
            raise ValueError(f"reach must be above 0, not {self.reach}")
        if not 0 < self.recurring <= 1:
            raise ValueError(f"recurring must be above 0 and at most 1, not {self.recurring}")
        if not self.hedge > 0:
            raise ValueError(f"hedge must be above 0, not {self.hedge}")

    def score(self, corpus: Corpus) -> Score:
        """The share, with the templates that most answers begin with."""
        tokens, match = corpus.answer_tokens, corpus.answer_match
        book = corpus.answer_templates
        covered = book.format(tokens, match)
        follows = match.template >= 0
        begins = follows & covered_from(covered, tokens, self.words)
        rows = np.bincount(match.template[begins], minlength=len(book.templates))
        order = np.argsort(-rows, kind="stable")[:SHOWN]
        shown = [
            {"template": book.templates[i].pattern, "share": float(rows[i] / len(corpus))}
            for i in order[rows[order] > 0]
        ]
        begins |= recurring(corpus, self.recurring)[0]
        ends = np.exp(-before_end(covered, tokens, self.words) / self.reach)
        return replace(
            self._weighed(np.maximum(begins, follows * ends), corpus), observed={"commonest": shown}
        )

    def _weighed(self, reached: Floats, corpus: Corpus) -> Score:
        """The mean of how far each row's template is reached, by the rows' weights."""
        weight = unconditional(corpus, self.hedge)
        reached = reached[: len(weight)]
        if np.isin(reached, (0, 1)).all() and (weight == 1).all():
            return share_score(reached == 1, corpus.unit)
        value = float(np.average(reached, weights=weight))
        unit = np.unique(corpus.unit[: len(weight)], return_inverse=True)[1].astype(np.int64)
        return estimate(value, weight * (reached - value), unit)

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


def before_end(covered: Mask, tokens: Tokens, words: int) -> Floats:
    """How many tokens stand before the covered ones that end a row: float64 [rows].

    Infinitely many where fewer than ``words`` tokens at its end are covered.

    Args:
        covered: bool [tokens].
        tokens: Of the rows.
        words: Covered tokens at the end, at least.
    """
    place = np.arange(len(covered))
    # The last token before each that is not covered; a row's first one stands for its beginning.
    bare = ~covered
    bare[tokens.offsets[:-1]] = True
    last = np.maximum.accumulate(np.where(bare, place, 0))
    first, end = tokens.offsets[:-1] + 1, tokens.offsets[1:] - 2
    inside = np.maximum(end, first - 1)
    before = (last[inside] - first + 1).astype(np.float64)
    return np.where(inside - last[inside] >= words, before, np.inf)


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
