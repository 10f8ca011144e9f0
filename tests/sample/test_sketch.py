import pickle
from functools import reduce
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from records_made import Row, batch, corpora
from scipy.stats import binomtest

from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import AnswerSample, Sketch, merge


def small() -> Sketch:
    """A sketch that overflows soon, in rows, in bytes and in hashes."""
    return Sketch(rows=6, size=120, answers=AnswerSample(size=5))


@given(corpora, st.randoms(), st.booleans())
@example([("", "x" * 55), ("a", "x" * 60), ("", "a"), ("a", "b"), ("b?", "c")], Random(0), False)  # noqa: S311
@settings(max_examples=300)
def test_neither_order_nor_shards_matter(rows: list[Row], random: Random, tied: bool) -> None:
    # Tied: every row stands at one place, as rows of many files of one name and of one row do.
    places = [0 if tied else place for place in range(len(rows))]
    whole = small().added(batch(rows, places))
    mixed = list(zip(rows, places, strict=True))
    random.shuffle(mixed)
    one_by_one = reduce(lambda sketch, at: sketch.added(batch([at[0]], [at[1]])), mixed, small())
    assert one_by_one == whole


@given(corpora, corpora, corpora)
def test_merging_is_associative_and_commutative(
    one: list[Row], two: list[Row], three: list[Row]
) -> None:
    a, b, c = (
        small().added(batch(rows, file=name))
        for rows, name in ((one, "one"), (two, "two"), (three, "two"))
    )
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, small()) == a


@given(corpora)
def test_the_sample_is_of_records(rows: list[Row]) -> None:
    sketch = small().added(batch(rows))
    kept = list(zip(sketch.question.to_pylist(), sketch.answer.to_pylist(), strict=True))
    for pair in kept:
        assert kept.count(pair) <= rows.count(pair)
    assert (sketch.count == 1).all()
    assert sketch.records == len(rows)
    assert sketch.characters == sum(len(a) for _, a in rows)
    assert sketch.complete == (len(sketch) == len(rows))
    if sketch.complete:
        assert sorted(kept) == sorted(rows)


@given(corpora)
def test_sizes_are_kept(rows: list[Row]) -> None:
    sketch = small().added(batch(rows))
    assert len(sketch) <= 6
    assert len(sketch.answers.answer) <= 5
    size = sum(
        len((q + a).encode())
        for q, a in zip(sketch.question.to_pylist(), sketch.answer.to_pylist(), strict=True)
    )
    assert size <= 120 or len(sketch) == 1


def test_labels_are_counted_apart() -> None:
    rows = [("q", "Yes"), ("q2", "Yes"), ("q3", "not entailed"), ("q4", "An answer of five words.")]
    sketch = Sketch().added(batch(rows))
    assert sketch.labels == 3
    assert len(sketch.answers.answer) == 1


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5])
def test_a_copied_row_makes_up_its_share_of_the_sample(share: float) -> None:
    # The row is copied in one place of the corpus, as files that were put together have it.
    records = 100_000
    copied = round(share * records)
    rows = [("q", "the copied answer of them all")] * copied
    rows += [(str(n), f"an answer of its own, {n}") for n in range(records - copied)]
    sketch = Sketch(rows=5000, answers=AnswerSample(size=20_000)).added(batch(rows))
    copies = sum(answer.startswith("the copied") for answer in sketch.answer.to_pylist())
    assert binomtest(copies, len(sketch), share).pvalue > 1e-4
    assert binomtest(int(sketch.answers.distinct()[1].max()), 20_000, share).pvalue > 1e-4


def test_no_place_of_a_file_is_drawn_more_often_than_another() -> None:
    rows = [("q", "one answer, over and over")] * 60_000
    drawn = np.zeros(3)
    for seed in range(20):
        parts = np.array_split(np.arange(60_000), 3)
        sketches = [
            Sketch(rows=600, seed=seed).added(batch(rows[: len(part)], part.tolist()))
            for part in parts
        ]
        least = np.concatenate([sketch.priority for sketch in sketches])
        kept = set(reduce(merge, sketches).priority.tolist())
        drawn += [sum(p in kept for p in sketch.priority.tolist()) for sketch in sketches]
        assert len(np.unique(least)) == 1800
    assert drawn.sum() == 12_000
    assert np.abs(drawn - 4000).max() < 250  # five standard deviations


def test_a_seed_draws_another_sample_and_one_seed_the_same() -> None:
    rows = [(str(n), f"answer {n}") for n in range(1000)]
    one, two, again = (Sketch(rows=100, seed=seed).added(batch(rows)) for seed in (0, 1, 0))
    assert one == again
    common = set(one.answer.to_pylist()) & set(two.answer.to_pylist())
    assert len(common) < 30
    with pytest.raises(ValueError, match="seed"):
        merge(one, two)


def test_a_corpus_may_be_moved() -> None:
    rows = [(str(n), f"answer {n}") for n in range(100)]
    here, there, windows, other = (
        small().added(batch(rows, file=name))
        for name in ("rows.csv", "file:/a/b/rows.csv", "c:\\rows.csv", "others.csv")
    )
    assert here == there == windows
    assert here != other


@given(corpora, st.randoms())
def test_a_whole_corpus_is_seen_alike_whatever_its_order_and_files(
    rows: list[Row], random: Random
) -> None:
    mixed = list(rows)
    random.shuffle(mixed)
    half = len(rows) // 2
    one = Corpus(Sketch().added(batch(rows)))
    two = Corpus(Sketch().added(batch(mixed[half:], file="b")).added(batch(mixed[:half], file="a")))
    for side in ("question", "answer"):
        assert one.texts(side).equals(two.texts(side))
    assert np.array_equal(one.unit, two.unit)
    assert len(one) == len(rows)


def test_the_first_rows_are_a_sample_of_the_records() -> None:
    rows = [("q", "the copied answer of them all")] * 3000
    rows += [(str(n), f"an answer of its own, {n}") for n in range(7000)]
    first = Corpus(Sketch().added(batch(rows))).texts("answer")[:1000].to_pylist()
    copies = sum(answer.startswith("the copied") for answer in first)
    assert binomtest(copies, 1000, 0.3).pvalue > 1e-4


def test_copies_that_stand_at_one_place_are_rows_each() -> None:
    # Folders that hold files of one name and of the same rows.
    rows = [(str(n), f"answer number {n}") for n in range(10)]
    sketch = Sketch()
    for _ in range(3):
        sketch = sketch.added(batch(rows))
    corpus = Corpus(sketch)
    assert len(sketch) == 10
    assert len(corpus) == sketch.records == 30
    assert sorted(corpus.texts("question").to_pylist()) == sorted([q for q, _ in rows] * 3)


def test_one_record_copied_without_end_takes_no_more_than_the_sample_may() -> None:
    sketch = Sketch(rows=50, size=10_000)
    for _ in range(100):
        sketch = sketch.added(batch([("q", "x" * 999)] * 10, [0] * 10))
    assert (sketch.records, len(sketch)) == (1000, 1)
    assert len(Corpus(sketch)) == 10


def test_rows_of_one_question_are_a_unit_unless_it_is_asked_over_and_over() -> None:
    rows = [(f"q{n // 5}", f"answer {n}") for n in range(4000)]
    rows += [("the one question", f"reply {n}") for n in range(500)]
    corpus = Corpus(Sketch().added(batch(rows)))
    asked = np.array(corpus.texts("question").to_pylist())
    size = np.bincount(corpus.unit)
    assert (size[corpus.unit[asked == "the one question"]] == 1).all()
    assert (size[corpus.unit[asked != "the one question"]] == 5).all()
    assert len(size) == 800 + 500


def test_pickling() -> None:
    sketch = small().added(batch([("q", "an answer"), ("p", "another")]))
    assert pickle.loads(pickle.dumps(sketch)) == sketch  # noqa: S301


def test_sketches_of_two_sizes_do_not_merge() -> None:
    with pytest.raises(ValueError, match="one size"):
        merge(Sketch(), small())


def test_one_record_is_kept_however_long() -> None:
    sketch = small().added(batch([("q", "x" * 1000)]))
    assert len(sketch) == 1
    assert np.array_equal(sketch.count, [1])
