"""What nobody asks for is not decoded, and what is asked for is bounded, however it is packed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synflaw_audit.reading import Rejected, limits, open_source
from synflaw_audit.reading.columns import bounded
from synflaw_audit.reading.rows import Columns

# Columns of which Python can make no values.
UNREADABLE = {
    "far": pa.array([2**62, 1], pa.timestamp("us")),
    "nowhere": pa.array([1, 2], pa.timestamp("us", "Mars/Olympus")),
    "nested": pa.array(
        [[{"when": 2**62}]] * 2, pa.list_(pa.struct([("when", pa.timestamp("us"))]))
    ),
    "twice": pa.StructArray.from_arrays([pa.array(["a", "b"]), pa.array([1, 2])], ["k", "k"]),
    "map": pa.array([[("a", 2**62)]] * 2, pa.map_(pa.string(), pa.timestamp("us"))),
}
PAIRS = {"question": ["q0", "q1"], "answer": ["a0", "a1"]}


def write(path: Path, table: pa.Table) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_column_without_values_does_no_harm(tmp_path: Path, suffix: str, name: str) -> None:
    if suffix == ".parquet" and name == "twice":
        pytest.skip("Parquet holds no such column")
    path = write(tmp_path / f"a{suffix}", pa.table(PAIRS | {name: UNREADABLE[name]}))
    (batch,) = open_source(path).batches()
    assert batch.column("answer").to_pylist() == ["a0", "a1"]


def test_values_that_python_has_none_for_may_stand_in_a_conversation(tmp_path: Path) -> None:
    turn = pa.struct([("role", pa.string()), ("content", pa.string()), ("at", pa.timestamp("us"))])
    talk = [
        {"role": "user", "content": "q", "at": 2**62},
        {"role": "assistant", "content": "a", "at": 2**62},
    ]
    path = write(
        tmp_path / "a.parquet", pa.table({"messages": pa.array([talk] * 3, pa.list_(turn))})
    )
    (batch,) = open_source(path).batches()
    assert batch.column("answer").to_pylist() == ["a"] * 3


def test_two_contents_of_one_message_are_none(tmp_path: Path) -> None:
    texts = [pa.array(["user", "assistant"]), pa.array(["q", "a"]), pa.array(["r", "b"])]
    turns = pa.StructArray.from_arrays(texts, ["role", "content", "content"])
    twice = pa.ListArray.from_arrays([0, 2], turns)
    good = pa.array([[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]])
    write(tmp_path / "a.arrow", pa.table({"messages": twice}))
    write(tmp_path / "b.arrow", pa.table({"messages": good}))
    source, rejected = open_source(tmp_path), list[Rejected]()
    with pytest.raises(Exception, match=r"a.arrow: none of its 1 rows can be read.*not text"):
        list(source.batches(rejected.append))


@pytest.mark.parametrize("kind", ["dictionary", "view"])
def test_text_that_rows_share_is_taken_apart_in_parts(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(limits, "LONGEST_ROW", 1000)
    answers = pa.array(["x" * 400, "y", None] * 10)
    shared = answers.dictionary_encode() if kind == "dictionary" else answers.cast(pa.string_view())
    batch = pa.record_batch({"question": ["q"] * 30, "answer": shared})
    parts = list(bounded(Columns(5, batch.slice(3)), ("question", "answer")))
    assert [part.start for part in parts] == [
        5 + sum(p.batch.num_rows for p in parts[:n]) for n in range(len(parts))
    ]
    together = [a for part in parts for a in part.batch.column("answer").to_pylist()]
    assert together == answers.to_pylist()[3:]
    assert (
        max(sum(len(a or "") for a in p.batch.column("answer").to_pylist()) for p in parts) <= 1401
    )
    assert len(parts) > 1


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet", ".json"])
def test_a_row_that_is_too_long_is_rejected_alone(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LONGEST_ROW", 1000)
    answers = ["a", "x" * 1200, "b", "c"]
    table = pa.table({"question": ["q"] * 4, "answer": answers})
    path = tmp_path / f"a{suffix}"
    if suffix == ".parquet":
        pq.write_table(table, path)
    elif suffix == ".csv":
        path.write_text("question,answer\n" + "".join(f"q,{answer}\n" for answer in answers))
    else:
        rows = [f'{{"question": "q", "answer": "{answer}"}}' for answer in answers]
        text = "\n".join(rows) if suffix == ".jsonl" else "[\n" + ",\n".join(rows) + "\n]"
        path.write_text(text)
    source, rejected = open_source(path), list[Rejected]()
    read = [a for b in source.batches(rejected.append) for a in b.column("answer").to_pylist()]
    assert read == ["a", "b", "c"]
    reasons = [row.reason for row in rejected] or list(source.account(0).damage)
    assert len(reasons) == 1
    assert "longer than 1000 bytes" in reasons[0]


def test_too_many_columns_are_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_COLUMNS", 50)
    names = ",".join(f"c{n}" for n in range(60))
    (tmp_path / "a.csv").write_text(f"question,answer,{names}\nq,a{',1' * 60}\n")
    write(tmp_path / "b.parquet", pa.table({f"c{n}": np.arange(2) for n in range(60)}))
    for name in ("a.csv", "b.parquet"):
        with pytest.raises(Exception, match=rf"{name}: 6\d columns; at most 50 are read"):
            list(open_source(tmp_path / name).batches())
