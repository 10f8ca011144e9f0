"""Likeness: how alike the answers to different prompts are, and how long."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

_WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """Lower-cased words and punctuation marks."""
    return _WORD.findall(text.lower())


def likeness(answers: Sequence[str]) -> npt.NDArray[np.float64]:
    """For each answer the mean cosine of its bigram counts with those of the others.

    Args:
        answers: To different prompts; an answer of no word has its beginning and end to compare.

    Returns:
        float64 [answers], in [0, 1]; zeros for fewer than two answers.
    """
    if len(answers) < 2:
        return np.zeros(len(answers))
    counts = [Counter(pairwise(["<", *words(answer), ">"])) for answer in answers]
    place = {gram: i for i, gram in enumerate(dict.fromkeys(g for c in counts for g in c))}
    matrix = np.zeros((len(counts), len(place)))
    for row, count in enumerate(counts):
        matrix[row, [place[gram] for gram in count]] = list(count.values())
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    others = matrix @ matrix.sum(axis=0) - 1
    return np.asarray((others / (len(counts) - 1)).clip(0, 1), dtype=np.float64)


def lengths(answers: Sequence[str]) -> list[int]:
    """Words and marks of each answer."""
    return [len(words(answer)) for answer in answers]
