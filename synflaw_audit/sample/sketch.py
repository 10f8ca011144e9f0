"""What pass 1 keeps of a corpus: a bounded, mergeable summary that every measure reads.

The summary is a *bottom-k sample of distinct rows*: each distinct question-answer pair has a hash,
and the pairs with the smallest hashes are kept, each with the exact number of records it stands
for (Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007). Which pairs are kept
depends only on the set of pairs, so neither the order of rows nor how they are spread over files
or machines changes anything: ``merge`` is associative and commutative, and a corpus of any size is
judged at one sample size. Answers have such a sample of their own, of hashes alone, because a
sample of pairs would not see that two questions share an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.text.kernels.text import digests
from synflaw_audit.text.tokens import Ids, Ints, Mask, extended, utf8

ROWS = 20_000  # distinct pairs kept
BYTES = 16_000_000  # of text kept, whatever the number of rows
HASHES = 65_536  # distinct answers whose number of records is kept
LABEL_WORDS, LABEL_BYTES = 3, 32


def hashes_of(texts: pa.Array) -> Ids:
    """The XXH64 of each text: uint64 [texts]."""
    return digests(*utf8(texts))


def labels_of(texts: pa.Array) -> Mask:
    """Which texts are too short to be more than a label: at most three words, 32 bytes."""
    texts = texts.cast(pa.large_string())
    short = np.asarray(pc.binary_length(texts)) <= LABEL_BYTES
    return short & (np.asarray(pc.count_substring(texts, " ")) < LABEL_WORDS)


def _gathered(hashes: Ids, counts: Ints) -> tuple[Ids, Ints, Ints]:
    """Distinct hashes in order, their summed counts, and where each was first seen."""
    distinct, first, place = np.unique(hashes, return_index=True, return_inverse=True)
    return distinct, np.bincount(place, counts, len(distinct)).astype(np.int64), first


@dataclass(frozen=True)
class Hashes:
    """Bottom-k sample of distinct values: their hashes and exact numbers of records.

    Attributes:
        hash: uint64 [values], ascending.
        count: int64 [values].
        size: The most values kept.
    """

    hash: Ids = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    count: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    size: int = HASHES

    def added(self, hashes: Ids, counts: Ints) -> Hashes:
        """The sample with further values in it."""
        if len(self.hash) == self.size:
            below = hashes <= self.hash[-1]
            hashes, counts = hashes[below], counts[below]
        distinct, count, _ = _gathered(
            np.concatenate([self.hash, hashes]), np.concatenate([self.count, counts])
        )
        return Hashes(distinct[: self.size], count[: self.size], self.size)


@dataclass(frozen=True, eq=False)
class Sketch:
    """The summary of a corpus. Equal corpora have equal sketches, however they were read.

    Attributes:
        records: Records seen.
        characters: Characters of all answers seen.
        hash: uint64 [rows], ascending, of each kept distinct pair.
        count: int64 [rows], records that each stands for.
        question: Arrow string array [rows].
        answer: Arrow string array [rows].
        answers: Sample of the distinct answers, those left out that are no more than a label.
        labels: Records whose answer is no more than a label.
        beyond: The least hash of a pair that was left out; None if there is none.
    """

    records: int = 0
    characters: int = 0
    hash: Ids = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    count: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    question: pa.Array = field(default_factory=lambda: pa.array([], pa.large_string()))
    answer: pa.Array = field(default_factory=lambda: pa.array([], pa.large_string()))
    answers: Hashes = field(default_factory=Hashes)
    labels: int = 0
    beyond: int | None = None
    rows: int = ROWS
    size: int = BYTES

    def __len__(self) -> int:
        return len(self.hash)

    @property
    def complete(self) -> bool:
        """No distinct pair was left out."""
        return self.beyond is None

    def added(self, batch: pa.RecordBatch) -> Sketch:
        """The summary with a batch of records (schema ``records.RECORDS``) in it."""
        sketcher = Sketcher(self)
        sketcher.add(batch)
        return sketcher.sketch()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sketch):
            return NotImplemented
        return (
            (self.records, self.characters, self.labels, self.beyond, self.rows, self.size)
            == (
                other.records,
                other.characters,
                other.labels,
                other.beyond,
                other.rows,
                other.size,
            )
            and np.array_equal(self.hash, other.hash)
            and np.array_equal(self.count, other.count)
            and self.question.equals(other.question)
            and self.answer.equals(other.answer)
            and np.array_equal(self.answers.hash, other.answers.hash)
            and np.array_equal(self.answers.count, other.answers.count)
        )

    __hash__ = None  # type: ignore[assignment]


class Sketcher:
    """Sketches a corpus batch by batch.

    Once the sample is full few rows of a batch can enter it. They wait until they are as many as
    the sample, so that it is not rebuilt for every batch.
    """

    def __init__(self, sketch: Sketch | None = None) -> None:
        """Goes on from a sketch, or begins with an empty one."""
        self._sketch = Sketch() if sketch is None else sketch
        self._waiting: list[Sketch] = []
        self._rows = self._bytes = 0
        self.records = self._sketch.records

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes a batch of records (schema ``records.RECORDS``)."""
        new = self._of(batch)
        self._waiting.append(new)
        self.records += new.records
        self._rows += len(new)
        self._bytes += new.question.nbytes + new.answer.nbytes
        if self._rows >= self._sketch.rows or self._bytes >= self._sketch.size:
            self.sketch()

    def sketch(self) -> Sketch:
        """The sketch of all batches so far."""
        if self._waiting:
            self._sketch = merge(self._sketch, _together(self._waiting))
            self._waiting, self._rows, self._bytes = [], 0, 0
        return self._sketch

    def _of(self, batch: pa.RecordBatch) -> Sketch:
        """The batch's totals, and those of its rows that may enter the sample, unsorted."""
        sample = self._sketch
        question, answer = (
            batch.column(name).cast(pa.large_string()) for name in ("question", "answer")
        )
        replied, label = hashes_of(answer), labels_of(answer)
        hashes = extended(extended(np.zeros_like(replied), hashes_of(question)), replied)
        rows = None if sample.beyond is None else np.flatnonzero(hashes < np.uint64(sample.beyond))
        told = replied[~label]
        if len(sample.answers.hash) == sample.answers.size:
            told = told[told <= sample.answers.hash[-1]]
        return Sketch(
            records=len(hashes),
            characters=int(pc.sum(pc.utf8_length(answer)).as_py() or 0),
            hash=hashes if rows is None else hashes[rows],
            count=np.ones(len(hashes) if rows is None else len(rows), dtype=np.int64),
            question=question if rows is None else question.take(pa.array(rows)),
            answer=answer if rows is None else answer.take(pa.array(rows)),
            answers=Hashes(told, np.ones(len(told), dtype=np.int64), sample.answers.size),
            labels=int(label.sum()),
            rows=sample.rows,
            size=sample.size,
        )


def _together(parts: list[Sketch]) -> Sketch:
    """Parts end to end, as one part to merge; their rows may be unsorted and recur."""
    first = parts[0]
    hashes, counts = (
        np.concatenate([getattr(part.answers, name) for part in parts])
        for name in ("hash", "count")
    )
    return Sketch(
        records=sum(part.records for part in parts),
        characters=sum(part.characters for part in parts),
        hash=np.concatenate([part.hash for part in parts]),
        count=np.concatenate([part.count for part in parts]),
        question=pa.concat_arrays([part.question for part in parts]),
        answer=pa.concat_arrays([part.answer for part in parts]),
        answers=Hashes(hashes, counts, first.answers.size),
        labels=sum(part.labels for part in parts),
        rows=first.rows,
        size=first.size,
    )


def merge(left: Sketch, right: Sketch) -> Sketch:
    """The summary of two corpora together. Associative and commutative.

    Raises:
        ValueError: If the two were made with different sizes.
    """
    if (left.rows, left.size, left.answers.size) != (right.rows, right.size, right.answers.size):
        raise ValueError("only sketches of one size can be merged")
    hashes = np.concatenate([left.hash, right.hash])
    # From the first pair that a side has left out, the union is not known.
    limits = [side.beyond for side in (left, right) if side.beyond is not None]
    known = np.flatnonzero(hashes < np.uint64(min(limits))) if limits else np.arange(len(hashes))
    counts = np.concatenate([left.count, right.count])[known]
    distinct, count, first = _gathered(hashes[known], counts)
    first = known[first[: left.rows]]
    question, answer = (
        pa.chunked_array([getattr(left, name), getattr(right, name)])
        .take(pa.array(first))
        .combine_chunks()
        for name in ("question", "answer")
    )
    length = pc.add(pc.binary_length(question), pc.binary_length(answer)).to_numpy()
    kept = int(np.searchsorted(np.cumsum(length), left.size, side="right"))
    kept = min(max(kept, 1), len(first))  # one row is kept however long it is
    return Sketch(
        records=left.records + right.records,
        characters=left.characters + right.characters,
        labels=left.labels + right.labels,
        hash=distinct[:kept],
        count=count[:kept],
        question=question[:kept],
        answer=answer[:kept],
        answers=left.answers.added(right.answers.hash, right.answers.count),
        beyond=int(distinct[kept]) if kept < len(distinct) else min(limits, default=None),
        rows=left.rows,
        size=left.size,
    )
