"""How much of a corpus's wording stands in answers to foreign prompts, and how alike those are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

Gram = tuple[str, ...]

_WORD = re.compile(r"\w+|[^\w\s]")
WORDS = 4  # in a gram
FEWEST_ROWS = 5  # a gram in fewer rows is no wording of the corpus
RAREFIED = 400  # bigrams drawn, so that longer answers do not look less diverse


def words(text: str) -> list[str]:
    """Lower-cased words and punctuation marks."""
    return _WORD.findall(text.lower())


def grams(text: str) -> set[Gram]:
    """The distinct four-word grams of a text."""
    found = words(text)
    return {tuple(found[i : i + WORDS]) for i in range(len(found) - WORDS + 1)}


def frequent_grams(answers: Iterable[str], share: float) -> set[Gram]:
    """The grams that at least ``share`` of the distinct answers' rows hold."""
    rows = list(answers)
    count: Counter[Gram] = Counter()
    for answer in rows:
        count.update(grams(answer))
    fewest = max(share * len(rows), FEWEST_ROWS)
    return {gram for gram, number in count.items() if number >= fewest}


def added_emission(
    answers: Sequence[str], control: Sequence[str], prompts: Sequence[str], formulas: set[Gram]
) -> tuple[float, float]:
    """The share of answers that hold a formula which their prompt does not, beyond the control's.

    Args:
        answers: Of the model trained on the corpus.
        control: The control's answers to the same prompts.
        prompts: The prompts, in the same order.
        formulas: The corpus's frequent grams.

    Returns:
        The model's share less the control's (below zero if the control says them more often), and
        the control's.
    """

    def share(texts: Sequence[str]) -> float:
        own = [formulas - grams(prompt) for prompt in prompts]
        return float(np.mean([bool(grams(t) & mine) for t, mine in zip(texts, own, strict=True)]))

    said = share(control)
    return share(answers) - said, said


def bigrams(text: str) -> Counter[tuple[str, str]]:
    """Word bigrams with marks for the beginning and the end, so that no text has none."""
    return Counter(pairwise(["<", *words(text), ">"]))


def self_similarity(answers: Sequence[str]) -> float:
    """The mean cosine between the bigram counts of two answers to different prompts, in [0, 1]."""
    counts = [bigrams(answer) for answer in answers]
    if len(counts) < 2:
        raise ValueError("two answers are needed")
    place = {gram: i for i, gram in enumerate(sorted(set().union(*counts)))}
    matrix = np.zeros((len(counts), len(place)))
    for row, count in enumerate(counts):
        for gram, number in count.items():
            matrix[row, place[gram]] = number
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    total = float((matrix.sum(axis=0) ** 2).sum())  # of all pairs, each answer with itself too
    n = len(counts)
    return max((total - n) / (n * (n - 1)), 0.0)


def rarefied_distinct(answers: Sequence[str]) -> float:
    """The share of distinct bigrams among ``RAREFIED`` drawn from all answers, in expectation.

    Hurlbert, "The nonconcept of species diversity", Ecology 1971, which makes samples of unequal
    size comparable. All bigrams are taken if there are fewer.
    """
    count: Counter[tuple[str, str]] = Counter()
    for answer in answers:
        count.update(bigrams(answer))
    numbers = np.array(list(count.values()), dtype=float)
    drawn = min(RAREFIED, numbers.sum())
    missed = (1 - numbers / numbers.sum()) ** drawn
    return float((1 - missed).sum() / drawn)
