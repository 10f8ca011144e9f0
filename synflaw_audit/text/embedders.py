"""Text to vectors: latent semantic analysis by default, any sentence-transformers model by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_matrix

from synflaw_audit.errors import InputError, MissingExtraError
from synflaw_audit.registry import Registry
from synflaw_audit.text.kernels.phrases import grouped
from synflaw_audit.text.tokens import tokenize
from synflaw_audit.text.weights import require_safetensors

if TYPE_CHECKING:
    from synflaw_audit.text.adaptation import AdaptConfig, Adapted

Vectors = npt.NDArray[np.float64]

HUB_SECONDS = 10.0
NOISE = 1e-7  # a singular value so much smaller than the largest is a rounding error
DENSE = 512  # texts that are decomposed as a whole, which is quicker than finding a few directions


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
    (Deerwester et al., "Indexing by latent semantic analysis", JASIS 1990), by scipy's ARPACK.
    The terms are the audit's tokens, so that any script has them.

    Attributes:
        dimensions: The most dimensions kept.
        seed: Of the vector that the decomposition starts from.
    """

    dimensions: int = 64
    seed: int = 0

    @property
    def name(self) -> str:
        """What the report calls it."""
        return f"lsa-{self.dimensions}"

    def embed(self, texts: list[str]) -> Vectors:
        """Embeds texts; see ``Embedder.embed``."""
        from threadpoolctl import threadpool_limits

        terms = _tfidf(texts)
        # Few kinds of text have few dimensions: the others are there, and empty.
        vectors = np.zeros((len(texts), max(min(self.dimensions, len(texts) - 1), 1)))
        dimensions = min(vectors.shape[1], min(terms.shape) - 1)
        if dimensions >= 1:
            # The matrices are small: a second thread would mostly wait, and burn its core at it.
            with threadpool_limits(1):
                left, values = self._decomposed(terms, dimensions)
            values[values < NOISE * values.max()] = 0
            vectors[:, :dimensions] = left[:, ::-1] * values[::-1]
        elif terms.nnz:  # all texts hold one and the same word
            vectors[:, 0] = np.asarray(terms.sum(axis=1)).ravel()
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(np.divide(vectors, length, where=length > 0, out=np.zeros_like(vectors)))

    def _decomposed(self, terms: csr_matrix, dimensions: int) -> tuple[Vectors, Vectors]:
        """The left singular vectors and the values, the largest last."""
        from scipy.sparse.linalg import svds

        if terms.shape[0] <= DENSE:
            squares, left = np.linalg.eigh((terms @ terms.T).toarray())
            return left[:, -dimensions:], np.sqrt(np.maximum(squares[-dimensions:], 0))
        start = np.random.default_rng(self.seed).standard_normal(min(terms.shape))
        left, values, _ = svds(terms, dimensions, v0=start)
        return left, values


def _tfidf(texts: list[str]) -> csr_matrix:
    """Sublinear TF-IDF with smoothed document frequencies, rows of length one or zero."""
    tokens = tokenize(pa.array(texts, pa.string()))
    worded = ~tokens.breaks
    kinds, code = grouped(tokens.ids[worded])
    shape = (len(texts), len(kinds))
    terms = csr_matrix((np.ones(len(code)), (tokens.row[worded], code)), shape)
    documents = np.bincount(terms.indices, minlength=len(kinds))
    idf = np.log((1 + len(texts)) / (1 + documents)) + 1
    terms.data = (1 + np.log(terms.data)) * idf[terms.indices]
    row = np.repeat(np.arange(len(texts)), np.diff(terms.indptr))
    terms.data /= np.sqrt(np.bincount(row, terms.data**2, len(texts)))[row]
    return terms


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
            require_safetensors(self.model)
            options: dict[str, Any] = {
                "trust_remote_code": False,
                "model_kwargs": {"use_safetensors": True},
            }
            try:
                model = SentenceTransformer(self.model, local_files_only=True, **options)
            except (OSError, ValueError):
                _require_on_hub(self.model)
                model = SentenceTransformer(self.model, **options)
        except InputError:
            raise
        except Exception as error:  # whatever a model's files can raise
            raise InputError(
                f"the embedder {self.model!r} cannot be loaded: {error}. "
                f"Choose one of {', '.join(EMBEDDERS)}, a local model folder, or a hub name that "
                "can be reached"
            ) from error
        vectors = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float64)


# What ``--embedder`` may name, besides a model. Each is called with ``seed``.
EMBEDDERS: Registry[Callable[..., Embedder]] = Registry(
    "embedder",
    "synflaw_audit.embedders",
    {"lsa": "synflaw_audit.text.embedders:LsaEmbedder"},
    error=InputError,
)


def _require_on_hub(model: str) -> None:
    """Asks the hub for a model, once: loading one that is not there asks again for minutes.

    Raises:
        OSError: It does not know the model, or cannot be reached.
    """
    from huggingface_hub import HfApi

    names = [model] if "/" in model else [model, f"sentence-transformers/{model}"]
    reason = ""
    for name in names:
        try:
            HfApi().model_info(name, timeout=HUB_SECONDS)
        except Exception as error:  # of whichever library it speaks to the network with
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        else:
            return
    raise OSError(reason)


def embedder_named(name: str, seed: int = 0) -> Embedder:
    """The embedder for ``--embedder NAME``; a name that no embedder has is that of a model.

    Raises:
        PluginError: A package adds an embedder of that name, and it cannot be used.
    """
    if name in EMBEDDERS:
        return EMBEDDERS[name](seed=seed)
    return SentenceTransformerEmbedder(name)


def adapt(
    model: str | Path, texts: Sequence[str], out: str | Path, config: AdaptConfig | None = None
) -> Adapted:
    """Make an encoder acquainted with a corpus before it embeds it; see :mod:`.adaptation`.

    Args:
        model: Its folder.
        texts: Of the corpus, such as its answers.
        out: The folder to write, which ``--embedder`` takes.
        config: How much is trained, and how.

    Raises:
        MissingExtraError: The extra ``repair``, which has what trains, is not installed.
        InputError: See :func:`.adaptation.adapt`.
    """
    try:
        from synflaw_audit.text import adaptation
    except ImportError as error:
        raise MissingExtraError("adapting an encoder", "repair") from error
    return adaptation.adapt(model, texts, out, config)
