import pickle
from functools import reduce
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synflaw_audit.records import RECORDS
from synflaw_audit.sample.sketch import Hashes, Sketch, merge

pairs = st.tuples(st.sampled_from(["", "a", "b?"]), st.text(alphabet="xyé 好", max_size=60))
corpora = st.lists(pairs, max_size=30)


def batch(rows: list[tuple[str, str]]) -> pa.RecordBatch:
    count = len(rows)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(["f"] * count, pa.string()),
            pa.array(range(count), pa.int64()),
            pa.array([0] * count, pa.int32()),
            pa.array([q for q, _ in rows], pa.string()),
            pa.array([a for _, a in rows], pa.string()),
        ],
        schema=RECORDS,
    )


def small() -> Sketch:
    """A sketch that overflows soon, in rows, in bytes and in hashes."""
    return Sketch(rows=6, size=120, answers=Hashes(size=5))


@given(corpora, st.randoms())
@example([("", "x" * 55), ("a", "x" * 60), ("", "a"), ("a", "b"), ("b?", "c")], Random(0))  # noqa: S311
@settings(max_examples=300)
def test_neither_order_nor_shards_matter(rows: list[tuple[str, str]], random: object) -> None:
    whole = small().added(batch(rows))
    mixed = list(rows)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    one_by_one = reduce(lambda sketch, row: sketch.added(batch([row])), mixed, small())
    assert one_by_one == whole


@given(corpora, corpora, corpora)
def test_merging_is_associative_and_commutative(
    one: list[tuple[str, str]], two: list[tuple[str, str]], three: list[tuple[str, str]]
) -> None:
    a, b, c = (small().added(batch(rows)) for rows in (one, two, three))
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, small()) == a


@given(corpora)
def test_counts_of_kept_rows_are_exact(rows: list[tuple[str, str]]) -> None:
    sketch = small().added(batch(rows))
    kept = zip(sketch.question.to_pylist(), sketch.answer.to_pylist(), strict=True)
    for pair, count in zip(kept, sketch.count, strict=True):
        assert rows.count(pair) == count
    assert sketch.records == len(rows)
    assert sketch.characters == sum(len(a) for _, a in rows)
    assert sketch.complete == (len(sketch) == len(set(rows)))


@given(corpora)
def test_sizes_are_kept(rows: list[tuple[str, str]]) -> None:
    sketch = small().added(batch(rows))
    assert len(sketch) <= 6
    assert len(sketch.answers.hash) <= 5
    size = sum(
        len((q + a).encode())
        for q, a in zip(sketch.question.to_pylist(), sketch.answer.to_pylist(), strict=True)
    )
    assert size <= 120 or len(sketch) == 1


def test_labels_are_counted_apart() -> None:
    rows = [("q", "Yes"), ("q2", "Yes"), ("q3", "not entailed"), ("q4", "An answer of five words.")]
    sketch = Sketch().added(batch(rows))
    assert sketch.labels == 3
    assert len(sketch.answers.hash) == 1


def test_the_sample_is_uniform_over_distinct_rows() -> None:
    # Every tenth row is marked; a sample of 500 of 20,000 holds about 50 of them.
    rows = [(str(n), f"{'mark' if n % 10 == 0 else 'plain'} {n}") for n in range(20_000)]
    sketch = Sketch(rows=500).added(batch(rows))
    marked = sum(a.startswith("mark") for a in sketch.answer.to_pylist())
    assert 25 <= marked <= 80


def test_pickling() -> None:
    sketch = small().added(batch([("q", "an answer"), ("p", "another")]))
    assert pickle.loads(pickle.dumps(sketch)) == sketch  # noqa: S301


def test_sketches_of_two_sizes_do_not_merge() -> None:
    with pytest.raises(ValueError, match="one size"):
        merge(Sketch(), small())


def test_one_row_is_kept_however_long() -> None:
    sketch = small().added(batch([("q", "x" * 1000)]))
    assert len(sketch) == 1
    assert np.array_equal(sketch.count, [1])
