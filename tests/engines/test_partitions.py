"""Rows keep their numbers however a cluster cuts files and batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.engines.partitions import (
    BROKEN,
    FILE,
    LINE,
    PARTITION_ROWS,
    START,
    CellFiles,
    LineFiles,
    NumberedTable,
    OneTable,
    TableFiles,
)
from synflaw_audit.engines.spark.inputs import _before
from synflaw_audit.reading import Rejected, open_source
from synflaw_audit.reading.base import Input
from synflaw_audit.reading.batches import records_of
from synflaw_audit.reading.ledger import Ledger
from synflaw_audit.reading.schemas import Pair

SCHEMA = Pair("question", "answer")
LINES = st.sampled_from(
    [b'{"question": "q", "answer": "a"}', b'{"question": "q"}', b"", b" ", b"{", b'"text"']
)


def read(tables: Iterator[Input]) -> tuple[list[tuple[str, int]], list[Rejected]]:
    """The places of the records, and the rejected rows."""
    places: list[tuple[str, int]] = []
    rejected: list[Rejected] = []
    for table in tables:
        for batch in records_of(table, SCHEMA, 3, Ledger(table.name, rejected.append)):
            files, rows = (batch.column(name).to_pylist() for name in ("file", "row"))
            places += zip(files, rows, strict=True)
    return places, rejected


def cut(table: pa.Table, size: int) -> list[pa.RecordBatch]:
    return table.combine_chunks().to_batches(max_chunksize=size)


@given(
    files=st.lists(st.lists(LINES, min_size=1, max_size=12), min_size=1, max_size=3),
    split=st.integers(1, 12),
    size=st.integers(1, 20),
    backwards=st.booleans(),
)
def test_lines_are_numbered_as_in_their_file(
    tmp_path_factory, files: list[list[bytes]], split: int, size: int, backwards: bool
) -> None:
    folder: Path = tmp_path_factory.mktemp("lines")
    splits, counts = [], []
    for number, lines in enumerate(files):
        lines = [b'{"question": "q", "answer": "a"}', *lines]
        path = folder / f"{number}.jsonl"
        path.write_bytes(b"\n".join(lines) + b"\n")
        for start in range(0, len(lines), split):
            part = lines[start : start + split]
            splits.append(
                pa.table({LINE: part, FILE: [str(path)] * len(part), START: [start] * len(part)})
            )
            counts.append((str(path), start, len(part), sum(bool(x.strip()) for x in part)))
    layout = LineFiles(_before(reversed(counts)))
    order = reversed(splits) if backwards else splits
    places, rejected = read(layout.tables(cut(pa.concat_tables(order), size), 0))
    expected: list[Rejected] = []
    batches = list(open_source(str(folder)).batches(expected.append))
    wanted = [
        place
        for batch in batches
        for place in zip(*(batch.column(c).to_pylist() for c in ("file", "row")), strict=True)
    ]
    assert sorted(places) == sorted(wanted)
    assert sorted(rejected, key=str) == sorted(expected, key=str)


@given(size=st.integers(1, 10), keep=st.lists(st.booleans(), min_size=12, max_size=12))
def test_numbered_rows_keep_their_numbers(size: int, keep: list[bool]) -> None:
    table = pa.table(
        {
            "question": ["q"] * 12,
            "answer": [None if n == 5 else "a" for n in range(12)],
            FILE: ["a"] * 7 + ["b"] * 5,
            START: [*range(7), *range(5)],
        }
    ).filter(pa.array(keep))
    places, rejected = read(TableFiles().tables(cut(table, size), 3))
    given_places = list(zip(table[FILE].to_pylist(), table[START].to_pylist(), strict=True))
    assert places == [place for place in given_places if place != ("a", 5)]
    assert [row.row for row in rejected] == [5] * keep[5]
    places, _ = read(NumberedTable("t").tables(cut(table, size), 3))
    assert places == [("t", row) for file, row in given_places if (file, row) != ("a", 5)]


@given(size=st.integers(1, 10))
def test_rows_without_a_file_are_numbered_by_partition(size: int) -> None:
    table = pa.table({"question": ["q"] * 9, "answer": ["a"] * 9})
    places, _ = read(OneTable("t").tables(cut(table, size), 2))
    assert places == [("t", 2 * PARTITION_ROWS + row) for row in range(9)]


@given(size=st.integers(1, 10), broken=st.lists(st.booleans(), min_size=9, max_size=9))
def test_rows_that_are_no_cells_are_rejected_in_their_place(size: int, broken: list[bool]) -> None:
    table = pa.table(
        {
            "question": ["q"] * 9,
            "answer": ["a"] * 9,
            BROKEN: pa.array(["x,y" if b else None for b in broken], pa.string()),
            FILE: ["a"] * 4 + ["b"] * 5,
        }
    )
    places, rejected = read(CellFiles().tables(cut(table, size), 0))
    rows = [("a", row) for row in range(4)] + [("b", row) for row in range(5)]
    assert places == [row for row, b in zip(rows, broken, strict=True) if not b]
    assert [(row.file, row.row) for row in rejected] == [
        row for row, b in zip(rows, broken, strict=True) if b
    ]
