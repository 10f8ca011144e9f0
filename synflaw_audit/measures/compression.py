"""Compression: how much better the answers compress together than the same words in any order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import zstandard
from scipy.special import expit, logit

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.intervals import half_width, units_of
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.tokens import Ints

PARTS = 8  # by which it is told how much answers differ


@dataclass(frozen=True)
class CompressionExcess:
    """1 - (size of the answers compressed) / (size of the same words shuffled, compressed).

    Shuffling the words over all answers keeps their frequencies and the lengths of the answers,
    so what is left is word order that recurs. The answers are cut into blocks of about one size,
    which hold each question once, and their mean counts: this keeps the number and length of rows
    and the number of answers to a question out of the score.

    Attributes:
        block: Characters in a block.
        blocks: The most blocks compressed.
        level: Of zstandard.
    """

    block: int = 50_000
    blocks: int = 20
    level: int = 9

    def score(self, corpus: Corpus) -> Score:
        """The excess, and the compression ratios it comes from."""
        texts = corpus.texts("answer").to_pylist()
        if not texts:
            return Score(0.0, 0.0, 1.0)
        rng = np.random.default_rng(corpus.sketch.seed)
        blocks = _blocks(texts, corpus.unit, self.block, self.blocks)
        measured = [self._compressed([texts[row] for row in block], rng) for block in blocks]
        excess, ratio = np.array(measured).T.tolist()
        value = float(np.clip(np.mean(excess), 0, 1))
        rows = np.concatenate(blocks)
        if len(blocks) >= PARTS and units_of(corpus.unit[rows]) == len(rows):
            half = half_width(excess)
            low, high = max(value - half, 0.0), min(value + half, 1.0)
        else:
            length = sum(len(texts[row]) for row in rows) / len(blocks)
            low, high = self._bounds(value, self._parts(texts, blocks, corpus.unit, rng), length)
        observed = {"compression_ratio": float(np.median(ratio)), "blocks": len(blocks)}
        return Score(value, low, high, observed, rows=len(rows))

    def _parts(
        self, texts: list[str], blocks: list[list[int]], unit: Ints, rng: np.random.Generator
    ) -> list[float]:
        """The excess of parts of all blocks; no question is in two, unlike in blocks."""
        group = np.unique(unit, return_inverse=True)[1] % PARTS
        return [
            float(np.mean([self._compressed([texts[row] for row in part], rng)[0] for part in own]))
            for own in _by_group(blocks, group)
        ]

    def _bounds(self, value: float, parts: list[float], length: float) -> tuple[float, float]:
        """The interval of the score, by how much parts of the blocks differ.

        Parts show less of what recurs than blocks, and differ by the less, so it is their logits
        that are compared. What is seen grows with the logarithm of the length; blocks and their
        parts tell by how much, and thus what the blocks of a larger corpus may show.

        Args:
            value: The score.
            parts: The excess of each part.
            length: Characters of a block, which is less than ``block`` in a small corpus.
        """
        if len(parts) < 2:
            return 0.0, 1.0
        at, *logits = logit(np.clip([value, *parts], 1e-3, 1 - 1e-3)).tolist()
        half = half_width(logits)
        growth = max(value - float(np.mean(parts)), 0.0) / np.log(len(parts))
        more = growth * np.log(max(self.block / max(length, 1.0), 1.0))
        low, high = expit([at - half, at + half]).tolist()
        return min(low, value), min(max(high, value) + float(more), 1.0)

    def _compressed(self, block: list[str], rng: np.random.Generator) -> tuple[float, float]:
        """The excess of a block, and how many times smaller it is compressed."""
        words = [word for text in block for word in text.split(" ")]
        shuffled = [words[i] for i in rng.permutation(len(words))]
        plain = "\n".join(block).encode()
        size = len(zstandard.compress(plain, self.level))
        baseline = len(zstandard.compress(_refilled(block, shuffled), self.level))
        return 1 - size / baseline, len(plain) / size

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: it is no matter of single rows."""
        return None


def _blocks(texts: list[str], unit: Ints, size: int, most: int) -> list[list[int]]:
    """The rows of blocks of about ``size`` characters, as many as ``most``.

    No block holds two answers to one question, which repeat each other because of it, and the more
    so the fewer questions there are: it ends before the second. What is less than half a block is
    dropped, unless there is no more.
    """
    blocks: list[list[int]] = []
    lengths: list[int] = []
    asked: set[int] = set()
    for row in _each_question_once(unit).tolist():
        if not blocks or lengths[-1] >= size or unit[row] in asked:
            if len(blocks) == most:
                break
            blocks.append([])
            lengths.append(0)
            asked = set()
        blocks[-1].append(row)
        lengths[-1] += len(texts[row])
        asked.add(unit[row])
    large = [block for block, length in zip(blocks, lengths, strict=True) if 2 * length >= size]
    return large or blocks[:1]


def _by_group(blocks: list[list[int]], group: Ints) -> list[list[list[int]]]:
    """For each group of rows, its rows of each block that has any."""
    rows = [np.array(block) for block in blocks]
    return [
        [part.tolist() for block in rows if len(part := block[group[block] == number])]
        for number in np.unique(group[np.concatenate(rows)])
    ]


def _each_question_once(unit: Ints) -> Ints:
    """The rows with the first answer to each question, then those with the second: int64 [rows]."""
    order = np.argsort(unit, kind="stable")
    nth = np.empty_like(order)
    nth[order] = np.arange(len(unit)) - np.searchsorted(unit[order], unit[order])
    first = np.unique(unit, return_index=True)[1]
    return np.lexsort((first[unit], nth))


def _refilled(block: list[str], words: list[str]) -> bytes:
    """The words dealt out to rows of as many words as the block's."""
    rows, at = [], 0
    for text in block:
        count = text.count(" ") + 1
        rows.append(" ".join(words[at : at + count]))
        at += count
    return "\n".join(rows).encode()
