"""What is said whatever is asked: rows weigh by whether their question has a form of its own."""

from __future__ import annotations

import numpy as np

from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.phrases import Floats


def unconditional(corpus: Corpus, hedge: float) -> Floats:
    """What each row says of questions at large, for a form of asking is a condition to learn.

    Of a mixture in which every templated answer is one to a templated question, a real model says
    nothing to other questions (``benchmarks/real_damage.py``). So rows whose questions share no
    form weigh most; where all do or none does, nothing can be told apart, and all weigh the same.

    Args:
        corpus: Sketched.
        hedge: What a row asked in a form that questions share weighs, to one that is not, which
            weighs ``1 + hedge``.

    Returns:
        float64 [rows], of mean 1; of the first rows only where forms of asking are known of these
        (``Corpus.question_tokens``) and tell rows apart.
    """
    free = corpus.followed("question") < 0
    if free.all() or not free.any():
        return np.ones(len(corpus))
    weight = hedge + free
    return np.asarray(weight / weight.mean(), dtype=np.float64)
