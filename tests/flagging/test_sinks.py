from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.flagging import sinks
from synflaw_audit.flagging.sinks import (
    FlaggedWriter,
    RejectedWriter,
    SplitWriter,
    closing,
    write_text,
)
from synflaw_audit.reading.rows import Rejected
from synflaw_audit.records import FLAGGED, RECORDS


def records(start: int, count: int) -> pa.RecordBatch:
    rows = range(start, start + count)
    return pa.RecordBatch.from_pylist(
        [{"file": "a", "row": r, "turn": 0, "question": f"q{r}", "answer": f"a{r}"} for r in rows],
        RECORDS,
    )


def flagged(batch: pa.RecordBatch, mask: np.ndarray) -> pa.RecordBatch:
    rows = batch.filter(pa.array(mask)).to_pylist()
    found = {
        "checks": ["SF101"],
        "template": "t1",
        "template_spans": [{"start": 0, "end": 1}],
        "score": 0.5,
        "reason": "opens as 72% do",
    }
    return pa.RecordBatch.from_pylist([row | found for row in rows], FLAGGED)


@given(masks=st.lists(st.lists(st.booleans(), max_size=9), max_size=6), rows=st.integers(1, 8))
def test_clean_and_quarantined_hold_every_record_once(
    masks: list[list[bool]], rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("split")
    split = SplitWriter(out / "clean.parquet", out / "quarantined.parquet")
    written = FlaggedWriter(out / "flagged.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sinks._ParquetFile, "ROWS", rows)
        with closing([split, written]):
            start = 0
            for values in masks:
                mask = np.array(values, dtype=bool)
                batch = records(start, len(values))
                start += len(values)
                split.write(batch, mask, flagged(batch, mask))
                written.write(batch, mask, flagged(batch, mask))
    clean = pq.read_table(out / "clean.parquet")
    quarantined = pq.read_table(out / "quarantined.parquet")
    found = pq.read_table(out / "flagged.parquet")
    expected = np.array([value for values in masks for value in values], dtype=bool)
    assert clean["row"].to_pylist() == np.flatnonzero(~expected).tolist()
    assert quarantined["row"].to_pylist() == np.flatnonzero(expected).tolist()
    assert found.select(RECORDS.names).to_pylist() == quarantined.to_pylist()
    assert clean.schema.equals(RECORDS)
    assert found.schema.equals(FLAGGED)
    assert sorted(p.name for p in out.iterdir()) == [
        "clean.parquet",
        "flagged.parquet",
        "quarantined.parquet",
    ]


def test_nothing_appears_before_the_end_and_nothing_after_an_error(tmp_path: Path) -> None:
    target = tmp_path / "flagged.parquet"
    target.write_bytes(b"what an earlier run left")
    batch, mask = records(0, 2), np.array([True, True])
    writer = FlaggedWriter(target)
    rejected = RejectedWriter(tmp_path / "rejected.jsonl")

    def interrupted() -> None:
        with closing([writer, rejected]):
            writer.write(batch, mask, flagged(batch, mask))
            assert target.read_bytes() == b"what an earlier run left"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_bytes() == b"what an earlier run left"
    assert [p.name for p in tmp_path.iterdir()] == ["flagged.parquet"]


def test_rejected_rows_are_json_lines(tmp_path: Path) -> None:
    writer = RejectedWriter(tmp_path / "rejected.jsonl")
    writer(Rejected("a.jsonl", 3, 2, "not JSON: unexpected\nend", '{"q": "é'))
    writer(Rejected("a.jsonl", 9, 8, "answer is null", "{}"))
    writer.close()
    lines = (tmp_path / "rejected.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line)["line"] for line in lines] == [3, 9]
    assert orjson.loads(lines[0])["preview"] == '{"q": "é'


def test_a_text_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    write_text(target, "first")
    with pytest.raises(UnicodeEncodeError):
        write_text(target, "\ud800")
    assert target.read_text() == "first"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_sink_that_was_given_nothing_writes_an_empty_file(tmp_path: Path) -> None:
    unused = SplitWriter(tmp_path / "a.parquet", tmp_path / "b.parquet")
    unused.discard()
    assert not list(tmp_path.iterdir())
    with closing([SplitWriter(tmp_path / "a.parquet", tmp_path / "b.parquet")]):
        pass
    assert pq.read_table(tmp_path / "a.parquet").schema.equals(RECORDS)
    rejected = RejectedWriter(tmp_path / "rejected.jsonl")
    rejected.close()
    assert (tmp_path / "rejected.jsonl").read_bytes() == b""
