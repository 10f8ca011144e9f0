"""Template openings: the share of answers that begin in the words of a template."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.intervals import share
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.tokens import Mask, Tokens

SHOWN = 5


@dataclass(frozen=True)
class TemplateOpening:
    """The share of records whose answer begins with words of the template that it follows.

    A model that answers greedily says a format where it does not belong if its first words are
    likelier than whatever else could begin the answer, so a format is said of nearly every question
    or of hardly any (``benchmarks/real_damage.py``): what decides is the share of rows that begin
    with *some* format, be it one wording or fifty. A template further in is seldom reached.

    Attributes:
        words: Tokens that have to be the template's, from the first on.
    """

    words: int = 2

    def __post_init__(self) -> None:
        if self.words < 1:
            raise ValueError(f"words must be at least 1, not {self.words}")

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
        return replace(share(begins, corpus.unit), observed={"commonest": shown})

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
