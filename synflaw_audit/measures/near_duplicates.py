"""Near-duplicates: how many records nearly repeat the answer of another."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import rensa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from synflaw_audit.measures.base import Marker, Score, inclusion_chance
from synflaw_audit.measures.intervals import estimate
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import labels_of
from synflaw_audit.text.tokens import Ids, Ints, Places, Tokens, extended, factorized, tokenize

SHINGLE = 3  # tokens
# Of MinHash values: 1 - (1 - 0.8**5)**24, more than 99.99%, of the pairs with a similarity of 0.8
# share a band, and 98.8% of those with 0.7.
BANDS, BAND = 24, 5
NEIGHBOURS = 64  # rows that share a band with a row and are compared with it
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
        group = clusters(tokenize(distinct), self.similarity, corpus.sketch.seed)
        size = np.bincount(group[code]).astype(np.int64)
        drawn = min(self.draw, rows)
        repeated = inclusion_chance(size - 1, rows - 1, drawn - 1)
        value = float((size * repeated).sum() / rows)
        # What a row adds: that it is a repetition, and that others of its group are the more so.
        fewer = inclusion_chance(np.maximum(size - 2, 0), rows - 1, drawn - 1)
        part = np.zeros(rows)
        part[~label] = (size * repeated - (size - 1) * fewer)[group[code]]
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


def clusters(tokens: Tokens, similarity: float, seed: int = 0) -> Ints:
    """The group of near-duplicates each row belongs to, numbered from 0: int64 [rows].

    Rows that share a MinHash band stand in one bucket. There each is compared with the
    ``NEIGHBOURS`` next ones, but for those that are known to be of its group: in smaller buckets
    all pairs are compared, and in larger ones the rows of one group find each other one by one.
    """
    if not len(tokens):
        return np.empty(0, dtype=np.int64)
    shingle, row = shingles(tokens)
    bounds = np.searchsorted(row, np.arange(len(tokens) + 1))
    digests = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
        shingle, bounds.tolist(), BANDS * BAND, seed % 2**63
    )
    values = np.array(digests.to_rows(), dtype=np.uint64).reshape(len(tokens), BANDS, BAND)
    group = np.arange(len(tokens))
    for band in range(BANDS):
        key = np.zeros(len(tokens), dtype=np.uint64)
        for place in range(BAND):
            key = extended(key, values[:, band, place])
        order = np.argsort(key, kind="stable")
        shared = np.concatenate([[False], key[order[1:]] == key[order[:-1]], [False]])
        order = order[shared[1:] | shared[:-1]]  # in a bucket with others
        for step in range(1, NEIGHBOURS + 1):
            pairs = np.stack([order[:-step], order[step:]])
            pairs = pairs[:, key[pairs[0]] == key[pairs[1]]]
            if not pairs.shape[1]:
                break
            pairs = pairs[:, group[pairs[0]] != group[pairs[1]]]
            alike = pairs[:, similarity_of(shingle, bounds, pairs) >= similarity]
            if alike.shape[1]:
                edges = (np.ones(alike.shape[1]), (group[alike[0]], group[alike[1]]))
                graph = coo_matrix(edges, shape=(len(tokens), len(tokens)))
                group = connected_components(graph, directed=False)[1][group]
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def shingles(tokens: Tokens) -> tuple[Ids, Places]:
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


def similarity_of(shingle: Ids, bounds: Ints, pairs: Ints) -> npt.NDArray[np.float64]:
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
