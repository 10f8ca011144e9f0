"""Perplexity narrowness: how often two answers are equally predictable."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.pairs import pair_share, within_reach
from synflaw_audit.sample.corpus import Corpus

FEWEST = 100  # answers


@dataclass(frozen=True)
class PerplexityNarrowness:
    """The chance that two answers differ by at most ``within`` bits a token.

    The paper "Unveiling the Flaws" (Chen et al., Findings of EMNLP 2024) finds the perplexities of
    synthetic answers lower and less spread than those of natural ones. The spread of a mean
    depends on the number of tokens, so each answer is judged by its first ``window`` tokens; the
    share of pairs does not depend on the number of answers. The interval is that of the answers
    scored; which answers an n-gram model was made from may move the score by 0.03.

    Attributes:
        window: Tokens of an answer that are scored; shorter answers are left out.
        within: Bits a token.
    """

    window: int = 32
    within: float = 0.5

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"window must be at least 1, not {self.window}")
        if self.within <= 0:
            raise ValueError(f"within must be above 0, not {self.within}")

    def score(self, corpus: Corpus) -> Score:
        """The chance, with the median and spread of bits a token."""
        if not len(corpus):
            return Score(0.0, 0.0, 1.0)
        found = corpus.bits(self.window)
        scored = ~np.isnan(found)
        bits, unit = found[scored], corpus.unit[scored]
        if len(bits) < FEWEST:
            reason = f"needs {FEWEST} answers of at least {self.window} tokens, has {len(bits)}"
            return Score(0.0, 0.0, 1.0, undecided=reason)
        tenth, median, ninetieth = np.quantile(bits, [0.1, 0.5, 0.9]).tolist()
        observed = {
            "bits_per_token": {"p10": tenth, "median": median, "p90": ninetieth},
            "answers": len(bits),
            "model": corpus.language_model.name,
        }
        near = within_reach(bits, self.within, unit)
        return replace(pair_share(near, unit), observed=observed)

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: it is no matter of single rows."""
        return None
