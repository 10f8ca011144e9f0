"""Questions of one split that nearly stand in another: a draw of them is looked for in all rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import rensa

from synflaw_audit.findings.leakage import Leakage, ShareEstimate
from synflaw_audit.measures.intervals import wilson
from synflaw_audit.measures.near_duplicates import BAND, BANDS, shingles, similarity_of
from synflaw_audit.reading.source import Source
from synflaw_audit.reading.splits import split_of
from synflaw_audit.sample.sketch import hashes_of, mixed
from synflaw_audit.text.tokens import Ids, Ints, Mask, extended, tokenize

DRAWN = 2000  # questions of a split, those with the smallest hashes
SIMILARITY = 0.8
_SEED = 0


def with_near(found: Leakage, source: Source) -> Leakage:
    """What was found of the overlaps of splits, with the share of near repetitions.

    The files of each split are read again: once to draw from it, once to look in it.

    Args:
        found: The overlaps; those of a reference are left as they are.
        source: The corpus.

    Raises:
        InputError: A file cannot be read any more.
    """
    splits: dict[str, list[int]] = {}
    for number, file in enumerate(source.files):
        splits.setdefault(split_of(file) or "", []).append(number)
    known = [each for each in found.overlaps if each.part in splits and each.within in splits]
    drawn = {part: _Drawn(_draw(source, splits[part])) for part in {each.part for each in known}}
    overlaps = []
    for each in found.overlaps:
        if each in known and len(drawn[each.part]):
            share = _looked_up(drawn[each.part], _questions(source, splits[each.within]))
            count = len(drawn[each.part])
            low, high = wilson(share, count, count)
            complete = count < DRAWN
            near = (
                ShareEstimate(share, share, share) if complete else ShareEstimate(share, low, high)
            )
            each = replace(each, near=near, near_questions=count)
        overlaps.append(each)
    return replace(found, overlaps=tuple(overlaps))


def _questions(source: Source, files: Sequence[int]) -> Iterator[pa.Array]:
    for number in files:
        for batch in source.file_batches(number):
            questions = pc.unique(batch.column("question"))
            yield questions.filter(pc.not_equal(questions, ""))


def _draw(source: Source, files: Sequence[int]) -> pa.Array:
    """The questions with the smallest hashes, each once."""
    kept: dict[int, str] = {}
    beyond = np.uint64(2**64 - 1)
    for questions in _questions(source, files):
        hashes = mixed(hashes_of(questions))
        chosen = np.flatnonzero(hashes <= beyond)
        texts = questions.take(pa.array(chosen)).to_pylist()
        kept.update(zip(hashes[chosen].tolist(), texts, strict=True))
        if len(kept) > 2 * DRAWN:
            kept = {key: kept[key] for key in sorted(kept)[:DRAWN]}
            beyond = np.uint64(max(kept))
    return pa.array([kept[key] for key in sorted(kept)[:DRAWN]], pa.string())


class _Drawn:
    """Questions that are looked for, by the bands of their MinHash values."""

    def __init__(self, texts: pa.Array) -> None:
        self.shingle, self.bounds, keys = _hashed(texts)
        self.found = np.zeros(len(texts), dtype=bool)
        self.order = np.argsort(keys, axis=0, kind="stable")
        self.keys = np.take_along_axis(keys, self.order, axis=0)

    def __len__(self) -> int:
        return len(self.found)

    def candidates(self, keys: Ids) -> Ints:
        """Pairs of a question that is looked for and one that shares a band: int64 [2, pairs]."""
        pairs = []
        for band in range(BANDS):
            known = self.keys[:, band]
            place = np.searchsorted(known, keys[:, band])
            row = np.arange(len(keys))
            while len(row):
                here = place < len(known)
                row, place = row[here], place[here]
                here = known[place] == keys[row, band]
                row, place = row[here], place[here]
                pairs.append(np.stack([self.order[place, band], row]))
                place = place + 1
        both = np.concatenate(pairs, axis=1)
        both = both[:, ~self.found[both[0]]]
        return np.unique(both, axis=1)


def _looked_up(drawn: _Drawn, batches: Iterable[pa.Array]) -> float:
    """The share of the drawn questions that some question of the batches nearly repeats."""
    drawn.found[:] = False
    for questions in batches:
        if not len(questions) or drawn.found.all():
            continue
        shingle, bounds, keys = _hashed(questions)
        pairs = drawn.candidates(keys)
        if not pairs.shape[1]:
            continue
        joined = np.concatenate([drawn.shingle, shingle])
        ends = np.concatenate([drawn.bounds, bounds[1:] + drawn.bounds[-1]])
        shifted = np.stack([pairs[0], pairs[1] + len(drawn)])
        alike: Mask = similarity_of(joined, ends, shifted) >= SIMILARITY
        drawn.found[pairs[0][alike]] = True
    return float(drawn.found.mean())


def _hashed(texts: pa.Array) -> tuple[Ids, Ints, Ids]:
    """The shingles of texts, where each text's begin, and the keys of its bands [texts, bands]."""
    tokens = tokenize(texts)
    shingle, row = shingles(tokens)
    bounds = np.searchsorted(row, np.arange(len(tokens) + 1))
    digests = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
        shingle, bounds.tolist(), BANDS * BAND, _SEED
    )
    values = np.array(digests.to_rows(), dtype=np.uint64).reshape(len(tokens), BANDS, BAND)
    keys = np.zeros((len(tokens), BANDS), dtype=np.uint64)
    for place in range(BAND):
        keys = extended(keys, values[:, :, place])
    return shingle, bounds, keys
