"""What files corpora come in: packed, in other encodings, as splits of a folder, or not at all."""

from __future__ import annotations

import bz2
import csv
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from read_back import PAIRS, lines, pairs, read

from synflaw_audit.errors import InputError
from synflaw_audit.reading import open_source


@pytest.mark.parametrize(("suffix", "pack"), [(".bz2", bz2.compress), (".xz", lzma.compress)])
def test_packed_in_other_ways(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    rows = [{"question": q, "answer": a} for q, a in PAIRS]
    plain = lines(tmp_path / "a.jsonl", rows).read_bytes()
    path = tmp_path / f"b.jsonl{suffix}"
    path.write_bytes(pack(plain) + pack(plain))  # two members are one text
    assert pairs(read(path)[1]) == PAIRS * 2
    path.write_bytes(pack(plain * 99)[:-4])
    source = open_source(path)
    assert 90 < sum(batch.num_rows for batch in source.batches()) <= 198
    assert "it ends early" in source.accounts().files[0].damage[0]
    path.write_bytes(b"no such thing")
    with pytest.raises(InputError, match="cannot be unpacked"):
        read(path)


@pytest.mark.parametrize(("suffix", "pack"), [(".bz2", bz2.compress), (".xz", lzma.compress)])
def test_bombs_are_given_up(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from synflaw_audit.reading import limits

    monkeypatch.setattr(limits, "EXPANDS_FREELY", 1 << 24)
    row = b'{"question": "q", "answer": "a"}\n'
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(pack(row + b" " * (1 << 26)))
    source = open_source(path)
    assert sum(batch.num_rows for batch in source.batches()) == 1
    assert "it expands to more than 16 MiB" in source.accounts().files[0].damage[0]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "gb18030"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    rows = [("Où était-ce?", "À l'école."), ("Et où?", "Là-bas.")]
    for suffix in (".csv", ".jsonl"):
        path = tmp_path / f"a{suffix}"
        with path.open("w", encoding=encoding, newline="") as file:
            if suffix == ".csv":
                csv.writer(file).writerows([("question", "answer"), *rows])
            else:
                for q, a in rows:
                    line = json.dumps({"question": q, "answer": a}, ensure_ascii=False)
                    file.write(line + "\n")
        assert pairs(read(path, encoding=encoding)[1]) == rows
        if encoding == "cp1252":
            with pytest.raises(InputError, match=r"looks like Windows-1252 \(--encoding cp1252\)"):
                read(path)
    if encoding == "utf-16":
        with pytest.raises(InputError, match="--encoding utf-16"):
            read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.zip", b"PK", "an archive; unpack it"),
        ("a.txt", b"t", "write .*--answer text"),
        ("a.xlsx", b"PK", "export it as CSV"),
        ("a.jsonl", b"PK\x03\x04", "is a zip archive, whatever its name says"),
        ("a.jsonl", b"\x1f\x8b\x08", "is packed with gzip, whatever its name says; rename .* .gz"),
        ("a.csv", b"PAR1", "is a Parquet file, whatever its name says"),
    ],
)
def test_what_is_not_read_comes_with_a_hint(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)


def test_one_split_of_a_folder(tmp_path: Path) -> None:
    for name in ("train-0", "test", "dev"):
        lines(tmp_path / f"{name}.jsonl", [{"question": "q", "answer": name}])
    saved = tmp_path / "saved" / "train"
    saved.mkdir(parents=True)
    lines(saved / "data.jsonl", [{"question": "q", "answer": "saved"}])

    def answers(name: str) -> list[str]:
        source = open_source(str(tmp_path) + name)
        return [a for batch in source.batches() for a in batch.column("answer").to_pylist()]

    assert answers("/saved:train") == ["saved"]
    assert answers(":test") == ["test"]
    assert answers(":validation") == answers(":dev") == ["dev"]
    assert sorted(answers(":train")) == ["saved", "train-0"]
    with pytest.raises(InputError, match=r"no split 'holdout' in .*; splits there: test, t"):
        answers(":holdout")
