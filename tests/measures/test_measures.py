"""One contract for every measure, as the shipped checks use it."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synflaw_audit.measures import MEASURES, Batch, Measure, Score
from synflaw_audit.measures.intervals import wilson
from synflaw_audit.records import RECORDS
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import Sketch, merge
from synflaw_audit.text.tokens import tokenize
from synflaw_audit.verdicts.catalogue import Check, load_checks

CHECKS = load_checks()


def records(rows: pd.DataFrame) -> pa.RecordBatch:
    frame = pd.DataFrame(
        {
            "file": "f",
            "row": range(len(rows)),
            "turn": 0,
            "question": list(rows["question"]),
            "answer": list(rows["answer"]),
        }
    )
    return pa.RecordBatch.from_pandas(frame, schema=RECORDS, preserve_index=False)


def corpus(rows: pd.DataFrame, pieces: int = 1) -> Corpus:
    sketch = Sketch()
    for piece in np.array_split(np.arange(len(rows)), pieces):
        sketch = merge(Sketch().added(records(rows.iloc[piece])), sketch)
    return Corpus(sketch)


@pytest.fixture(params=CHECKS, ids=lambda check: check.name)
def measure(request: pytest.FixtureRequest) -> Measure:
    check: Check = request.param
    return MEASURES[check.measure](**check.params)


@pytest.fixture(scope="module", params=["natural", "templated", "both", "one answer", "labels"])
def rows(request: pytest.FixtureRequest) -> pd.DataFrame:
    natural, templated = (
        request.getfixturevalue(name).head(700) for name in ("natural", "templated")
    )
    questions = natural["question"]
    return {
        "natural": natural,
        "templated": templated,
        "both": pd.concat([natural, templated]),
        "one answer": pd.DataFrame({"question": questions, "answer": "I cannot help with that."}),
        "labels": pd.DataFrame({"question": questions, "answer": ["yes", "no"] * 350}),
    }[str(request.param)]


def same(one: Score, other: Score) -> bool:
    values = [(s.value, s.low, s.high) for s in (one, other)]
    return bool(np.allclose(*values, rtol=0, atol=1e-12))


def test_the_score_lies_in_its_interval_in_the_unit_interval(
    measure: Measure, rows: pd.DataFrame
) -> None:
    seen = corpus(rows)
    score = measure.score(seen)
    assert 0 <= score.low <= score.value <= score.high <= 1
    assert score.rows is None or 0 < score.rows <= len(seen)


def test_shards_and_order_do_not_matter(measure: Measure, rows: pd.DataFrame) -> None:
    mixed = rows.sample(frac=1, random_state=1)
    assert same(measure.score(corpus(rows)), measure.score(corpus(mixed, pieces=5)))


def test_an_empty_corpus_scores_nothing(measure: Measure) -> None:
    score = measure.score(Corpus(Sketch()))
    assert (score.value, score.low, score.high) == (0, 0, 1)


@pytest.mark.parametrize("answer", ["", "x", "!!!", "好", "\n", "1"])
def test_a_single_row_is_survived(measure: Measure, answer: str) -> None:
    score = measure.score(corpus(pd.DataFrame({"question": ["q"], "answer": [answer]})))
    assert 0 <= score.low <= score.value <= score.high <= 1


def test_measures_can_be_pickled_and_compared(measure: Measure) -> None:
    assert pickle.loads(pickle.dumps(measure)) == measure  # noqa: S301


def test_marks_speak_of_the_rows_the_score_counts(measure: Measure, rows: pd.DataFrame) -> None:
    seen = corpus(rows)
    marker = measure.marker(seen)
    if marker is None:
        return
    marker = pickle.loads(pickle.dumps(marker))  # noqa: S301
    marks = marker.mark(batch(rows))
    score = measure.score(seen).value
    assert (marks.mask == (marks.label >= 0)).all()
    assert ((marks.strength > 0) == marks.mask).all()
    assert (marks.strength <= 1).all()
    assert len(marks.labels) == len(marks.templates) > marks.label.max()
    covered = marks.covered & ~marks.mask[batch(rows).tokens.row]
    assert not covered.any()
    assert score > 0 or not marks.mask.any()
    if score > 0.3:
        assert marks.mask.mean() > 0.3


def test_a_row_is_marked_the_same_in_any_batch(measure: Measure, rows: pd.DataFrame) -> None:
    marker = measure.marker(corpus(rows))
    if marker is None:
        return
    whole = marker.mark(batch(rows)).mask
    pieces = [marker.mark(batch(rows.iloc[i : i + 97])).mask for i in range(0, len(rows), 97)]
    assert (np.concatenate(pieces) == whole).all()


@pytest.mark.parametrize("name", ["natural", "templated"])
def test_half_a_corpus_scores_as_the_whole(
    measure: Measure, name: str, request: pytest.FixtureRequest
) -> None:
    whole = request.getfixturevalue(name)
    half = whole.sample(frac=0.5, random_state=2)
    assert measure.score(corpus(half)).value == pytest.approx(
        measure.score(corpus(whole)).value, abs=0.05
    )


def batch(rows: pd.DataFrame) -> Batch:
    table = records(rows)
    return Batch(table, tokenize(table.column("answer")))


def test_every_measure_is_used_by_a_check() -> None:
    assert {check.measure for check in CHECKS} == set(MEASURES)


@pytest.mark.parametrize(
    ("part", "whole", "sample", "low", "high"),
    [(0, 100, 100, 0.0, 0.0370), (50, 100, 100, 0.4038, 0.5962), (100, 100, 100, 0.9630, 1.0)],
)
def test_wilson_interval(part: int, whole: int, sample: int, low: float, high: float) -> None:
    # Values of the formula as tabulated, for instance by statsmodels.
    assert wilson(part / whole, sample, 10**9) == pytest.approx((low, high), abs=1e-4)
