"""Every usual format gives the same records, and no bad row stops or vanishes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synflaw_audit.errors import InputError
from synflaw_audit.readers import Rejected, open_source
from synflaw_audit.records import RECORDS


def test_reads_jsonl_and_rejects_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"question": "q0", "answer": "a0"}\r\n\n'
        b'{"question": "q1", "answer": "a1"\n'
        b'{"question": "q2", "answer": null}\n{"question": "q3"}\n[1]\n'
        b'{"question": "q5", "answer": "\\ud800"}\n{"question": "q6", "answer": "\xff"}\n'
        b'{"question": "q7", "answer": 3}\n{"question": "q8", "answer": " "}\n'
        b'{"question": "", "answer": "a9", "score": NaN}'
    )
    rejected: list[Rejected] = []
    source = open_source(path)
    table = pa.Table.from_batches(source.batches(rejected.append), RECORDS)
    assert table.select(["row", "question", "answer"]).to_pylist() == [
        {"row": 0, "question": "q0", "answer": "a0"},
        {"row": 9, "question": "", "answer": "a9"},
    ]
    assert [(r.line, r.row) for r in rejected] == [(n + 2, n) for n in range(1, 9)]
    assert source.schemas() == {str(path): "question/answer"}


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = [
        {"instruction": "i", "input": x, "output": y}
        for x, y in [("", "a"), ("x", "b"), (None, "c"), ("y", None), ("z", "")]
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    other = tmp_path / "a.json"
    other.write_text(json.dumps(rows, indent=1))
    rejected: list[Rejected] = []
    source = open_source([path, other])
    got = pa.Table.from_batches(source.batches(rejected.append)).to_pylist()
    assert [r["question"] for r in got] == ["i", "i\n\nx", "i"] * 2
    assert [r.reason for r in rejected] == ["output is null", "answer is empty"] * 2


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_source(tmp_path / "x.jsonl")
