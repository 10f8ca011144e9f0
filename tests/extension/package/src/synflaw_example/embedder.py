"""How often each letter stands in a text, as a vector."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np


@dataclass(frozen=True)
class LetterEmbedder:
    """Counts letters; knows nothing of words."""

    seed: int = 0

    @property
    def name(self) -> str:
        """What the report calls it."""
        return "letters"

    def embed(self, texts: list[str]) -> np.ndarray:
        """float64 [texts, 26], of length one, or zero where a text has no letter."""
        counts = [[text.lower().count(letter) for letter in ascii_lowercase] for text in texts]
        vectors = np.asarray(counts, dtype=float)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, length, where=length > 0, out=np.zeros_like(vectors))
