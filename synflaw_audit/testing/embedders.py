"""What is taken for granted of an embedder; a part is an embedder, as its factory gives it."""

from __future__ import annotations

import numpy as np

from synflaw_audit.testing.assertions import require
from synflaw_audit.testing.corpora import ODD_ANSWERS, corpora
from synflaw_audit.text.embedders import Embedder

TEXTS = 120


def check_has_a_name(embedder: Embedder) -> None:
    """The report calls it something."""
    require(isinstance(embedder.name, str) and embedder.name, f"its name is {embedder.name!r}")


def check_vectors_have_length_one_or_zero(embedder: Embedder) -> None:
    """A vector a text, of length one, or zero where there are no words."""
    for name, rows in corpora().items():
        texts = [answer for _, answer in rows][:TEXTS]
        vectors = embedder.embed(texts)
        require(vectors.shape[:1] == (len(texts),), f"{name}: the shape is {vectors.shape}")
        require(vectors.ndim == 2, f"{name}: {vectors.ndim} dimensions of the array, not 2")
        require(np.isfinite(vectors).all(), f"{name}: a value is not finite")
        lengths = np.linalg.norm(vectors, axis=1)
        fits = (np.abs(lengths - 1) < 1e-3) | (lengths == 0)
        require(fits.all(), f"{name}: a vector has the length {lengths[~fits][:1]}")


def check_the_same_texts_have_the_same_vectors(embedder: Embedder) -> None:
    """Twice the same, and equal texts alike."""
    texts = [answer for _, answer in corpora()["natural"]][:TEXTS]
    texts[1] = texts[0]
    first, second = embedder.embed(texts), embedder.embed(texts)
    require(np.allclose(first, second, atol=1e-6), "the second time it gives other vectors")
    require(np.allclose(first[0], first[1], atol=1e-6), "two equal texts have different vectors")


def check_odd_texts_are_survived(embedder: Embedder) -> None:
    """Empty, short and strange texts have vectors too; so has one text alone."""
    for texts in (list(ODD_ANSWERS), [""], ["word"]):
        vectors = embedder.embed(texts)
        require(len(vectors) == len(texts), f"{texts}: {len(vectors)} vectors")
        require(np.isfinite(vectors).all(), f"{texts}: a value is not finite")
