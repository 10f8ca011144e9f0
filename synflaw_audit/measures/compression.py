"""Compression: how much better the answers compress together than the same words in any order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import zstandard

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.intervals import half_width
from synflaw_audit.sample.corpus import Corpus


@dataclass(frozen=True)
class CompressionExcess:
    """1 - (size of the answers compressed) / (size of the same words shuffled, compressed).

    Shuffling the words over all answers keeps their frequencies and the lengths of the answers,
    so what is left is word order that recurs. The answers are cut into blocks of equal size and
    their mean counts, which keeps the number and length of rows out of the score.

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
        rng = np.random.default_rng(corpus.sketch.seed)
        drawn = _blocks(texts, self.block, self.blocks)
        if not drawn:
            return Score(0.0, 0.0, 1.0)
        excess, ratio = np.array([self._compressed(block, rng) for block in drawn]).T.tolist()
        parts = excess
        if len(excess) == 1:  # its quarters tell how much blocks differ
            parts = [self._compressed(drawn[0][n::4], rng)[0] for n in range(min(4, len(texts)))]
        half = half_width(parts) if len(parts) > 1 else 1.0
        value = float(np.clip(np.mean(excess), 0, 1))
        observed = {"compression_ratio": float(np.median(ratio)), "blocks": len(excess)}
        low, high = max(value - half, 0.0), min(value + half, 1.0)
        return Score(value, low, high, observed, rows=sum(map(len, drawn)))

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


def _blocks(texts: list[str], size: int, most: int) -> list[list[str]]:
    """The texts in order, cut into blocks of at least ``size`` characters; a short rest is dropped.

    A corpus too small for one block is a block as it is.
    """
    blocks: list[list[str]] = []
    block: list[str] = []
    held = 0
    for text in texts:
        block.append(text)
        held += len(text)
        if held >= size:
            blocks.append(block)
            block, held = [], 0
            if len(blocks) == most:
                return blocks
    return blocks or ([block] if held else [])


def _refilled(block: list[str], words: list[str]) -> bytes:
    """The words dealt out to rows of as many words as the block's."""
    rows, at = [], 0
    for text in block:
        count = text.count(" ") + 1
        rows.append(" ".join(words[at : at + count]))
        at += count
    return "\n".join(rows).encode()
