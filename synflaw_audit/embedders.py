"""Text to vectors: latent semantic analysis by default, any sentence-transformers model by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from synflaw_audit.errors import InputError, MissingExtraError

Vectors = npt.NDArray[np.float64]


class Embedder(Protocol):
    """Turns texts into vectors of length one."""

    @property
    def name(self) -> str:
        """What the report calls it."""

    def embed(self, texts: list[str]) -> Vectors:
        """Embeds texts.

        Returns:
            float64 [texts, dimensions]; rows have length one, or zero where a text has no words.
        """


@dataclass(frozen=True)
class LsaEmbedder:
    """Latent semantic analysis fitted on the corpus itself: no download, the same on any machine.

    TF-IDF with sublinear term frequency, then a truncated singular value decomposition
    (Deerwester et al., "Indexing by latent semantic analysis", JASIS 1990), by scikit-learn.

    Attributes:
        dimensions: The most dimensions kept.
        seed: Of the randomised decomposition.
    """

    dimensions: int = 64
    seed: int = 0

    @property
    def name(self) -> str:
        """What the report calls it."""
        return f"lsa-{self.dimensions}"

    def embed(self, texts: list[str]) -> Vectors:
        """Embeds texts; see ``Embedder.embed``."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.preprocessing import normalize

        vectorizer = TfidfVectorizer(sublinear_tf=True, max_features=50_000)
        try:
            words = vectorizer.fit_transform(texts)
        except ValueError:  # no text holds a word
            return np.zeros((len(texts), 1))
        dimensions = min(self.dimensions, min(words.shape) - 1)
        if dimensions < 1:
            return np.asarray(normalize(words.toarray()))
        svd = TruncatedSVD(dimensions, random_state=self.seed)
        with np.errstate(invalid="ignore"):  # of equal texts no variance can be explained
            reduced = svd.fit_transform(words)
        return np.asarray(normalize(reduced))


@dataclass(frozen=True)
class SentenceTransformerEmbedder:
    """A sentence-transformers model, by hub name or local folder."""

    model: str

    @property
    def name(self) -> str:
        """What the report calls it."""
        return self.model

    def embed(self, texts: list[str]) -> Vectors:
        """Embeds texts; see ``Embedder.embed``.

        Raises:
            MissingExtraError: If sentence-transformers is not installed.
            InputError: If the model cannot be loaded.
        """
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtraError(f"the embedder {self.model!r}", "embeddings") from error
        try:
            model = SentenceTransformer(self.model)
        except (OSError, ValueError) as error:
            raise InputError(
                f"the embedder {self.model!r} cannot be loaded: {error}. "
                "Choose 'lsa', a local model folder, or a hub name that can be reached"
            ) from error
        vectors = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float64)


def embedder_named(name: str, seed: int = 0) -> Embedder:
    """The embedder for ``--embedder NAME``: ``lsa``, or a sentence-transformers model."""
    return LsaEmbedder(seed=seed) if name == "lsa" else SentenceTransformerEmbedder(name)
