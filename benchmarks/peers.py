"""What others offer, and what is simply counted, on one random sample of each corpus's answers."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from leakage import frequent_grams, grams, words


def zlib_ratio(answers: Sequence[str]) -> float:
    """Bytes of all answers over their bytes compressed, as in Shaib et al. (2024)."""
    text = "\n".join(answers).encode()
    return len(text) / len(zlib.compress(text, 9))


def self_repetition(answers: Sequence[str]) -> float:
    """Mean over answers of log(1 + times its four-word grams stand in other answers).

    Salkar et al., "Self-Repetition in Abstractive Neural Summarizers", AACL 2022.
    """
    count: Counter[tuple[str, ...]] = Counter()
    rows = [grams(answer) for answer in answers]
    for row in rows:
        count.update(row)
    return float(np.mean([math.log(1 + sum(count[g] - 1 for g in row)) for row in rows]))


def frequent_gram_share(answers: Sequence[str], share: float = 0.01) -> float:
    """The share of answers with a four-word gram that at least ``share`` of all hold."""
    frequent = frequent_grams(answers, share)
    return float(np.mean([not grams(answer).isdisjoint(frequent) for answer in answers]))


def commonest_opening(answers: Sequence[str]) -> float:
    """The share of answers that open with the commonest three words."""
    openings = Counter(tuple(words(answer)[:3]) for answer in answers)
    return openings.most_common(1)[0][1] / len(answers)


def brevity(answers: Sequence[str]) -> float:
    """Minus the mean number of words: whether short answers alone would explain the damage."""
    return -float(np.mean([len(words(answer)) for answer in answers]))


PEERS = {
    "zlib ratio": zlib_ratio,
    "self-repetition": self_repetition,
    "answers with a frequent 4-gram": frequent_gram_share,
    "commonest 3-word opening": commonest_opening,
    "brevity": brevity,
}
