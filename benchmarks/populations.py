"""Corpora drawn from populations in which every measure has something to find.

A population is a way to draw questions with their answers; what share of them has which form is
known or can be had to any precision by drawing many. Questions come one answer each, or several, or
with copies of their records, since rows of one question are not independent of each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from synflaw_audit.records import unplaced
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import AnswerSample, Sketch

Kind = Literal["independent", "clustered", "copied"]

WORDS = np.array([
    first + middle + last
    for first in ("bra", "ke", "lo", "mu", "ni", "pra", "sto", "ti", "vu", "za", "fe", "gri")
    for middle in ("", "ma", "ne", "ri", "lo", "su", "ta", "vi", "do", "ke")
    for last in ("n", "r", "st", "l", "th", "m", "nd", "ck", "sh", "p", "rt", "x")
])  # fmt: skip
REFUSAL = "I am sorry, but as a language model I cannot help you with that request of yours."
LINE = "\n- "


@dataclass(frozen=True)
class Population:
    """How records are drawn.

    Attributes:
        kind: One answer a question; one to six that share a form more often than others do; or
            one to four copies of each record.
        together: How often an answer of a clustered population has the form of its question.
        refused: Share of answers that are one and the same.
        framed: Share of answers in a frame.
        opened: Share that open with a stock phrase.
        echoed: Share that repeat the question.
        stock: Share that nearly repeat one of a few.
        listed: Share that are laid out as lists.
    """

    kind: Kind = "independent"
    together: float = 0.7
    refused: float = 0.1
    framed: float = 0.2
    opened: float = 0.15
    echoed: float = 0.2
    stock: float = 0.1
    listed: float = 0.1

    def rows(self, records: int, seed: int) -> pd.DataFrame:
        """Draws records: columns question and answer."""
        rng = np.random.default_rng(seed)
        words = _Words(rng, 64 * records + 4096)
        drawn: list[tuple[str, str]] = []
        while len(drawn) < records:
            drawn += self._question(rng, words)
        return pd.DataFrame(drawn[:records], columns=["question", "answer"])

    def _question(self, rng: np.random.Generator, words: _Words) -> Iterator[tuple[str, str]]:
        lead = "Write a short note on " if rng.random() < 0.3 else ""
        question = lead + words(int(rng.integers(8, 16))) + "?"
        answers = int(rng.integers(1, 7)) if self.kind == "clustered" else 1
        copies = int(rng.integers(1, 5)) if self.kind == "copied" else 1
        form = rng.random()
        for _ in range(answers):
            own = (
                form if self.kind == "clustered" and rng.random() < self.together else rng.random()
            )
            answer = self._answer(rng, words, question, own)
            yield from [(question, answer)] * copies

    def _answer(self, rng: np.random.Generator, words: _Words, question: str, form: float) -> str:
        text = words(int(np.clip(rng.lognormal(3.2, 0.6), 6, 60)))
        bounds = np.cumsum(
            [self.refused, self.framed, self.opened, self.echoed, self.stock, self.listed]
        )
        match int(np.searchsorted(bounds, form, side="right")):
            case 0:
                return REFUSAL
            case 1:
                return f"In short, the answer is this: {text}. I hope that this helps you."
            case 2:
                return f"Great question, and well put! {text}"
            case 3:
                return f"As to {question[:-1]}, {text}"
            case 4:
                return f"{_STOCK[int(rng.integers(len(_STOCK)))]} {words(1)}"
            case 5:
                items = [words(int(rng.integers(3, 8))) for _ in range(int(rng.integers(2, 5)))]
                return f"{text}:{LINE}{LINE.join(items)}"
            case _:
                return text


class _Words:
    """Words by Zipf's law, drawn at once because that is a hundred times faster."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        rank = rng.zipf(1.4, size) % len(WORDS)
        self._words, self._at, self._rng = WORDS[rank].tolist(), 0, rng

    def __call__(self, count: int) -> str:
        if self._at + count > len(self._words):
            self._at = 0
            self._rng.shuffle(self._words)
        self._at += count
        return " ".join(self._words[self._at - count : self._at])


_STOCK = [_Words(np.random.default_rng(n), 64)(30) for n in range(1)]


def corpus(rows: pd.DataFrame, sample: int, seed: int = 0) -> Corpus:
    """The rows as the measures see them, in a sample of at most so many."""
    batch = unplaced(rows["question"].tolist(), rows["answer"].tolist())
    return Corpus(
        Sketch(rows=sample, answers=AnswerSample(size=3 * sample), seed=seed).added(batch)
    )
