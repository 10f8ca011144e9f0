"""Of a damaged file all that can be read is read, and what is lost is said; no row is invented."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synflaw_audit.errors import InputError
from synflaw_audit.findings.accounts import FileAccount
from synflaw_audit.reading import Rejected, limits, open_source
from synflaw_audit.reading.containers import open_stream

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


def read(path: Path) -> tuple[list[str], list[str], FileAccount]:
    """The answers read, why rows were rejected, and the account, which must add up."""
    source, rejected = open_source(path), list[Rejected]()
    batches = list(source.batches(rejected.append))
    (account,) = source.accounts().files
    rows = {row for batch in batches for row in batch.column("row").to_pylist()}
    assert account.rows == len(rows) + account.rejected
    assert account.rejections == len(rejected)
    answers = [a for batch in batches for a in batch.column("answer").to_pylist()]
    assert account.records == len(answers)
    return answers, [row.reason for row in rejected], account


def lines(*numbers: int) -> str:
    return "".join(f'{{"question": "q", "answer": "a{n}"}}\n' for n in numbers)


def array(*numbers: int, end: str = "\n]") -> str:
    return "[\n" + ",\n".join(line for line in lines(*numbers).splitlines()) + end


def cells(*numbers: int) -> str:
    return "".join(f"q{n},a{n}\n" for n in numbers)


@pytest.mark.parametrize(
    ("name", "text", "answers", "rejected", "exact", "damage"),
    [
        # JSON arrays: broken in a row, between rows, at the end.
        (
            "a.json",
            array(0, 1, 2).replace('"q", "answer": "a1"', '"q" "answer": "a1"'),
            "02",
            0,
            False,
            "no JSON in line 3; what it holds up to line 4 is lost: ",
        ),
        ("a.json", "[" + lines(0, 1) + "]", "01", 0, True, "a comma is missing before line 2"),
        ("a.json", array(0, 1, end=",\n]"), "01", 0, True, None),
        ("a.json", array(0, 1, end=""), "01", 0, False, "the document ends too early"),
        ("a.json", array(0, 1)[:-9], "0", 0, False, "no JSON from line 3 on; nothing after it"),
        # A nested object begins like a row, but is none.
        (
            "a.json",
            json.dumps(
                [{"question": "q", "answer": f"a{n}", "x": [{"answer": 1}]} for n in range(4)],
                indent=1,
            ).replace('"a1",', '"a1" 7'),
            "023",
            0,
            False,
            "is lost",
        ),
        # Several documents.
        ("a.json", array(0) + "\n" + array(1), "01", 0, True, "another document begins in line 4"),
        ("a.json", "".join((array(0) + array(1)).split("\n")), "01", 0, True, "another document"),
        ("a.jsonl", "[" + lines(0)[:-1] + "]\n" + lines(1), "01", 0, True, "another document"),
        ("a.json", array(0) + '{"rows":' + array(1, 2) + "}", "012", 0, True, "another document"),
        ("a.json", array(0) + "\nthe end", "0", 0, False, "no JSON from line 4 on"),
        # A line that begins an array, in a file of lines.
        ("a.jsonl", "[1, 2\n" + lines(0, 1), "01", 2, False, "a comma is missing before line 2"),
        ("a.jsonl", lines(0) + "[1, 2\n" + lines(1), "01", 1, True, None),
        # Objects with several lists.
        (
            "a.json",
            '{"train": ' + array(0) + ', "test": [null, ' + array(1)[1:] + "}",
            "01",
            1,
            1,
            0,
        ),
        ("a.json", '{"n": [1, null], "rows": [7, ' + array(0)[1:] + "}", "0", 1, True, None),
        # CSV: quotes that are never closed, or closed where they should not be.
        ("a.csv", cells(0) + 'q,"no end\n' + cells(2, 3, 4), "0234", 0, True, "its row is lost"),
        ("a.csv", cells(0) + 'q,"text\nand, so on\n', "0", 0, False, "line 3 is never closed"),
        (
            "a.csv",
            cells(0) + '"a"x,"one\ntwo,words\nthree"\n' + cells(1),
            "01",
            0,
            False,
            "lines 3 to 5 are not valid CSV",
        ),
        ("a.csv", cells(0) + '"a"x,b\n' + cells(1), "01", 1, True, None),
    ],
)
def test_what_can_be_read_is_read(
    tmp_path: Path,
    name: str,
    text: str,
    answers: str,
    rejected: int,
    exact: bool,
    damage: str | None,
) -> None:
    path = tmp_path / name
    path.write_text("question,answer\n" * name.endswith(".csv") + text)
    found, reasons, account = read(path)
    assert found == [f"a{n}" for n in answers]
    assert len(reasons) == rejected
    assert account.exact == exact
    assert bool(account.damage) == bool(damage)
    assert any(str(damage) in told for told in account.damage) or not damage


def test_the_one_row_that_a_quote_takes_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("question,answer\n" + cells(0) + 'q,"no end\n' + cells(*range(2, 500)))
    answers, _, account = read(path)
    assert len(answers) == account.rows == 499
    assert (account.lost, account.exact) == (1, True)


@pytest.mark.parametrize(
    "document",
    [
        '{"train": %s, "more": {"test": %s}}',
        '{"more": {"deep": {"test": %s}}, "train": %s}',
        '{"train": %s, "more": [[null, %s]]}',
    ],
)
def test_rows_in_two_places_are_an_error(tmp_path: Path, document: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(document % (array(0), array(1)))
    with pytest.raises(InputError, match=r"both 'train' and 'more[a-z.]*' hold rows"):
        read(path)


def test_other_objects_in_a_document_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    info = {"people": [{"name": "x", "id": 1}]}
    path.write_text('{"info": ' + json.dumps(info) + ', "rows": ' + array(0, 1) + "}")
    assert read(path)[0] == ["a0", "a1"]


def test_one_line_that_is_a_row_with_a_list_of_objects_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"question": "q", "answer": "a", "tags": [{"name": "x"}]}')
    assert read(path)[0] == ["a"]


@pytest.mark.parametrize("suffix", COMPRESS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 9999), data=st.data())
def test_every_byte_that_can_be_unpacked_is_given(
    tmp_path: Path, suffix: str, seed: int, data: st.DataObject
) -> None:
    plain = random.Random(seed).randbytes(5000).hex().encode()  # noqa: S311 - noise, no secret
    packed = COMPRESS[suffix](plain[:4000]) + COMPRESS[suffix](plain[4000:])
    cut = data.draw(st.integers(1, len(packed) - 1))
    path = tmp_path / f"a{suffix}"
    path.write_bytes(packed[:cut])
    try:
        with open_stream("a", path) as stream:
            given_bytes, damage = stream.read(), stream.damage
    except InputError as error:
        given_bytes, damage = b"", str(error)
    assert plain.startswith(given_bytes)
    whole = cut == len(COMPRESS[suffix](plain[:4000]))
    assert damage == "" if whole else "ends early" in damage
    if suffix == ".gz":  # as zlib itself gives them, a byte at a time
        assert len(given_bytes) >= 4000 * (cut > len(COMPRESS[suffix](plain[:4000])))


@pytest.mark.parametrize("suffix", COMPRESS)
def test_what_comes_before_the_first_bad_byte_is_given(tmp_path: Path, suffix: str) -> None:
    first, second = lines(*range(3000)).encode(), lines(*range(3000, 6000)).encode()
    packed = COMPRESS[suffix](first)
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(packed + b"\x07" + COMPRESS[suffix](second))
    answers, reasons, account = read(path)
    assert answers == [f"a{n}" for n in range(3000)]
    assert (reasons, account.exact) == ([], False)
    assert account.damage[0].startswith("damaged after line 3000: it cannot be unpacked: ")


def test_files_may_be_of_several_members_and_filled_up(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(
        gzip.compress(lines(0).encode()) + gzip.compress(lines(1).encode()) + bytes(70_000)
    )
    answers, _, account = read(path)
    assert (answers, account.damage) == (["a0", "a1"], ())


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_a_row_that_is_cut_off_is_no_row(tmp_path: Path, name: str) -> None:
    """Not even where it would pass for one: half an answer is none."""
    text = {"a.jsonl": lines(0, 1), "a.json": array(0, 1), "a.csv": "question,answer\nq,a0\nq,a1x"}
    path = tmp_path / f"{name}.zst"
    frame = COMPRESS[".zst"](text[name][:-1].encode() if name == "a.csv" else text[name].encode())
    path.write_bytes(frame + COMPRESS[".zst"](b"  ")[:-2])
    answers, reasons, account = read(path)
    assert answers == (["a0"] if name == "a.csv" else ["a0", "a1"])
    assert (reasons, account.exact) == ([], False)
    assert len(account.damage) == 1


def write_batches(path: Path, stream: bool) -> None:
    schema = pa.schema([("question", pa.string()), ("answer", pa.string()), ("other", pa.string())])
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, new(file, schema) as writer:
        for batch in range(3):
            # Three different marks to find the columns' bytes by.
            answers = [f"answer{batch}{n}" for n in range(4)]
            writer.write_batch(
                pa.record_batch([["q"] * 4, answers, [f"other{batch}"] * 4], schema=schema)
            )


@pytest.mark.parametrize("stream", [False, True])
def test_of_a_damaged_arrow_file_the_other_batches_are_read(tmp_path: Path, stream: bool) -> None:
    path = tmp_path / "a.arrow"
    write_batches(path, stream)
    data = bytearray(path.read_bytes())
    # The offsets of the second batch's answers stand before them.
    at = data.index(b"answer10") - 64 if data.index(b"answer10") % 64 == 0 else 0
    at = at or data.rindex((8).to_bytes(4, "little"), 0, data.index(b"answer10"))
    data[at : at + 4] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(data)
    answers, _, account = read(path)
    assert answers == [f"answer{batch}{n}" for batch in (0, 2) for n in range(4)]
    assert (account.lost, account.exact) == (4, True)
    assert account.damage == ("batch 1, from row 4 on, is damaged",)


def test_damage_in_a_column_that_nobody_asks_for_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    noise = random.Random(0)  # noqa: S311 - noise, no secret
    other = [noise.randbytes(50).hex() for _ in range(1000)]
    table = pa.table({"question": ["q"] * 1000, "answer": ["a"] * 1000, "other": other})
    pq.write_table(table, path, use_dictionary=False, compression="zstd")
    start = pq.ParquetFile(path).metadata.row_group(0).column(2).data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 2000] = bytes(2000)
    path.write_bytes(data)
    answers, _, account = read(path)
    assert (len(answers), account.damage, account.lost) == (1000, (), 0)


def test_a_line_of_the_greatest_length_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And takes no other with it, whatever its length is to the byte."""
    path = tmp_path / "a.jsonl"
    for size in range(95, 106):
        monkeypatch.setattr(limits, "LONGEST_ROW", 100)
        row = b'{"question": "q", "answer": "a1", "x": "' + b"x" * (size - 42) + b'"}'
        assert len(row) == size
        path.write_bytes(lines(0).encode() + row + b"\n" + lines(2).encode() + row)
        answers, reasons, account = read(path)
        whole = ["a0", "a1", "a2", "a1"] if size <= 100 else ["a0", "a2"]
        assert (answers, account.rows) == (whole, 4)
        assert reasons == ([] if size <= 100 else ["the line is longer than 100 bytes"] * 2)
