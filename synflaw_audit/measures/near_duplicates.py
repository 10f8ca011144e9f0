"""Near-duplicates: how many records nearly repeat the answer of another."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import rensa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from synflaw_audit.measures.base import Marker, Score, met
from synflaw_audit.measures.intervals import estimate
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import labels_of
from synflaw_audit.text.tokens import Ids, Ints, Places, Tokens, extended, factorized, tokenize

SHINGLE = 3  # tokens
BANDS, BAND = 24, 5  # of MinHash values: finds 99.9% of the pairs with a similarity of 0.8
SEED = 42
TOKENS = 500_000  # of answers compared; the rows are in random order
EXAMPLE_CHARACTERS = 200


@dataclass(frozen=True)
class NearDuplicateShare:
    """The share of records in a draw of ``draw`` whose answer nearly repeats another of the draw.

    Two answers nearly repeat each other if their sets of three-token shingles, the bounds of the
    answer counted as tokens, have a Jaccard similarity of at least ``similarity`` (Broder,
    "On the resemblance and containment of documents", 1997). MinHash proposes pairs, their true
    similarity decides. In all records of a corpus the share would grow with their number; the
    expected share in a draw of fixed size (rarefaction: Hurlbert, "The nonconcept of species
    diversity", Ecology 1971) does not.
    Answers that are no more than labels, such as "Yes", do not count.

    Attributes:
        similarity: Least Jaccard similarity of near-duplicates.
        draw: Records in the draw.
    """

    similarity: float = 0.8
    draw: int = 500

    def __post_init__(self) -> None:
        if not 0.7 <= self.similarity <= 1:
            raise ValueError(f"similarity must be between 0.7 and 1, not {self.similarity}")
        if self.draw < 2:
            raise ValueError(f"draw must be at least 2, not {self.draw}")

    def score(self, corpus: Corpus) -> Score:
        """The expected share, with the largest group of near-duplicates."""
        rows = corpus.within(TOKENS)
        if rows < 2:
            return Score(0.0, 0.0, 1.0)
        texts, unit = corpus.texts("answer")[:rows], corpus.unit[:rows]
        label = labels_of(texts)
        code, distinct = factorized(texts.filter(pa.array(~label)))
        group = clusters(tokenize(distinct), self.similarity)
        size = np.bincount(group[code]).astype(np.int64)
        drawn = min(self.draw, rows)
        repeated = met(size - 1, rows - 1, drawn - 1)
        value = float((size * repeated).sum() / rows)
        # With p the share of a group, sum(p (1 - (1 - p) ** (draw - 1))) by the delta method.
        p = size / rows
        slope = repeated + p * (drawn - 1) * (1 - p) ** (drawn - 2)
        part = np.zeros(rows)
        part[~label] = slope[group[code]]
        found = estimate(value, part - part.mean(), unit)
        largest = int(size.argmax()) if len(size) else 0
        observed = {
            "groups": int((size > 1).sum()),
            "repeated_share": float(size[size > 1].sum() / rows),
            "largest_share": float(size.max(initial=0) / rows),
            "largest": _examples(distinct, group, largest) if size.max(initial=0) > 1 else [],
        }
        return replace(found, observed=observed)

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: a row of the corpus can be told by the rows it resembles, not by itself."""
        return None


def clusters(tokens: Tokens, similarity: float) -> Ints:
    """The group of near-duplicates each row belongs to, numbered from 0: int64 [rows].

    A row joins a group if it is similar to one of its rows that share a MinHash band with it.
    """
    shingle, row = _shingles(tokens)
    bounds = np.searchsorted(row, np.arange(len(tokens) + 1))
    digests = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
        shingle, bounds.tolist(), BANDS * BAND, SEED
    )
    values = np.array(digests.to_rows(), dtype=np.uint64).reshape(len(tokens), BANDS, BAND)
    group = np.arange(len(tokens))
    for band in range(BANDS):
        key = np.zeros(len(tokens), dtype=np.uint64)
        for place in range(BAND):
            key = extended(key, values[:, band, place])
        _, first, at = np.unique(key, return_index=True, return_inverse=True)
        # Comparing each row with the first of its bucket alone keeps the number of pairs linear.
        pairs = np.stack([first[at], np.arange(len(tokens))])
        pairs = pairs[:, group[pairs[0]] != group[pairs[1]]]
        alike = pairs[:, _similarity(shingle, bounds, pairs) >= similarity]
        if alike.shape[1]:
            edges = (np.ones(alike.shape[1]), (group[alike[0]], group[alike[1]]))
            graph = coo_matrix(edges, shape=(len(tokens), len(tokens)))
            group = connected_components(graph, directed=False)[1][group]
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def _shingles(tokens: Tokens) -> tuple[Ids, Places]:
    """The distinct shingles of each row, ascending in it, and the row of each."""
    last = tokens.offsets[1:] - 1
    head = np.ones(len(tokens.ids), dtype=bool)
    for step in range(SHINGLE - 1):
        # A row's last tokens begin no shingle; a row too short for one is a shingle as a whole.
        head[np.maximum(last - step, tokens.offsets[:-1] + 1)] = False
    at = np.flatnonzero(head)
    gram = np.zeros(len(at), dtype=np.uint64)
    for step in range(SHINGLE):
        gram = extended(gram, tokens.ids[np.minimum(at + step, last[tokens.row[at]])])
    order = np.lexsort((gram, tokens.row[at]))
    gram, row = gram[order], tokens.row[at][order]
    fresh = np.ones(len(gram), dtype=bool)
    fresh[1:] = (gram[1:] != gram[:-1]) | (row[1:] != row[:-1])
    return gram[fresh], row[fresh]


def _similarity(shingle: Ids, bounds: Ints, pairs: Ints) -> npt.NDArray[np.float64]:
    """Jaccard similarity of the shingles of each pair of rows, int64 [2, pairs]."""
    numbers = np.arange(pairs.shape[1])
    size = np.diff(bounds)[pairs]
    held = []
    for side in (0, 1):
        count = size[side]
        place = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        held.append(
            (np.repeat(numbers, count), shingle[np.repeat(bounds[pairs[side]], count) + place])
        )
    pair, gram = (np.concatenate(part) for part in zip(*held, strict=True))
    order = np.lexsort((gram, pair))
    pair, gram = pair[order], gram[order]
    both = (pair[1:] == pair[:-1]) & (gram[1:] == gram[:-1])
    common = np.bincount(pair[1:][both], minlength=len(numbers))
    return np.asarray(common / np.maximum(size.sum(axis=0) - common, 1))


def _examples(texts: pa.Array, group: Ints, wanted: int) -> list[str]:
    rows = np.flatnonzero(group == wanted)[:2]
    return [text[:EXAMPLE_CHARACTERS] for text in texts.take(pa.array(rows)).to_pylist()]
