"""Whether a corpus is the same in both passes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.engines.contents import Contents, combined, content_of, require_same
from synflaw_audit.engines.passes import PassCounts, mark_rows, sketch_rows
from synflaw_audit.errors import InputError
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.reading.schemas import Pair
from synflaw_audit.reading.tables import DataFrameInput
from synflaw_audit.records import record_batch

PAIRS = st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=6)


def records(pairs: Sequence[tuple[str, str]], file: str = "a") -> pa.RecordBatch:
    size = len(pairs)
    places = {"file": [file] * size, "row": range(size), "turn": [0] * size}
    questions, answers = ([pair[n] for pair in pairs] for n in (0, 1))
    return record_batch({**places, "question": questions, "answer": answers})


@given(PAIRS, PAIRS)
def test_parts_add_up_in_any_order(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    parts = [content_of(records(part)) for part in (one, other)]
    assert combined(*parts) == combined(*reversed(parts)) == content_of(records([*other, *one]))


@given(PAIRS.filter(len), st.tuples(st.text(max_size=4), st.text(max_size=4)))
def test_another_row_is_another_content(pairs: list[tuple[str, str]], new: tuple[str, str]) -> None:
    changed = [new, *pairs[1:]]
    assert (content_of(records(changed)) == content_of(records(pairs))) == (new == pairs[0])


def test_question_and_answer_are_not_one_text() -> None:
    assert content_of(records([("a", "b")])) != content_of(records([("b", "a")]))
    assert content_of(records([("ab", "")])) != content_of(records([("a", "b")]))


@pytest.mark.parametrize("ordered", [True, False])
def test_the_order_counts_in_files_alone(ordered: bool) -> None:
    digests = []
    for pairs in ([("a", "b"), ("c", "d")], [("c", "d"), ("a", "b")]):
        contents = Contents(ordered=ordered)
        contents.add(records(pairs))
        digests.append(contents.digests())
    if ordered:
        with pytest.raises(InputError, match="a: changed while it was audited"):
            require_same(*digests)
    else:
        require_same(*digests)


def test_both_passes_of_parts_see_one_content(natural: pd.DataFrame) -> None:
    frame, schema = natural.head(90), Pair("question", "answer")
    parts = [DataFrameInput("rows", frame.iloc[start : start + 30]) for start in (0, 30, 60)]
    first = sketch_rows(parts, schema)
    counts = PassCounts()
    for batch, mask, flagged, tokens in mark_rows(reversed(parts), schema, Flagger(())):
        counts = counts.added(batch, tokens, flagged, int(mask.sum()))
    assert counts.content == first.content != 0
