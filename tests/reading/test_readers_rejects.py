"""No bad row stops a run, none vanishes, and each is told with its place and reason."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synflaw_audit.errors import InputError
from synflaw_audit.findings.accounts import FileAccount
from synflaw_audit.reading import Rejected, limits, open_source

GOOD = b'{"question": "q", "answer": "a"}'


def read(path: Path) -> tuple[list[int], list[tuple[int, int, str]]]:
    """The rows that were read, and (line, row, reason) of those that were not."""
    rejected: list[Rejected] = []
    batches = list(open_source(path).batches(rejected.append))
    assert all(r.file == str(path) for r in rejected)
    for r in rejected:
        assert len(r.preview) <= 200
        assert r.preview.isprintable()
        r.preview.encode()
    rows = [row for batch in batches for row in batch.column("row").to_pylist()]
    return rows, [(r.line, r.row, r.reason) for r in rejected]


def account_of(path: Path) -> FileAccount:
    """What became of the file's rows."""
    source = open_source(path)
    list(source.batches())
    (account,) = source.accounts().files
    return account


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"question": "q", "answer": "a"', "not valid JSON: Expecting ',' delimiter at"),
        (b"what is this", "not valid JSON: Expecting value at character 0"),
        (b'{"question": "q", "answer": "\xff"}', "not valid UTF-8 at byte 29"),
        (b'{"question": "q", "answer": "\\ud83d"}', "answer holds a lone surrogate"),
        (b'{"question": "\\udc00", "answer": "a"}', "question holds a lone surrogate"),
        (b'{"question": "q"}', "field 'answer' is missing"),
        (b'{"answer": "a"}', "field 'question' is missing"),
        (b'{"question": "q", "answer": null}', "answer is null"),
        (b'{"question": null, "answer": "a"}', "question is null"),
        (b'{"question": {"a": 1}, "answer": "a"}', "question is an object, not text"),
        (b'{"question": "q", "answer": ""}', "answer is empty"),
        (b'{"question": "q", "answer": " \\n"}', "answer is empty"),
        (b"[1, 2]", "a row must be an object with named fields, not list"),
        (b'"text"', "a row must be an object with named fields, not str"),
        (b"null", "a row must be an object with named fields, not NoneType"),
        (b"[" * 100_000, "not readable JSON: nested too deeply"),
        (
            b'{"question": "q", "answer": "a", "n": ' + b"9" * 5000 + b"}",
            "not readable JSON: Exceeds",
        ),
    ],
)
def test_a_bad_line_is_rejected_where_it_stands(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([GOOD, b"", line, b"  ", GOOD]))
    rows, rejected = read(path)
    assert rows == [0, 2]
    assert [r[:2] for r in rejected] == [(3, 1)]
    assert rejected[0][2].startswith(reason)


@pytest.mark.parametrize(
    "line",
    [
        b'{"question": "", "answer": "a"}',
        b'{"question": "q", "answer": "a", "score": NaN}',
        b'{"question": "q", "answer": "a", "other": "\\ud800"}',
        b'{"question": "q", "answer": "a", "other": 123456789012345678901234567890}',
        b'\t{"question": "q", "answer": "a"} \r',
    ],
)
def test_what_is_odd_elsewhere_does_not_matter(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD + b"\n" + line)
    assert read(path) == ([0, 1], [])


def test_previews_show_the_line_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD + b"\n\x1b[31m\xff\xc3\xa9" + b"x" * 999)
    rejected: list[Rejected] = []
    list(open_source(path).batches(rejected.append))
    assert rejected[0].preview == "\\x1b[31m\\xffé" + "x" * (200 - 13)


LINES = st.lists(
    st.one_of(
        st.just(GOOD), st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), st.just(b"")
    ),
    max_size=20,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES)
def test_every_line_is_read_or_rejected(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD + b"\n" + b"\n".join(lines))
    rows, rejected = read(path)
    lines = [GOOD, *lines]
    filled = [n for n, line in enumerate(lines) if line and not line.isspace()]
    assert sorted([*rows, *(row for _, row, _ in rejected)]) == list(range(len(filled)))
    assert [filled[row] + 1 for _, row, _ in rejected] == [line for line, _, _ in rejected]
    assert [filled[row] for row in rows] == [n for n, line in enumerate(lines) if line == GOOD]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_a_truncated_archive_gives_what_it_holds(tmp_path: Path, name: str, suffix: str) -> None:
    noise = random.Random(0)  # noqa: S311 - noise, no secret
    pairs = [(f"q{n}", noise.randbytes(200).hex()) for n in range(2000)]
    dicts = [{"question": q, "answer": a} for q, a in pairs]
    data = {
        "a.jsonl": "".join(json.dumps(row) + "\n" for row in dicts),
        "a.json": json.dumps(dicts),
        "a.csv": "question,answer\n" + "".join(f"{q},{a}\n" for q, a in pairs),
    }[name].encode()
    compress = gzip.compress if suffix == ".gz" else zstandard.ZstdCompressor().compress
    path = tmp_path / (name + suffix)
    path.write_bytes(compress(data)[:-20_000])
    rows, rejected = read(path)
    assert rows == list(range(len(rows)))
    assert 500 < len(rows) < 2000
    assert rejected == []
    account = account_of(path)
    assert (account.rows, account.rejected, account.exact) == (len(rows), 0, False)
    assert account.damage[0].endswith(": it ends early")


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.zst", "a.parquet", "a.arrow", "a.feather"])
@pytest.mark.parametrize("content", [b"this is something else altogether", b"PAR1PAR1"])
def test_a_file_that_is_not_what_it_says_is_an_error(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: .*read"):
        list(open_source(path).batches())


def test_of_a_damaged_parquet_file_every_other_row_group_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    noise = random.Random(0)  # noqa: S311 - noise, no secret
    answers = [noise.randbytes(50).hex() for _ in range(4000)]
    table = pa.table({"question": ["q"] * 4000, "answer": answers})
    pq.write_table(table, path, row_group_size=1000, use_dictionary=False, compression="zstd")
    start = pq.ParquetFile(path).metadata.row_group(2).column(1).data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 2000] = bytes(2000)
    path.write_bytes(data)
    rows, rejected = read(path)
    assert rows == [*range(2000), *range(3000, 4000)]
    assert rejected == []
    account = account_of(path)
    assert (account.rows, account.lost, account.exact) == (3000, 1000, True)
    assert account.damage[0].startswith("row group 2 is damaged from row 2000 on: ")


DAMAGED = ["a.jsonl", "a.json", "a.csv", "a.jsonl.gz", "a.csv.zst", "a.parquet", "a.arrow"]


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_anywhere_is_told_and_told_again(tmp_path: Path, name: str) -> None:
    """Whatever byte is wrong: records and rejects or an InputError, and the same the next time."""
    path = tmp_path / name
    rows = [{"question": f"q{n} é", "answer": f'answer {n}, "x"\n'} for n in range(30)]
    table = pa.Table.from_pylist(rows)
    if name.endswith(".parquet"):
        pq.write_table(table, path)
    elif name.endswith(".arrow"):
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=7)
    else:
        text = json.dumps(rows, ensure_ascii=False)
        if ".jsonl" in name:
            text = "".join(json.dumps(row) + "\n" for row in rows)
        elif ".csv" in name:
            text = table.to_pandas().to_csv(index=False)
        compress = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}
        path.write_bytes(compress.get(path.suffix, bytes)(text.encode()))
    sound = path.read_bytes()
    noise = random.Random(0)  # noqa: S311 - noise, no secret
    whole = 0
    for _ in range(150):
        data = bytearray(sound)
        if noise.random() < 0.2:
            del data[noise.randrange(len(data)) :]
        else:
            for _ in range(noise.choice([1, 3])):
                data[noise.randrange(len(data))] = noise.randrange(256)
        path.write_bytes(data)
        outcomes: list[object] = []
        for _ in range(2):
            rejected: list[Rejected] = []
            try:
                batches = list(open_source(path).batches(rejected.append))
            except InputError as error:
                outcomes.append(str(error))
            else:
                for batch in batches:
                    batch.validate(full=True)
                outcomes.append((batches, rejected))
                whole += 1
        assert outcomes[0] == outcomes[1]
    assert whole > 0


def test_null_empty_and_invalid_cells_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    answers = pa.array([b"a", None, b"", b" \n", b"\xff", b"a", b"\xc3\xa9"], pa.binary())
    text = pa.StringArray.from_buffers(7, *answers.buffers()[1:], answers.buffers()[0], 1)
    questions = pa.array(["q", "q", "q", "q", "q", None, ""])
    pq.write_table(pa.table({"question": questions, "answer": text}), path)
    assert read(path) == (
        [0, 6],
        [
            (1, 1, "answer is null"),
            (2, 2, "answer is empty"),
            (3, 3, "answer is empty"),
            (4, 4, "answer is not valid UTF-8"),
            (5, 5, "question is null"),
        ],
    )


def test_invalid_text_inside_a_conversation_of_a_table(tmp_path: Path) -> None:
    def talk(answer: bytes) -> list[dict[str, bytes]]:
        return [{"role": b"user", "content": b"q"}, {"role": b"assistant", "content": answer}]

    def kind(text: pa.DataType) -> pa.DataType:
        return pa.list_(pa.struct([("role", text), ("content", text)]))

    column = pa.array([talk(b"a"), talk(b"\xff"), talk(b"c")], kind(pa.binary()))
    content = column.values.field("content")
    text = pa.StringArray.from_buffers(6, *content.buffers()[1:])
    roles = column.values.field("role").cast(pa.string())
    values = pa.StructArray.from_arrays([roles, text], ["role", "content"])
    pq.write_table(
        pa.table({"messages": pa.ListArray.from_arrays(column.offsets, values)}),
        tmp_path / "a.parquet",
    )
    assert read(tmp_path / "a.parquet") == ([0, 2], [(1, 1, "not valid UTF-8")])


def test_csv_rows_keep_their_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        b'\xef\xbb\xbfquestion,answer\r\n"two\r\nlines","a, ""b"""\r\n\r\nq,\r\nq\r\nq,a,b\r\n'
        b'q,"a"x\r\nq,\xff\xfe\r\nlast,a\r\nq,"never ends\r\nq,a\r\n'
    )
    rows, rejected = read(path)
    assert rows == [0, 6]
    assert rejected == [
        (5, 1, "answer is empty"),
        (6, 2, "1 cells where the header names 2"),
        (7, 3, "3 cells where the header names 2"),
        (8, 4, "not valid CSV: ',' expected after '\"'"),
        (9, 5, "answer is not valid UTF-8 at byte 0; looks like Windows-1252 (--encoding cp1252)"),
    ]
    assert account_of(path).damage == (
        "a quote in line 11 is never closed; nothing after it can be read",
    )


def test_rows_of_a_document_keep_their_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(
        b'{"rows": [\n{"question": "q",\n "answer": "a"},\n 7,\n'
        b'{"question": "q", "answer": "\xff"},\n{"question": "q"},\n'
        b'{"question": "q", "answer": "a"},\n{"question": "q" "answer": "a"}, {}]}'
    )
    rows, rejected = read(path)
    assert rows == [0, 4]
    assert [r[:2] for r in rejected] == [(4, 1), (5, 2), (6, 3)]
    (damage,) = account_of(path).damage
    assert "nothing after it can be read: Expecting ',' delimiter in line 8" in damage


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b'{"a": [{"question": "q", "answer": "a"}], "b": [{"x": 1}]}', "both 'a' and 'b' hold"),
        (b'{\n"question": ["q"],\n"answer": ["a", "b"]\n}', "no list of objects in the document"),
        (b'"text"', "none of its 1 rows can be read; .*: a row must be an object"),
        (b"[1, 2, 3]", "none of its 3 rows can be read; the first, row 0 .line 1.: a row must be"),
        (b'[{"question"', "no row of it can be read: no JSON from line 1 on"),
    ],
)
def test_documents_without_rows_are_errors(tmp_path: Path, document: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(document)
    with pytest.raises(InputError, match=message):
        list(open_source(path).batches())


@pytest.mark.parametrize("chunk", [1, 2, 7, 64])
def test_a_document_may_be_cut_anywhere(
    tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synflaw_audit.reading.json_documents._CHUNK", chunk)
    rows = [
        {"question": 'q\\"[{' * n, "answer": f"é\n🦜{n}", "x": [1.5e3, True, None]}
        for n in range(9)
    ]
    for ascii_only in (True, False):
        path = tmp_path / "a.json"
        path.write_text(json.dumps({"a": 1, "rows": rows}, ensure_ascii=ascii_only, indent=1))
        batches = list(open_source(path).batches())
        assert [a for b in batches for a in b.column("answer").to_pylist()] == [
            r["answer"] for r in rows
        ]


def test_a_file_in_which_nothing_can_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_bytes(GOOD)
    (tmp_path / "late.jsonl").write_bytes(b'{"question": "q", "answer": ""}\n' * 3)
    rejected: list[Rejected] = []
    with pytest.raises(
        InputError,
        match=r"late.jsonl: none of its 3 rows can be read; the first, row 0 \(line 1\): answer is",
    ):
        list(open_source(tmp_path).batches(rejected.append))
    assert len(rejected) == 3


def test_no_json_at_all_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"not json\nnor this\n")
    with pytest.raises(InputError, match=r"none of its 2 rows .*\(line 1\): not valid JSON"):
        list(open_source(tmp_path / "a.jsonl").batches())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_other_encodings_are_errors(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(("\ufeff" if encoding == "utf-16-le" else "").encode(encoding))
    path.write_bytes(path.read_bytes() + "question,answer\nq,a\n".encode(encoding))
    with pytest.raises(InputError, match="is UTF-16 or UTF-32 text; convert it to UTF-8"):
        list(open_source(path).batches())


def test_columns_named_twice_are_errors(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("question,answer,answer\nq,a,b\n")
    columns = [pa.array(["q"]), pa.array(["a"]), pa.array(["b"])]
    table = pa.Table.from_arrays(columns, names=["question", "answer", "answer"])
    pq.write_table(table, tmp_path / "a.parquet")
    frame = pd.DataFrame([["q", "a", "b"]], columns=table.column_names)
    sources: list[Any] = [tmp_path / "a.csv", tmp_path / "a.parquet", table, frame]
    for source in sources:
        with pytest.raises(InputError, match="columns named more than once: 'answer'"):
            list(open_source(source).batches())


def test_columns_nobody_asks_for_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = {
        "question": ["q"],
        "answer": ["a"],
        "year 9000": pa.array([2**62], pa.timestamp("us")),
        "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        "null": pa.nulls(1),
        "vector": [[0.5] * 8],
    }
    pq.write_table(pa.table(columns), path)
    assert read(path) == ([0], [])
    frame = pd.DataFrame({"question": ["q"], "answer": ["a"], "object": [object()]})
    assert sum(batch.num_rows for batch in open_source(frame).batches()) == 1


def test_too_long_a_line_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LONGEST_ROW", 100)
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD + b"\n" + b"x" * 1000 + b"\n" + GOOD + b"\n")
    rows, rejected = read(path)
    assert rows == [0, 2]
    assert [r[:2] for r in rejected] == [(2, 1)]
    assert "longer than" in rejected[0][2]


def test_a_file_name_that_is_not_utf8_is_shown_escaped(tmp_path: Path) -> None:
    try:
        file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jsonl"))
        file.write_text('{"question": "q", "answer": "a"}\n', encoding="utf-8")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (batch,) = open_source(tmp_path).batches()
    assert batch.column("file").to_pylist() == [f"{tmp_path}/caf\\xe9.jsonl"]
