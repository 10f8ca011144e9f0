"""Every usual format gives the same records, in the same order, every time."""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synflaw_audit.errors import InputError
from synflaw_audit.reading import Rejected, Source, open_source
from synflaw_audit.records import RECORDS

Pairs = Sequence[tuple[str, str]]
_SAID = ["row", "turn", "question", "answer"]


def _dicts(pairs: Pairs) -> list[dict[str, str]]:
    return [{"question": q, "answer": a} for q, a in pairs]


def _jsonl(pairs: Pairs) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in _dicts(pairs))


def _jsonl_utf8_crlf(pairs: Pairs) -> bytes:
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in _dicts(pairs)]
    return b"\xef\xbb\xbf" + b"\r\n\r\n".join(lines)


def _json(pairs: Pairs) -> bytes:
    return json.dumps(_dicts(pairs), ensure_ascii=False).encode()


def _json_indented(pairs: Pairs) -> bytes:
    return json.dumps(_dicts(pairs), indent=2).encode()


def _json_wrapped(pairs: Pairs) -> bytes:
    document = {"version": 1, "tags": ["a", "b"], "data": _dicts(pairs), "info": {"n": [1, {}]}}
    return json.dumps(document).encode()


def _separated(delimiter: str, quoting: Any, end: str) -> Callable[[Pairs], bytes]:
    def write(pairs: Pairs) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
        writer.writerow(["question", "answer"])
        writer.writerows(pairs)
        return text.getvalue().encode()

    return write


TEXT_WRITERS = {
    "lines.jsonl": _jsonl,
    "crlf.jsonl": _jsonl_utf8_crlf,
    "lines.json": _jsonl,
    "array.json": _json,
    "array.jsonl": _json_indented,
    "indented.json": _json_indented,
    "wrapped.json": _json_wrapped,
    "comma.csv": _separated(",", csv.QUOTE_MINIMAL, "\r\n"),
    "quoted.csv": _separated(",", csv.QUOTE_ALL, "\r\n"),
    "semicolon.csv": _separated(";", csv.QUOTE_ALL, "\n"),
    "tab.tsv": _separated("\t", csv.QUOTE_MINIMAL, "\r\n"),
}


def _plain(data: bytes) -> bytes:
    return data


COMPRESSORS = {"": _plain, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}


def _write_stream(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def _write_file(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def _write_dictionary(table: pa.Table, path: Path) -> None:
    encoded = [table[name].dictionary_encode() for name in table.column_names]
    _write_file(pa.table(encoded, names=table.column_names), path)


def _write_types(kind: pa.DataType) -> Callable[[pa.Table, Path], None]:
    def write(table: pa.Table, path: Path) -> None:
        pq.write_table(table.cast(pa.schema([(n, kind) for n in table.column_names])), path)

    return write


TABLE_WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    "plain.parquet": lambda table, path: pq.write_table(table, path, row_group_size=3),
    "large.parquet": _write_types(pa.large_string()),
    "binary.parquet": _write_types(pa.binary()),
    "feather.feather": lambda table, path: pyarrow.feather.write_feather(
        table, str(path), compression="zstd"
    ),
    "file.arrow": _write_file,
    "stream.arrow": _write_stream,
    "dictionary.arrow": _write_dictionary,
}

BLANK = " \t\r\n"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        '"',
        '""',
        "a,b",
        "a\nb",
        "a\r\nb",
        "\r",
        "\n\n",
        "'",
        ";",
        "\t",
        "\\",
        "\x00",
        "\ufeff",
        "﷽🦜",
    ]
)
PAIRS = st.lists(st.tuples(TEXT, TEXT.filter(lambda a: a.strip(BLANK))), min_size=1, max_size=12)


def records(source: Source) -> list[dict[str, Any]]:
    """All records of a source that rejects nothing, without their file."""
    rejected: list[Rejected] = []
    batches = list(source.batches(rejected.append))
    assert rejected == []
    assert all(batch.schema == RECORDS for batch in batches)
    for batch in batches:
        batch.validate(full=True)
        assert set(batch.column("file").to_pylist()) <= set(source.files)
    return pa.Table.from_batches(batches, RECORDS).select(_SAID).to_pylist()


def expected(pairs: Pairs) -> list[dict[str, Any]]:
    return [{"row": row, "turn": 0, "question": q, "answer": a} for row, (q, a) in enumerate(pairs)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pairs=PAIRS, size=st.integers(1, 5))
def test_every_format_gives_the_same_records(
    pairs: Pairs, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    table = pa.Table.from_pylist(_dicts(pairs))
    for name, write_text in TEXT_WRITERS.items():
        for suffix, compress in COMPRESSORS.items():
            (folder / (name + suffix)).write_bytes(compress(write_text(pairs)))
    for name, write_table in TABLE_WRITERS.items():
        write_table(table, folder / name)
    sources: list[Any] = [*folder.iterdir(), table, pd.DataFrame(_dicts(pairs))]
    assert len(sources) == 3 * len(TEXT_WRITERS) + len(TABLE_WRITERS) + 2
    for item in sources:
        source = open_source(item, batch_records=size)
        assert records(source) == expected(pairs), item
        assert list(source.schemas().values()) == ["question/answer"]
        assert all(batch.num_rows <= size for batch in source.batches())


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder of mixed formats, with files that are no data."""
    root = tmp_path / "corpus"
    for folder in ("b/c", ".git", "a"):
        (root / folder).mkdir(parents=True)
    (root / "z.jsonl").write_bytes(_jsonl([("z", "1")]))
    (root / "b" / "part-10.csv").write_bytes(TEXT_WRITERS["comma.csv"]([("b10", "2")]))
    (root / "b" / "part-02.csv.gz").write_bytes(
        gzip.compress(TEXT_WRITERS["comma.csv"]([("b02", "3")]))
    )
    pq.write_table(pa.table({"prompt": ["c"], "response": ["4"]}), root / "b" / "c" / "x.parquet")
    (root / "README.md").write_text("no data")
    (root / ".git" / "hidden.jsonl").write_text("no data")
    (root / ".hidden.jsonl").write_text("no data")
    return root


def test_a_directory_is_read_whole_in_a_stable_order(corpus: Path) -> None:
    source = open_source(corpus)
    names = ["z.jsonl", "b/part-02.csv.gz", "b/part-10.csv", "b/c/x.parquet"]
    assert source.files == tuple(str(corpus / name) for name in names)
    assert [r["question"] for r in records(source)] == ["z", "b02", "b10", "c"]
    assert source.schemas() == dict(
        zip(source.files, [*["question/answer"] * 3, "prompt/response"], strict=True)
    )


def test_patterns_sequences_and_repeats(corpus: Path) -> None:
    pattern = str(corpus / "b" / "*.csv*")
    assert [Path(f).name for f in open_source(pattern).files] == ["part-02.csv.gz", "part-10.csv"]
    deep = open_source(str(corpus / "**" / "*.parquet"))
    assert [Path(f).name for f in deep.files] == ["x.parquet"]
    both = open_source([corpus / "z.jsonl", str(corpus), pattern])
    assert [Path(f).name for f in both.files] == [
        "z.jsonl",
        "part-02.csv.gz",
        "part-10.csv",
        "x.parquet",
    ]


def test_a_file_whose_name_is_a_pattern_is_that_file(tmp_path: Path) -> None:
    path = tmp_path / "data[1].jsonl"
    path.write_bytes(_jsonl([("q", "a")]))
    assert open_source(str(path)).files == (str(path),)


def test_a_source_of_paths_is_reread_and_pickled(corpus: Path) -> None:
    source = open_source(corpus, batch_records=1)
    first = list(source.batches())
    assert list(source.batches()) == first
    assert list(pickle.loads(pickle.dumps(source)).batches()) == first  # noqa: S301 - our own


def test_datasets_in_memory_and_saved(tmp_path: Path) -> None:
    pairs = [(f"q{n}", f"a{n}") for n in range(10)]
    train = datasets.Dataset.from_list(_dicts(pairs))
    assert records(open_source(train, batch_records=3)) == expected(pairs)
    shuffled = train.select([4, 2])
    assert [r["question"] for r in records(open_source(shuffled))] == ["q4", "q2"]
    splits = datasets.DatasetDict({"train": train, "test": shuffled})
    source = open_source(splits)
    assert source.files == ("<Dataset:train>", "<Dataset:test>")
    assert len(records(source)) == 12
    train.save_to_disk(str(tmp_path / "one"), num_shards=2)
    assert [r["question"] for r in records(open_source(tmp_path / "one"))] == [q for q, _ in pairs]
    splits.save_to_disk(str(tmp_path / "two"))
    saved = open_source(tmp_path / "two")
    assert [Path(f).parent.name for f in saved.files] == ["test", "train"]
    assert len(records(saved)) == 12
    stream = train.to_iterable_dataset()
    assert records(open_source(stream, batch_records=4)) == expected(pairs)


def test_a_frame_of_mixed_types_rejects_single_rows() -> None:
    frame = pd.DataFrame(
        {
            "question": ["q0", "q1", None, "q3", "q4"],
            "answer": ["a0", {1}, "a2", "\ud800", "a4"],
            "embedding": [[0.5], [0.5], [0.5], [0.5], [0.5]],
        },
        dtype=object,
    )
    rejected: list[Rejected] = []
    batches = list(open_source(frame).batches(rejected.append))
    assert [row for batch in batches for row in batch.column("row").to_pylist()] == [0, 4]
    assert [(r.file, r.row) for r in rejected] == [("<DataFrame>", n) for n in (1, 2, 3)]
    assert [r.reason for r in rejected] == [
        "answer is set, not text",
        "question is null",
        "answer holds a lone surrogate",
    ]


def test_a_table_without_a_row_in_it_is_an_error() -> None:
    with pytest.raises(InputError, match="no rows to read in <DataFrame>"):
        list(open_source(pd.DataFrame({"question": [], "answer": []})).batches())


def test_an_empty_shard_among_others_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n \n")
    (tmp_path / "b.jsonl").write_bytes(_jsonl([("q", "a")]))
    (tmp_path / "c.csv").write_bytes(b"question,answer\n")
    source = open_source(tmp_path)
    assert records(source) == expected([("q", "a")])
    assert list(source.schemas().values()) == ["empty", "question/answer", "empty"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.jsonl", "missing.jsonl: no such file or directory"),
        ("*.nothing", r"\*.nothing: nothing to read: no files; readable are \.jsonl"),
        (
            "only.txt",
            "only.txt: plain text: nothing tells where a row ends; write .*; readable are",
        ),
        ("empty", "empty: nothing to read: no files"),
        (
            "others",
            "others: nothing to read: only .*notes.txt .plain text: nothing tells.*; readable",
        ),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "only.txt").write_text("text")
    (tmp_path / "empty").mkdir()
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "notes.txt").write_text("text")
    with pytest.raises(InputError, match=message):
        open_source(str(tmp_path / name))


def test_no_input_at_all_is_an_error() -> None:
    with pytest.raises(InputError, match="no input"):
        open_source([])
    with pytest.raises(InputError, match="not int"):
        open_source(7)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least 1"):
        open_source("x.jsonl", batch_records=0)


@pytest.mark.parametrize("name", ["org/name", "org/name:train", "org/name/config:test"])
def test_a_hub_name_loads_that_data_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = datasets.Dataset.from_list(_dicts([("q", "a")]))
    asked: list[tuple[Any, ...]] = []

    def load(path: str, config: str | None, split: str | None, *, trust_remote_code: bool) -> Any:
        assert not trust_remote_code
        asked.append((path, config, split))
        return data if split else datasets.DatasetDict({"train": data})

    monkeypatch.setattr(datasets, "load_dataset", load)
    source = open_source(name)
    assert records(source) == expected([("q", "a")])
    assert source.files == ((name,) if ":" in name else (f"{name}:train",))
    config = "config" if "config" in name else None
    assert asked == [("org/name", config, name.partition(":")[2] or None)]


def test_a_hub_name_that_is_not_there_says_both(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> Any:
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(InputError, match=r"org/name: no such file .* hub: ConnectionError"):
        open_source("org/name")


def test_a_missing_file_of_a_folder_that_is_here_asks_no_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match=r"^data/train: no such file or directory$"):
        open_source("data/train")


def test_a_huge_line_is_one_record(tmp_path: Path) -> None:
    answer = "long " * 2_000_000
    for name, data in (("a.jsonl", _jsonl), ("a.json", _json_indented)):
        (tmp_path / name).write_bytes(data([("q", answer), ("r", "short")]))
    (tmp_path / "a.csv").write_bytes(TEXT_WRITERS["comma.csv"]([("q", answer), ("r", "short")]))
    for item in tmp_path.iterdir():
        assert [len(r["answer"]) for r in records(open_source(item))] == [len(answer), 5], item
