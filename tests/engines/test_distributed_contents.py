"""A cluster, too, audits one corpus: what changes between the passes is an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from synflaw_audit.engines import tasks
from synflaw_audit.engines.base import Outputs, silent
from synflaw_audit.engines.distributed import DistributedEngine, Selection, Task
from synflaw_audit.engines.partitions import OneTable
from synflaw_audit.errors import InputError
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.measures.templates import TemplateShare
from synflaw_audit.reading.schemas import Pair
from synflaw_audit.sample.corpus import Corpus

ROWS = tasks.RowReader("rows", Pair("question", "answer"), OneTable("rows"))


class Batches:
    """What tasks yielded, in the memory of this process."""

    def __init__(self, batches: list[pa.RecordBatch]) -> None:
        self._table = pa.Table.from_batches(batches)

    def merged(self, nothing: Any) -> Any:
        parts = [nothing, *map(tasks.unpacked, self._table["partial"].drop_null().to_pylist())]
        return reduce(lambda left, right: left.merged(right), parts)

    def batches(self, rows: Selection) -> Iterator[pa.Table]:
        yield self._table.filter(self._table[rows.present].is_valid()).select(rows.columns)


class TwoPartitions(DistributedEngine):
    """A cluster of this process alone, over a frame cut in two."""

    name = "two"  # type: ignore[assignment]
    files = ("rows",)  # type: ignore[assignment]

    def __init__(self, frame: pd.DataFrame) -> None:
        super().__init__(None)
        self.frame = frame

    @contextmanager
    def run(  # type: ignore[override]
        self, task: Task, schema: pa.Schema, index: tuple[str, ...] = ()
    ) -> Iterator[Any]:
        half = len(self.frame) // 2
        parts = [self.frame.iloc[:half], self.frame.iloc[half:]]
        yielded = [
            partial(task, rows=ROWS, partition=number)(
                batches=iter(pa.Table.from_pandas(part, preserve_index=False).to_batches())
            )
            for number, part in enumerate(parts)
        ]
        yield Batches([batch for part in yielded for batch in part])

    def read(self, folder: str, schema: pa.Schema) -> pa.Table:
        raise NotImplementedError

    def cluster(self) -> str | None:
        return None

    def schemas(self) -> dict[str, str]:
        return {}

    @classmethod
    def opened(cls, source: Any, settings: Any) -> TwoPartitions:
        return cls(source)


def swapped(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[[3, 200], "answer"] = frame.loc[[200, 3], "answer"].to_numpy()
    return frame


def replaced(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[7, "question"] = "Another question?"
    return frame


CHANGES = {
    "a text": replaced,
    "answers swapped": swapped,
    "a row less": lambda frame: frame.iloc[1:],
    "a row more": lambda frame: pd.concat([frame, frame.tail(1)]),
    "a row twice in place of another": lambda frame: pd.concat([frame.iloc[1:], frame.tail(1)]),
}


@pytest.fixture
def frame(templated: pd.DataFrame) -> pd.DataFrame:
    return templated.head(300)[["question", "answer"]].copy()


def audited(engine: TwoPartitions) -> Flagger:
    marker = TemplateShare().marker(Corpus(engine.first_pass(Outputs(), silent).sketch))
    assert marker is not None
    return Flagger((("answer-template", marker),))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("fetched", [False, True])
def test_a_corpus_that_changes_between_the_passes_is_an_error(
    frame: pd.DataFrame, tmp_path: Path, change: Any, fetched: bool
) -> None:
    engine = TwoPartitions(frame)
    flagger = audited(engine)
    outputs = Outputs(tmp_path, fetched=True) if fetched else Outputs()
    before = engine.second_pass(flagger, outputs, silent)
    assert before.rows().num_rows == before.flagged > 100
    engine.frame = change(frame.copy())
    with pytest.raises(InputError, match=r"^rows: changed while it was audited"):
        engine.second_pass(flagger, outputs, silent)


def test_rows_that_are_read_once_more_are_compared_too(frame: pd.DataFrame) -> None:
    engine = TwoPartitions(frame)
    found = engine.second_pass(audited(engine), Outputs(), silent)
    engine.frame = replaced(frame.copy())
    with pytest.raises(InputError, match="changed while"):
        found.rows()


def test_the_same_rows_in_another_order_are_the_same_corpus(frame: pd.DataFrame) -> None:
    engine = TwoPartitions(frame)
    flagger = audited(engine)
    engine.frame = frame.sample(frac=1.0, random_state=3)
    assert engine.second_pass(flagger, Outputs(), silent).flagged > 100
