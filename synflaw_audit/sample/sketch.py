"""What pass 1 keeps of a corpus: a bounded, mergeable summary that every measure reads.

The summary is a *uniform random sample of the records*. Each record has a priority, which is a hash
of where it stands (file, row, turn) and of what it says, and the records of the least priorities
are kept (bottom-k sampling: Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC
2007; that such samples merge: Agarwal et al., "Mergeable summaries", PODS 2012, section 2). A share
of the sample is an unbiased estimate of the share of the records, whatever is copied how often, and
``merge`` is associative and commutative: neither the order of rows nor how they are spread over
partitions, machines or interrupted runs changes anything.

**Why not distinct rows with their counts?** Which of these are kept is independent of their counts,
so that a row which makes up half of the corpus is most likely left out, and where it is not it
makes up far more than half of the sample; no exact count mends that. To keep rows in proportion to
their counts is impossible without their places: a bounded summary that knows but what rows say must
drop a row of a partition before it can know that other partitions hold more of it.

**What is certain to be seen.** Of the answers there is a larger sample, of hashes alone, as a
summary of heavy hitters. It misses an answer that makes up a share s of the records with a
probability of at most (1 - s) ** ``HASHES``: less than 1e-28 for a thousandth, less than that two
answers of a large corpus have one hash. Counters such as those of Misra and Gries would bound that
with certainty, but which they keep depends on the order of merges. An answer of a share s is
counted with a standard error of sqrt(s (1 - s) / ``HASHES``); up to ``HASHES`` records it is exact.

A file is known by its name without the folders, so that a corpus may be moved, or named from
somewhere else, and keeps its sample. The seed of the priorities draws another sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.text.kernels.text import digests
from synflaw_audit.text.tokens import Ids, Ints, Mask, extended, factorized, utf8

ROWS = 20_000  # records kept
BYTES = 16_000_000  # of their text, whatever the number of records
HASHES = 65_536  # records whose answer's hash is kept
LABEL_WORDS, LABEL_BYTES = 3, 32


def hashes_of(texts: pa.Array) -> Ids:
    """The XXH64 of each text: uint64 [texts]."""
    return digests(*utf8(texts))


def labels_of(texts: pa.Array) -> Mask:
    """Which texts are too short to be more than a label: at most three words, 32 bytes."""
    texts = texts.cast(pa.large_string())
    short = np.asarray(pc.binary_length(texts)) <= LABEL_BYTES
    return short & (np.asarray(pc.count_substring(texts, " ")) < LABEL_WORDS)


def mixed(values: Ids) -> Ids:
    """Values of which every bit depends on all bits of the given (the finalizer of splitmix64).

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def seeded(seed: int, rows: int) -> Ids:
    """What the hashes of a draw begin with: uint64 [rows]."""
    return mixed(np.full(rows, seed % 2**64, dtype=np.uint64))


def _priorities(batch: pa.RecordBatch, asked: Ids, replied: Ids, seed: int) -> Ids:
    """The priority of each record: uint64 [rows], as good as drawn at random."""
    code, files = factorized(batch.column("file"))
    names = [name.replace("\\", "/").rpartition("/")[2] for name in files.to_pylist()]
    place = extended(seeded(seed, batch.num_rows), hashes_of(pa.array(names, pa.string()))[code])
    for name in ("row", "turn"):
        place = extended(place, np.asarray(batch.column(name)).astype(np.uint64))
    return mixed(extended(extended(place, asked), replied))


def _least(priority: Ids, count: Ints) -> tuple[Ids, Ints, Ints]:
    """Distinct priorities, ascending, their summed counts, and where each was first seen."""
    distinct, first, place = np.unique(priority, return_index=True, return_inverse=True)
    return distinct, np.bincount(place, count, len(distinct)).astype(np.int64), first


@dataclass(frozen=True)
class AnswerSample:
    """A uniform sample of the records by their answers' hashes.

    Attributes:
        priority: uint64 [entries], ascending.
        question: uint64 [entries], hash of the question.
        answer: uint64 [entries], hash of the answer.
        count: int64 [entries], see ``Sketch``.
        size: The most entries kept.
    """

    priority: Ids = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    question: Ids = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    answer: Ids = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    count: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    size: int = HASHES

    @property
    def records(self) -> int:
        """Records in the sample."""
        return int(self.count.sum())

    def distinct(self) -> tuple[Ids, Ints, Ints]:
        """The distinct answers, how many records of the sample give each, and which each entry."""
        known, place = np.unique(self.answer, return_inverse=True)
        return known, np.bincount(place, self.count, len(known)).astype(np.int64), place

    def below(self, priority: Ids) -> Mask:
        """Which records of these priorities may enter the sample."""
        if len(self.priority) < self.size:
            return np.ones(len(priority), dtype=bool)
        return np.asarray(priority <= self.priority[-1])

    def merged(self, other: AnswerSample) -> AnswerSample:
        """The sample of the records of both."""
        both = _end_to_end([self, other])
        distinct, count, first = _least(both.priority, both.count)
        first = first[: self.size]
        return replace(both.where(first), priority=distinct[: self.size], count=count[: self.size])

    def where(self, kept: Mask | Ints) -> AnswerSample:
        """The entries that a mask keeps or indices choose."""
        priority, question, answer, count = (getattr(self, name)[kept] for name in ANSWER_ARRAYS)
        return AnswerSample(priority, question, answer, count, self.size)


ANSWER_ARRAYS = ("priority", "question", "answer", "count")


def _end_to_end(parts: Sequence[AnswerSample]) -> AnswerSample:
    priority, question, answer, count = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ANSWER_ARRAYS
    )
    return AnswerSample(priority, question, answer, count, parts[0].size)


@dataclass(frozen=True, eq=False)
class Sketch:
    """The summary of a corpus. Equal corpora have equal sketches, however they were read.

    Attributes:
        records: Records seen.
        characters: Characters of all answers seen.
        priority: uint64 [entries], ascending, of the sampled records.
        count: int64 [entries], records of this priority: one, but where files of one name hold
            the same record at the same place.
        question: Arrow string array [entries].
        answer: Arrow string array [entries].
        answers: Sample of the answers, those left out that are no more than a label.
        labels: Records whose answer is no more than a label.
        beyond: The least priority of a record that was left out; None if there is none.
        rows: The most records sampled.
        size: The most bytes of their text.
        seed: Of the priorities.
    """

    records: int = 0
    characters: int = 0
    priority: Ids = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    count: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    question: pa.Array = field(default_factory=lambda: pa.array([], pa.large_string()))
    answer: pa.Array = field(default_factory=lambda: pa.array([], pa.large_string()))
    answers: AnswerSample = field(default_factory=AnswerSample)
    labels: int = 0
    beyond: int | None = None
    rows: int = ROWS
    size: int = BYTES
    seed: int = 0

    def __len__(self) -> int:
        return len(self.priority)

    @property
    def complete(self) -> bool:
        """Every record is in the sample."""
        return self.beyond is None

    def added(self, batch: pa.RecordBatch) -> Sketch:
        """The summary with a batch of records (schema ``records.RECORDS``) in it."""
        sketcher = Sketcher(self)
        sketcher.add(batch)
        return sketcher.sketch()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sketch):
            return NotImplemented
        totals = ("records", "characters", "labels", "beyond", "rows", "size", "seed")
        arrays = [
            (getattr(mine, name), getattr(theirs, name))
            for mine, theirs, names in (
                (self, other, ("priority", "count")),
                (self.answers, other.answers, ANSWER_ARRAYS),
            )
            for name in names
        ]
        return (
            all(getattr(self, name) == getattr(other, name) for name in totals)
            and all(np.array_equal(mine, theirs) for mine, theirs in arrays)
            and self.question.equals(other.question)
            and self.answer.equals(other.answer)
        )

    __hash__ = None  # type: ignore[assignment]


EMPTY = Sketch()


class Sketcher:
    """Sketches a corpus batch by batch.

    Once the sample is full few rows of a batch can enter it. They wait until they are as many as
    the sample, so that it is not rebuilt for every batch.
    """

    def __init__(self, sketch: Sketch = EMPTY) -> None:
        """Goes on from a sketch."""
        self._sketch = sketch
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
        asked, replied, label = hashes_of(question), hashes_of(answer), labels_of(answer)
        priority = _priorities(batch, asked, replied, sample.seed)
        rows = None
        if sample.beyond is not None:
            rows = np.flatnonzero(priority < np.uint64(sample.beyond))
        chosen = np.flatnonzero(~label & sample.answers.below(priority))
        once = np.ones(batch.num_rows, dtype=np.int64)
        return Sketch(
            records=len(priority),
            characters=int(pc.sum(pc.utf8_length(answer)).as_py() or 0),
            priority=priority if rows is None else priority[rows],
            count=once if rows is None else once[rows],
            question=question if rows is None else question.take(pa.array(rows)),
            answer=answer if rows is None else answer.take(pa.array(rows)),
            answers=AnswerSample(
                priority[chosen], asked[chosen], replied[chosen], once[chosen], sample.answers.size
            ),
            labels=int(label.sum()),
            rows=sample.rows,
            size=sample.size,
            seed=sample.seed,
        )


def _together(parts: list[Sketch]) -> Sketch:
    """Parts end to end, as one part to merge; their rows may be unsorted and recur."""
    first = parts[0]
    return Sketch(
        records=sum(part.records for part in parts),
        characters=sum(part.characters for part in parts),
        priority=np.concatenate([part.priority for part in parts]),
        count=np.concatenate([part.count for part in parts]),
        question=pa.concat_arrays([part.question for part in parts]),
        answer=pa.concat_arrays([part.answer for part in parts]),
        answers=_end_to_end([part.answers for part in parts]),
        labels=sum(part.labels for part in parts),
        rows=first.rows,
        size=first.size,
        seed=first.seed,
    )


def merge(left: Sketch, right: Sketch) -> Sketch:
    """The summary of two corpora together. Associative and commutative.

    Raises:
        ValueError: If the two were made with different sizes or seeds.
    """
    made = [(side.rows, side.size, side.answers.size, side.seed) for side in (left, right)]
    if made[0] != made[1]:
        raise ValueError("only sketches of one size and seed can be merged")
    priority = np.concatenate([left.priority, right.priority])
    # From the first record that a side has left out, the union is not known.
    limits = [side.beyond for side in (left, right) if side.beyond is not None]
    below = min(limits, default=None)
    known = np.arange(len(priority))
    if below is not None:
        known = np.flatnonzero(priority < np.uint64(below))
    counts = np.concatenate([left.count, right.count])[known]
    distinct, count, first = _least(priority[known], counts)
    # Records of one priority are kept or left out together.
    fits = max(int(np.searchsorted(np.cumsum(count), left.rows, side="right")), 1)
    first = known[first[:fits]]
    question, answer = (
        pa.chunked_array([getattr(left, name), getattr(right, name)])
        .take(pa.array(first))
        .combine_chunks()
        for name in ("question", "answer")
    )
    length = pc.add(pc.binary_length(question), pc.binary_length(answer)).to_numpy()
    kept = int(np.searchsorted(np.cumsum(length * count[:fits]), left.size, side="right"))
    kept = min(max(kept, 1), len(first))  # one record is kept however long it is
    return Sketch(
        records=left.records + right.records,
        characters=left.characters + right.characters,
        labels=left.labels + right.labels,
        priority=distinct[:kept],
        count=count[:kept],
        question=question[:kept],
        answer=answer[:kept],
        answers=left.answers.merged(right.answers),
        beyond=int(distinct[kept]) if kept < len(distinct) else below,
        rows=left.rows,
        size=left.size,
        seed=left.seed,
    )
