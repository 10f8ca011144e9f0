"""Which questions stand in several places, and with which answers: kept in bounded memory.

A question is kept where its hash is among the smallest ones (bottom-k, Broder 1997), with every
place where it stands, whatever part of the corpus that is. So two parts of a corpus keep the same
of the questions that they share, and shares among the questions kept estimate those among all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.sample.sketch import hashes_of, labels_of, mixed
from synflaw_audit.text.tokens import Ids, Ints, Mask

QUESTIONS = 1 << 15
# Of one question in one file, so many different answers are kept.
_ANSWERS = 4
_ALL = np.uint64(2**64 - 1)
ARRAYS = ("question", "answer", "label", "file", "row")


@dataclass(frozen=True, eq=False)
class Repeats:
    """The questions kept, one entry for each different answer that a file gives to one.

    Attributes:
        question: Its hash, spread evenly: uint64 [entries], ascending.
        answer: The answer's: uint64 [entries].
        label: Whether the answer is no more than a label, such as "Yes": bool [entries].
        file: The number of the file among ``files``: int64 [entries].
        row: Where in the file it first stands so: int64 [entries].
        files: Named as in the records.
        beyond: Hashes above this one are not kept; the largest there can be if all are.
    """

    question: Ids = field(default_factory=lambda: np.empty(0, np.uint64))
    answer: Ids = field(default_factory=lambda: np.empty(0, np.uint64))
    label: Mask = field(default_factory=lambda: np.empty(0, bool))
    file: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    row: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    files: tuple[str, ...] = ()
    beyond: int = int(_ALL)

    @property
    def complete(self) -> bool:
        """Whether every question is kept."""
        return self.beyond == int(_ALL)

    def crowded(self) -> Ids:
        """The questions to which some file gives as many answers as are kept, or more."""
        several = np.arange(len(self.question))[_ANSWERS - 1 :]
        same = _repeated(self.question, self.file)
        run = np.ones(len(several), dtype=bool)
        for step in range(_ANSWERS - 1):
            run &= same[several - step]
        return self.question[several[run]]

    def merged(self, other: Repeats) -> Repeats:
        """Both parts of a corpus together, in whatever order."""
        return _joined([self, other])

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """The arrays by name, to be kept in a file."""
        return ((name, getattr(self, name)) for name in ARRAYS)


class RepeatsSketcher:
    """Keeps the questions of records that come batch by batch."""

    def __init__(self, before: Repeats | None = None) -> None:
        """Goes on from what is kept already, or begins with nothing."""
        self._kept = before or Repeats()
        self._waiting: list[Repeats] = []
        self._entries = 0

    def add(self, records: pa.RecordBatch) -> None:
        """Takes a batch of records (schema ``records.RECORDS``)."""
        part = _of(records, self._kept.beyond)
        if len(part.question):
            self._waiting.append(part)
            self._entries += len(part.question)
        if self._entries >= QUESTIONS // 2:  # to sort all of them for every batch is slow
            self.repeats()

    def repeats(self) -> Repeats:
        """What was taken so far."""
        if self._waiting:
            self._kept = _joined([self._kept, *self._waiting])
            self._waiting, self._entries = [], 0
        return self._kept


def _joined(parts: Sequence[Repeats]) -> Repeats:
    files = tuple(sorted({name for part in parts for name in part.files}))
    number = {name: place for place, name in enumerate(files)}
    columns: dict[str, list[Any]] = {name: [] for name in ARRAYS}
    for part in parts:
        places = np.array([number[name] for name in part.files], dtype=np.int64)
        renamed = {"file": places[part.file]} if len(places) else {}
        for name, array in (dict(part.arrays()) | renamed).items():
            columns[name].append(array)
    joined = {name: np.concatenate(arrays) for name, arrays in columns.items()}
    return _least(joined, files, min(part.beyond for part in parts))


def _of(records: pa.RecordBatch, beyond: int) -> Repeats:
    question, answer = records.column("question"), records.column("answer")
    hashes = mixed(hashes_of(question))
    kept = np.flatnonzero(
        (hashes <= np.uint64(beyond)) & ~np.asarray(pc.equal(question, "").to_numpy(False))
    )
    if not len(kept):
        return Repeats(beyond=beyond)
    chosen = pa.array(kept)
    answers = answer.take(chosen)
    files = records.column("file").take(chosen).dictionary_encode()
    arrays = {
        "question": hashes[kept],
        "answer": hashes_of(answers),
        "label": labels_of(answers),
        "file": np.asarray(files.indices, dtype=np.int64),
        "row": np.asarray(records.column("row").take(chosen), dtype=np.int64),
    }
    return _least(arrays, tuple(files.dictionary.to_pylist()), beyond)


def _least(arrays: dict[str, Any], files: tuple[str, ...], beyond: int) -> Repeats:
    """The entries of the questions with the smallest hashes, each answer of a file once."""
    order = np.lexsort([arrays[name] for name in ("row", "answer", "file", "question")])
    order = order[arrays["question"][order] <= np.uint64(beyond)]
    columns = {name: array[order] for name, array in arrays.items()}
    same = _repeated(columns["question"], columns["file"], columns["answer"])
    columns = {name: array[~same] for name, array in columns.items()}
    start = ~_repeated(columns["question"], columns["file"])
    place = np.arange(len(start)) - np.maximum.accumulate(np.where(start, np.arange(len(start)), 0))
    columns = {name: array[place < _ANSWERS] for name, array in columns.items()}
    first = np.flatnonzero(~_repeated(columns["question"]))
    if len(first) > QUESTIONS:
        end = int(first[QUESTIONS])
        columns = {name: array[:end] for name, array in columns.items()}
        beyond = int(columns["question"][-1])
    used, number = np.unique(columns["file"], return_inverse=True)
    columns["file"] = number.astype(np.int64)
    return Repeats(**columns, files=tuple(files[place] for place in used), beyond=beyond)


def _repeated(*keys: Any) -> Mask:
    """Which entries of sorted columns have the same keys as the one before."""
    same = np.zeros(len(keys[0]), dtype=bool)
    if len(same) > 1:
        same[1:] = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    return same
