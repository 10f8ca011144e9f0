from __future__ import annotations

import json
import pickle
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.engines.base import FirstPass, Outputs, silent
from synflaw_audit.engines.local.engine import LocalEngine
from synflaw_audit.engines.passes import mark_rows, sketch_rows
from synflaw_audit.errors import InputError
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.measures.templates import TemplateShare
from synflaw_audit.reading import Source
from synflaw_audit.reading.schemas import Pair
from synflaw_audit.reading.tables import DataFrameInput
from synflaw_audit.records import FLAGGED_AND_INDEX
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.settings import Reading

SCHEMA = Pair("question", "answer")


def sketched(frame: pd.DataFrame) -> FirstPass:
    return sketch_rows([DataFrameInput("rows", frame)], SCHEMA)


def flagger(frame: pd.DataFrame) -> Flagger:
    marker = TemplateShare().marker(Corpus(sketched(frame).sketch))
    assert marker is not None
    return Flagger((("answer-template", marker),))


@given(cuts=st.lists(st.integers(0, 300), max_size=4))
def test_parts_merge_to_the_whole(templated: pd.DataFrame, cuts: list[int]) -> None:
    frame = templated.head(300).copy()
    frame.loc[[0, 150], "answer"] = None
    edges = sorted({0, 300, *cuts})
    parts = [sketched(frame.iloc[a:b]) for a, b in pairwise(edges)]
    merged = FirstPass()
    for part in reversed(parts):
        merged = merged.merged(pickle.loads(pickle.dumps(part)))  # noqa: S301 - made just now
    whole = sketched(frame)
    assert merged.sketch.records == whole.sketch.records
    # Rows of a frame have no place but in it; all of them being there, that does not matter.
    for side in ("question", "answer"):
        seen = [Corpus(first.sketch).texts(side) for first in (merged, whole)]  # type: ignore[arg-type]
        assert seen[0].equals(seen[1])
    assert merged.rejected == whole.rejected == 2
    assert "answer is null" in merged.first_rejected


def test_a_part_without_a_readable_row_is_no_error() -> None:
    empty = sketched(pd.DataFrame({"question": ["q"], "answer": [None]}))
    assert (empty.sketch.records, empty.rejected) == (0, 1)


def indexed(frame: pd.DataFrame, index: tuple[str, ...]) -> pa.Table:
    """The flagged rows with their index, as a partition of a cluster finds them."""
    found = mark_rows([DataFrameInput("rows", frame)], SCHEMA, flagger(frame), index)
    return pa.Table.from_batches([flagged for _, _, flagged, _ in found])


def on_this_machine(frame: pd.DataFrame, index: tuple[str, ...]) -> pa.Table:
    engine = LocalEngine(Source((DataFrameInput("rows", frame),), Reading(), 64))
    return engine.second_pass(flagger(frame), Outputs(index=index), silent).rows()


@pytest.mark.parametrize("flag", [indexed, on_this_machine])
def test_flagged_rows_carry_their_index(templated: pd.DataFrame, flag: Any) -> None:
    frame = templated.head(300).assign(key=[f"k{n}" for n in range(300)], day=pd.Timestamp("2024"))
    frame.loc[[5, 130], "answer"] = None
    table = flag(frame, ("key", "day"))
    assert table.schema.equals(FLAGGED_AND_INDEX)
    assert table.num_rows > 100
    for row, index in zip(table["row"].to_pylist(), table["index"].to_pylist(), strict=True):
        assert json.loads(index)["key"] == f"k{row}"
        assert json.loads(index)["day"].startswith("2024")


@pytest.mark.parametrize("flag", [indexed, on_this_machine])
def test_rows_of_mixed_types_carry_their_index_too(templated: pd.DataFrame, flag: Any) -> None:
    frame = templated.head(300).assign(key=[n if n % 2 else f"k{n}" for n in range(300)])
    frame["answer"] = frame["answer"].astype(object)
    frame.loc[[5, 130], "answer"] = 3.5
    table = flag(frame, ("key",))
    assert table.num_rows > 100
    for row, index in zip(table["row"].to_pylist(), table["index"].to_pylist(), strict=True):
        assert json.loads(index)["key"] == frame["key"][row]


@pytest.mark.parametrize("flag", [indexed, on_this_machine])
def test_an_unknown_index_column_is_named_with_the_choices(
    templated: pd.DataFrame, flag: Any
) -> None:
    with pytest.raises(InputError, match=r"'key'; columns: .*answer"):
        flag(templated.head(300), ("key",))


def test_executors_import_neither_great_expectations_nor_spark() -> None:
    code = (
        "import sys, synflaw_audit.engines.spark.engine\n"
        "bad = {'great_expectations', 'pyspark', 'torch'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - the code above
