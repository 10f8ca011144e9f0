"""The corpora that the suites look at: this project's own, and odd ones."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache

import orjson
import pyarrow as pa

from synflaw_audit.lab.corpora import sample_corpora
from synflaw_audit.measures import Batch
from synflaw_audit.records import record_batch
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import Sketch, merge
from synflaw_audit.text.tokens import tokenize

Rows = Sequence[tuple[str, str]]

ROWS = 700
SAMPLES = ("natural", "templated")
ODD_ANSWERS = ("", "x", "!!!", "好", "\n", "1", "\u202e", "🙂" * 40)


@cache
def corpora() -> Mapping[str, Rows]:
    """Questions and answers by name: natural, templated, both, and two with few answers."""
    natural, templated = (_sample(name)[:ROWS] for name in SAMPLES)
    questions = [question for question, _ in natural]
    return {
        "natural": natural,
        "templated": templated,
        "both": [*natural, *templated],
        "one answer": [(question, "I cannot help with that.") for question in questions],
        "labels": [(question, ("yes", "no")[n % 2]) for n, question in enumerate(questions)],
    }


def records(rows: Rows, first: int = 0) -> pa.RecordBatch:
    """The records of rows, the schema ``records.RECORDS``."""
    columns = {
        "file": ["f"] * len(rows),
        "row": range(first, first + len(rows)),
        "turn": [0] * len(rows),
        "question": [question for question, _ in rows],
        "answer": [answer for _, answer in rows],
    }
    return record_batch(columns)


def corpus(rows: Rows, pieces: int = 1) -> Corpus:
    """A sketched corpus, sketched in pieces that are merged."""
    sketch = Sketch()
    for piece in range(pieces):
        start, stop = (len(rows) * edge // pieces for edge in (piece, piece + 1))
        sketch = merge(Sketch().added(records(rows[start:stop], start)), sketch)
    return Corpus(sketch)


@cache
def whole(name: str) -> Corpus:
    """One of ``corpora``, sketched in order."""
    return corpus(corpora()[name])


@cache
def shuffled(name: str) -> Corpus:
    """The same in another order, and sketched in pieces."""
    mixed = list(corpora()[name])
    random.Random(1).shuffle(mixed)  # noqa: S311 - a reproducible order, not a secret
    return corpus(mixed, pieces=5)


@cache
def sample(name: str, share: float) -> Corpus:
    """A share of all rows of one of ``SAMPLES``, drawn."""
    rows = _sample(name)
    drawn = random.Random(2).sample(rows, round(len(rows) * share))  # noqa: S311 - as above
    return corpus(drawn)


def batch(rows: Rows) -> Batch:
    """A batch of the second pass."""
    table = records(rows)
    return Batch(table, tokenize(table.column("answer")))


@cache
def _sample(name: str) -> list[tuple[str, str]]:
    lines = map(orjson.loads, sample_corpora()[f"{name}.jsonl"].splitlines())
    return [(line["question"], line["answer"]) for line in lines]
