"""What is taken for granted of a measure; a part is a measure: the parameters, filled in.

Order and sharding must not change a score, no corpus may break it, and what it marks must agree
with what it scores.
"""

from __future__ import annotations

import pickle
from dataclasses import fields, is_dataclass

import numpy as np

from synflaw_audit.measures.base import Measure, Score
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import Sketch
from synflaw_audit.testing.assertions import require
from synflaw_audit.testing.corpora import (
    ODD_ANSWERS,
    SAMPLES,
    batch,
    corpora,
    corpus,
    sample,
    shuffled,
    whole,
)


def check_is_frozen_parameters(measure: Measure) -> None:
    """A measure is a frozen dataclass: it can be hashed, pickled and compared."""
    require(is_dataclass(measure), f"{type(measure).__name__} is no dataclass")
    require(pickle.loads(pickle.dumps(measure)) == measure, "pickling changes it")  # noqa: S301
    require(hash(measure) == hash(pickle.loads(pickle.dumps(measure))), "its hash changes")  # noqa: S301
    for field in fields(measure):  # type: ignore[arg-type]
        try:
            setattr(measure, field.name, getattr(measure, field.name))
        except AttributeError:
            continue
        raise AssertionError(f"the parameter {field.name} can be changed: freeze the dataclass")


def check_score_lies_in_its_interval(measure: Measure) -> None:
    """The score lies in its interval, and that in [0, 1]."""
    for name in corpora():
        seen = whole(name)
        score = measure.score(seen)
        _require_bounded(score, name)
        rows_seen = score.rows
        require(rows_seen is None or 0 < rows_seen <= len(seen), f"{name}: rows is {rows_seen}")


def check_order_and_shards_do_not_matter(measure: Measure) -> None:
    """A corpus in another order, sketched in pieces, has the same score."""
    for name in corpora():
        one, other = measure.score(whole(name)), measure.score(shuffled(name))
        values = [(s.value, s.low, s.high) for s in (one, other)]
        same = np.allclose(values[0], values[1], rtol=0, atol=1e-12)
        require(bool(same), f"{name}: {values[0]} in order, {values[1]} shuffled and in shards")


def check_no_corpus_breaks_it(measure: Measure) -> None:
    """An empty corpus scores 0 within [0, 1]; a corpus of one odd row is survived."""
    empty = measure.score(Corpus(Sketch()))
    found = (empty.value, empty.low, empty.high)
    require(found == (0, 0, 1), f"an empty corpus scores {found}, not (0, 0, 1)")
    for answer in ODD_ANSWERS:
        _require_bounded(measure.score(corpus([("q", answer)])), f"one row {answer!r}")


def check_half_a_corpus_scores_as_the_whole(measure: Measure) -> None:
    """A score is of a corpus, not of its size: the whole's is within the half's interval, about."""
    for name in SAMPLES:
        one, other = (measure.score(sample(name, share)) for share in (1, 0.5))
        near = other.low - TOLERANCE <= one.value <= other.high + TOLERANCE
        require(near, f"{name}: {one.value:.3f}, and {other.value:.3f} of half of it")


def check_marks_agree_with_the_score(measure: Measure) -> None:
    """Marks are of the rows that the score counts, and say which words of them."""
    for name, rows in corpora().items():
        seen, given = whole(name), batch(rows)
        marker = measure.marker(seen)
        if marker is None:
            return
        marks = pickle.loads(pickle.dumps(marker)).mark(given)  # noqa: S301 - to other processes
        score = measure.score(seen).value
        require((marks.mask == (marks.label >= 0)).all(), f"{name}: labels are of other rows")
        require(((marks.strength > 0) == marks.mask).all(), f"{name}: strengths are of other rows")
        require((marks.strength <= 1).all(), f"{name}: a strength is above 1")
        known = len(marks.labels) == len(marks.templates) > marks.label.max(initial=-1)
        require(known, f"{name}: labels and templates do not fit the rows' labels")
        outside = marks.covered & ~marks.mask[given.tokens.row]
        require(not outside.any(), f"{name}: words are covered in rows that are not marked")
        require(score > 0 or not marks.mask.any(), f"{name}: rows are marked, and the score is 0")
        enough = score <= 0.3 or marks.mask.mean() > 0.3
        require(enough, f"{name}: {score:.2f} scored, {marks.mask.mean():.2f} of the rows marked")


def check_a_row_is_marked_the_same_in_any_batch(measure: Measure) -> None:
    """Whether a row is marked does not depend on the rows around it."""
    for name, rows in corpora().items():
        marker = measure.marker(whole(name))
        if marker is None:
            return
        together = marker.mark(batch(rows)).mask
        pieces = [marker.mark(batch(rows[i : i + 97])).mask for i in range(0, len(rows), 97)]
        require(
            (np.concatenate(pieces) == together).all(), f"{name}: other rows are marked in pieces"
        )


# How far the score of a corpus may lie outside the interval of a half of it.
TOLERANCE = 0.05


def _require_bounded(score: Score, name: str) -> None:
    found = (score.low, score.value, score.high)
    # What numpy compares is no bool of Python's, which a report says as a word.
    require(all(type(one) in (float, int) for one in found), f"{name}: not Python's: {found!r}")
    require(0 <= score.low <= score.value <= score.high <= 1, f"{name}: low, value, high: {found}")
