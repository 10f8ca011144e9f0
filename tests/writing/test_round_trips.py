"""A corpus comes out as it went in, but for the rows that are left out, in every format."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synflaw_audit.findings.accounts import Accounts
from synflaw_audit.reading import open_source
from synflaw_audit.reading.containers import COMPRESSIONS, open_stream
from synflaw_audit.reading.source import source_of
from synflaw_audit.settings import Reading
from synflaw_audit.writing import Original, RowSet, Split, write_split
from synflaw_audit.writing.packing import PACKERS, packed

Rows = list[dict[str, Any]]

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "question": TEXTS,
            "answer": TEXTS.map(lambda text: f"a{text}"),
            "score": st.floats(allow_nan=False) | st.integers(-(2**60), 2**60).map(float),
            "tags": st.lists(TEXTS, max_size=2),
        }
    ),
    min_size=1,
    max_size=12,
)
ENDS = st.sampled_from(["\n", "\r\n", "\n\n", "\n  \n"])
SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def split(path: Path, dropped: set[int], out: Path) -> Split:
    """Splits one file."""
    original = Original.of([path])
    assert original is not None
    source = open_source(path)
    rows = sum(batch.num_rows for batch in source.batches())
    accounts: Accounts = source.accounts()
    assert accounts.rows == rows
    found = {str(path): RowSet(dropped)}
    return write_split(original, found, accounts, (out / "clean", out / "quarantined"))


def jsonl(rows: Rows, path: Path) -> None:
    path.write_bytes("".join(json.dumps(row) + "\n" for row in rows).encode())


def packed_jsonl(rows: Rows, path: Path) -> None:
    with packed(path) as file:
        file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def array(rows: Rows, path: Path) -> None:
    path.write_text(json.dumps(rows, indent=2), encoding="utf-8")


def wrapped(rows: Rows, path: Path) -> None:
    value = {"version": [1, "]"], "data": rows, "more": "x"}
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def by_columns(rows: Rows, path: Path) -> None:
    columns = {name: [row[name] for row in rows] for name in ("question", "answer", "score")}
    path.write_text(json.dumps(columns), encoding="utf-8")


def test_a_document_of_columns_is_divided_row_by_row(tmp_path: Path) -> None:
    rows: Rows = [{"question": f"q{n}", "answer": f"a{n}", "score": n} for n in range(6)]
    by_columns(rows, tmp_path / "c.json")
    found = split(tmp_path / "c.json", {1, 4}, tmp_path)
    assert (found.kept, found.dropped) == (4, 2)
    clean = json.loads((tmp_path / "clean" / "c.json").read_text(encoding="utf-8"))
    assert clean["question"] == ["q0", "q2", "q3", "q5"]
    left = json.loads((tmp_path / "quarantined" / "c.json").read_text(encoding="utf-8"))
    assert left == {"question": ["q1", "q4"], "answer": ["a1", "a4"], "score": [1, 4]}


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_text_keeps_its_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes("question,answer\nq,née\nr,été\n".encode(encoding))
    reading = Reading(encoding=encoding)
    original = Original.of([path], reading)
    assert original is not None
    source = source_of(str(path), reading)
    assert sum(batch.num_rows for batch in source.batches()) == 2
    folders = (tmp_path / "clean", tmp_path / "quarantined")
    write_split(original, {str(path): RowSet([0])}, source.accounts(), folders)
    assert (folders[0] / "c.csv").read_bytes().decode(encoding) == "question,answer\nr,été\n"
    assert (folders[1] / "c.csv").read_bytes().decode(encoding) == "question,answer\nq,née\n"


def table(rows: Rows) -> pa.Table:
    schema = pa.schema(
        [
            ("question", pa.large_string()),
            ("answer", pa.string()),
            ("score", pa.float64()),
            pa.field("tags", pa.list_(pa.string()), metadata={"of": "the row"}),
        ],
        {"huggingface": '{"info": {}}'},
    )
    return pa.Table.from_pylist(rows, schema)


def parquet(rows: Rows, path: Path) -> None:
    pq.write_table(table(rows), path, row_group_size=3, compression={"question": "gzip"})


def arrow_file(rows: Rows, path: Path) -> None:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(str(path), table(rows).schema, options=options) as file:
        file.write_table(table(rows), 5)


def arrow_stream(rows: Rows, path: Path) -> None:
    with pa.ipc.new_stream(str(path), table(rows).schema) as file:
        file.write_table(table(rows), 5)


def read_json(path: Path) -> Rows:
    value = json.loads(path.read_text(encoding="utf-8"))
    return value["data"] if isinstance(value, dict) else value


def read_lines(path: Path) -> Rows:
    with open_stream(str(path), path) as stream:
        return [json.loads(line) for line in stream.read().splitlines()]


def read_arrow(path: Path) -> Rows:
    with pa.memory_map(str(path)) as source:
        opened = pa.ipc.open_file if path.suffix == ".arrow" else pa.ipc.open_stream
        return opened(source).read_all().to_pylist()


FORMATS: dict[str, tuple[str, Callable[[Rows, Path], None], Callable[[Path], Rows]]] = {
    "jsonl": ("c.jsonl", jsonl, read_lines),
    "gzip": ("c.jsonl.gz", packed_jsonl, read_lines),
    "zstandard": ("c.jsonl.zst", packed_jsonl, read_lines),
    "array": ("c.json", array, read_json),
    "wrapped": ("c.json", wrapped, read_json),
    "parquet": ("c.parquet", parquet, lambda path: pq.read_table(path).to_pylist()),
    "arrow file": ("c.arrow", arrow_file, read_arrow),
    "arrow stream": ("c.ipc", arrow_stream, read_arrow),
}


@pytest.mark.parametrize("form", FORMATS)
@given(rows=ROWS, data=st.data())
@SETTINGS
def test_every_row_is_on_one_side_whole_and_in_order(
    form: str, rows: Rows, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, write, read = FORMATS[form]
    folder = tmp_path_factory.mktemp("split")
    path = folder / name
    write(rows, path)
    dropped = data.draw(st.sets(st.integers(0, len(rows) - 1)))
    found = split(path, dropped, folder)
    assert (found.kept, found.dropped) == (len(rows) - len(dropped), len(dropped))
    kept = [row for number, row in enumerate(rows) if number not in dropped]
    assert read(folder / "clean" / name) == kept
    left = [row for number, row in enumerate(rows) if number in dropped]
    assert read(folder / "quarantined" / name) == left


@given(rows=ROWS, ends=st.lists(ENDS, min_size=13, max_size=13), marked=st.booleans())
@SETTINGS
def test_lines_are_copied_to_the_byte(
    rows: Rows, ends: list[str], marked: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    lines = [json.dumps(row, ensure_ascii=number % 2 == 0) for number, row in enumerate(rows)]
    text = "".join(line + end for line, end in zip(lines, ends, strict=False))
    data = b"\xef\xbb\xbf" * marked + text.encode().rstrip(b"\n" if len(rows) % 2 else b"")
    (folder / "c.jsonl").write_bytes(data)
    split(folder / "c.jsonl", set(), folder)
    assert (folder / "clean" / "c.jsonl").read_bytes() == data


@given(
    rows=ROWS,
    delimiter=st.sampled_from(",;\t"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n"]),
    data=st.data(),
)
@SETTINGS
def test_csv_keeps_its_dialect_to_the_byte(
    rows: Rows,
    delimiter: str,
    quoting: Any,
    end: str,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("split")
    path = folder / ("c.tsv" if delimiter == "\t" else "c.csv")
    dropped = data.draw(st.sets(st.integers(0, len(rows) - 1)))
    if quoting == csv.QUOTE_MINIMAL:  # Python leaves a carriage return bare, which ends a line
        rows = [
            {name: v.replace("\r", " ") if isinstance(v, str) else v for name, v in row.items()}
            for row in rows
        ]

    def written(chosen: list[int]) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
        writer.writerow(["question", "answer", "score"])
        for number in chosen:
            row = rows[number]
            writer.writerow([row["question"], row["answer"], row["score"]])
        return text.getvalue().encode()

    everything = list(range(len(rows)))
    path.write_bytes(written(everything))
    split(path, dropped, folder)
    kept = [number for number in everything if number not in dropped]
    assert (folder / "clean" / path.name).read_bytes() == written(kept)
    assert (folder / "quarantined" / path.name).read_bytes() == written(sorted(dropped))


@pytest.mark.parametrize("name", ["c.parquet", "c.arrow", "c.ipc"])
def test_tables_keep_schema_compression_and_groups(name: str, tmp_path: Path) -> None:
    rows: Rows = [
        {"question": f"q{n}", "answer": f"a{n}", "score": n / 7, "tags": ["x"]} for n in range(20)
    ]
    write = {"c.parquet": parquet, "c.arrow": arrow_file, "c.ipc": arrow_stream}[name]
    write(rows, tmp_path / name)
    split(tmp_path / name, {3, 4, 5, 11}, tmp_path)
    for side in ("clean", "quarantined"):
        if name == "c.parquet":
            before, after = (
                pq.ParquetFile(folder / name) for folder in (tmp_path, tmp_path / side)
            )
            assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
            assert [
                after.metadata.row_group(0).column(n).compression
                for n in range(after.metadata.num_columns)
            ] == [
                before.metadata.row_group(0).column(n).compression
                for n in range(before.metadata.num_columns)
            ]
            groups = [
                after.metadata.row_group(n).num_rows for n in range(after.metadata.num_row_groups)
            ]
            assert set(groups[:-1]) <= {3}
        else:
            opened = pa.ipc.open_file if name == "c.arrow" else pa.ipc.open_stream
            with pa.memory_map(str(tmp_path / side / name)) as source:
                assert opened(source).schema.equals(table(rows).schema, check_metadata=True)


def test_every_packing_that_is_read_is_written(tmp_path: Path) -> None:
    for ending in COMPRESSIONS:
        path = tmp_path / f"rows.jsonl{ending}"
        with packed(path) as file:
            file.write(b'{"question": "q", "answer": "a"}\n' * 3)
        assert len(read_lines(path)) == 3
    assert set(COMPRESSIONS) <= set(PACKERS)


def test_the_same_rows_make_the_same_packed_file(tmp_path: Path) -> None:
    for name in ("one.jsonl.gz", "two.jsonl.gz"):
        with packed(tmp_path / name) as file:
            file.write(b"{}\n")
    one, two = ((tmp_path / name).read_bytes() for name in ("one.jsonl.gz", "two.jsonl.gz"))
    assert one == two
    assert gzip.decompress(one) == b"{}\n"


@given(rows=st.sets(st.integers(0, 3000)), start=st.integers(0, 3000), size=st.integers(0, 400))
def test_a_set_of_rows_is_a_set(rows: set[int], start: int, size: int) -> None:
    found = RowSet(rows)
    assert len(found) == len(rows)
    assert found.mask(start, start + size).tolist() == [
        row in rows for row in range(start, start + size)
    ]
    assert all((row in found) == (row in rows) for row in range(start, start + size))
