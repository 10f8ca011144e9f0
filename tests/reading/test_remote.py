"""Corpora in stores on other machines are read as those on this one, and no secret is told."""

import gzip
import io
import json
import pickle
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stores import Store, store
from typer.testing import CliRunner

import synflaw_audit
from synflaw_audit.commands.main import app
from synflaw_audit.errors import InputError, MissingExtraError, SynflawError
from synflaw_audit.reading import open_source
from synflaw_audit.remote import is_remote, remote_path, without_credentials

HIDDEN = "t0psecret"


@pytest.fixture(scope="module")
def server() -> Iterator[Store]:
    with store() as opened:
        yield opened


@pytest.fixture
def bucket(server: Store, natural: pd.DataFrame) -> Store:
    """The natural rows in every kind of file."""
    rows = natural[["question", "answer"]].to_dict("records")[:40]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    table = pa.Table.from_pylist(rows)
    parquet, arrow = io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet, row_group_size=16)
    with pa.ipc.new_stream(arrow, table.schema) as stream:
        stream.write_table(table)
    server.files = {
        "bucket/data/train/a.jsonl": text,
        "bucket/data/train/b.jsonl.gz": gzip.compress(text),
        "bucket/data/test/c d.parquet": parquet.getvalue(),
        "bucket/data/test/d.arrow": arrow.getvalue(),
        "bucket/data/dataset_info.json": b"{}",
        "bucket/data/.cache/e.jsonl": text,
        "bucket/data/README.md": b"# Data",
        "bucket/other/f.jsonl": text,
    }
    server.asked.clear()
    return server


def answers(source: str) -> list[str]:
    return [a for batch in open_source(source).batches() for a in batch["answer"].to_pylist()]


def test_every_kind_of_file_reads_as_from_this_machine(bucket: Store, tmp_path: Path) -> None:
    for name, data in bucket.files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    here = open_source(str(tmp_path / "bucket/data"))
    there = open_source(bucket.uri("bucket/data"))
    inside = f"{tmp_path}/"
    assert there.files == tuple(f.replace(inside, "s3://") for f in here.files)
    assert [skipped.reason for skipped in there.skipped] == [
        "hidden",
        "plain text: nothing tells where a row ends",
        "describes a data set and holds no rows",
    ]
    for one, other in zip(here.batches(), there.batches(), strict=True):
        assert one.drop_columns(["file"]).equals(other.drop_columns(["file"]))


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("bucket/data/train/a.jsonl", ["a.jsonl"]),
        ("bucket/data/*/*.jsonl*", ["a.jsonl", "b.jsonl.gz"]),
        ("bucket/data/**/c*", ["c d.parquet"]),
        ("bucket/*", ["c d.parquet", "d.arrow", "a.jsonl", "b.jsonl.gz", "f.jsonl"]),
        ("bucket/data:train", ["a.jsonl", "b.jsonl.gz"]),
        ("bucket", ["c d.parquet", "d.arrow", "a.jsonl", "b.jsonl.gz", "f.jsonl"]),
    ],
)
def test_folders_patterns_and_splits(bucket: Store, name: str, files: list[str]) -> None:
    uri = bucket.uri(name) if ":" not in name else f"{bucket.uri('bucket/data')}"
    if ":" in name:
        path, _, query = uri.partition("?")
        uri = f"{path}:train?{query}"
    assert [file.rpartition("/")[2] for file in open_source(uri).files] == files


def test_only_what_is_asked_for_is_fetched(bucket: Store) -> None:
    table = pa.table(
        {
            "question": ["What?"] * 200,
            "answer": [f"Answer {number}" for number in range(200)],
            "payload": [bytes([n]) * 50_000 for n in range(200)],
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=50, compression="none", use_dictionary=False)
    bucket.files = {"bucket/wide.parquet": sink.getvalue()}
    source = open_source(bucket.uri("bucket/wide.parquet"), question="question", answer="answer")
    source.schemas()
    bucket.asked.clear()
    assert len(list(source.batches())) >= 1
    ranges = [wanted for command, _, wanted in bucket.asked if command == "GET"]
    assert all(ranges)
    spans = (each.removeprefix("bytes=").split("-") for each in ranges)
    fetched = sum(int(last) - int(first) + 1 for first, last in spans)
    assert fetched < len(sink.getvalue()) / 2


def test_a_gate_writes_a_remote_corpus_again(bucket: Store, tmp_path: Path) -> None:
    bucket.files = {k: v for k, v in bucket.files.items() if "/train/" in k or "parquet" in k}
    done = CliRunner().invoke(
        app,
        ["gate", bucket.uri("bucket/data"), "--out", str(tmp_path / "gate"), "--select", "SF301"],
    )
    assert done.exit_code in (0, 1), done.output
    assert HIDDEN not in done.output
    clean = tmp_path / "gate/clean"
    assert sorted(str(p.relative_to(clean)) for p in clean.rglob("*") if p.is_file()) == [
        "test/c d.parquet",
        "train/a.jsonl",
        "train/b.jsonl.gz",
    ]
    left = sum(len((clean / f"train/{n}").read_bytes()) for n in ("a.jsonl",))
    assert left <= len(bucket.files["bucket/data/train/a.jsonl"])
    told = [p for p in tmp_path.rglob("*") if p.is_file() and HIDDEN.encode() in p.read_bytes()]
    assert told == []
    manifest = json.loads((tmp_path / "gate/run.json").read_text())
    inputs = manifest["inputs"]["corpus"]
    assert {entry["size"] for entry in inputs.values()} == {
        len(data) for data in bucket.files.values()
    }
    assert all(entry["version"] for entry in inputs.values())


def test_a_run_is_resumed_only_where_the_store_holds_the_same_version(
    bucket: Store, tmp_path: Path
) -> None:
    source = open_source(bucket.uri("bucket/data/train/a.jsonl"))
    stamps = source.stamps()
    assert source.stamps() == stamps
    name = "bucket/data/train/a.jsonl"
    data = bucket.files[name]
    bucket.files[name] = data.replace(b"e", b"f", 1)
    assert len(bucket.files[name]) == len(data)
    assert source.stamps() != stamps


def test_a_file_that_changes_between_the_passes_is_an_error(
    bucket: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "bucket/data/train/a.jsonl"

    def changing(stage: str, _: int) -> None:
        if stage == "measuring":
            bucket.files[name] = bucket.files[name].replace(b"e", b"f", 1)

    with pytest.raises(InputError, match="changed while it was audited"):
        synflaw_audit.audit(bucket.uri(name), progress=changing, select="SF301")


@pytest.mark.parametrize("name", ["bucket/none.jsonl", "nobody/none", "bucket/data/README.md"])
def test_what_is_not_there_or_no_corpus_is_named_without_secrets(bucket: Store, name: str) -> None:
    with pytest.raises(InputError) as told:
        open_source(bucket.uri(name))
    assert f"s3://{name}" in str(told.value)
    assert HIDDEN not in str(told.value)


@pytest.mark.slow  # Arrow asks three times
def test_a_store_that_does_not_answer_is_an_error(bucket: Store) -> None:
    uri = bucket.uri("bucket/data").replace(bucket.address, "127.0.0.1:1")
    with pytest.raises(InputError, match="cannot be read") as told:
        open_source(uri)
    assert HIDDEN not in str(told.value)


def test_a_source_of_remote_files_can_be_pickled(bucket: Store) -> None:
    source = open_source(bucket.uri("bucket/data/test/*"))
    sent = pickle.loads(pickle.dumps(source))  # noqa: S301 - our own
    assert [b.num_rows for b in sent.batches()] == [b.num_rows for b in source.batches()]


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("s3://bucket/x", True),
        ("S3A://bucket/x", True),
        ("hf://datasets/org/name", True),
        ("https://host/x.jsonl", True),
        ("file:///tmp/x.jsonl", False),
        ("C:/x", False),
        ("org/name", False),
        ("data:train", False),
        ("-", False),
    ],
)
def test_uris_are_told_from_paths(name: str, is_one: bool) -> None:
    assert is_remote(name) is is_one


def test_a_path_object_of_a_uri_is_the_uri(bucket: Store) -> None:
    uri = bucket.uri("bucket/other/f.jsonl")
    assert open_source(Path(uri)).files == open_source(uri).files


def test_files_by_uri_are_files_of_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "a b.jsonl"
    path.write_text('{"question": "q", "answer": "a"}\n')
    assert answers(path.as_uri()) == ["a"]
    assert open_source(path.as_uri()).files == (str(path),)


def test_fsspec_reads_what_arrow_does_not() -> None:
    files = fsspec.filesystem("memory")
    files.pipe("/corpus/train/a.jsonl", b'{"question": "q", "answer": "a"}\n')
    files.pipe("/corpus/test.csv", b"question,answer\nq,b\n")
    assert answers("memory://corpus") == ["b", "a"]
    assert answers("memory://corpus/*/a.jsonl") == ["a"]
    assert answers("memory://corpus:test") == ["b"]
    with pytest.raises(InputError, match="no such file"):
        open_source("memory://corpus/none.jsonl")


def test_the_web_needs_an_extra_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("aiohttp is not installed")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingExtraError, match=r"synflaw-audit\[remote\]"):
        open_source("https://example.org/a.jsonl?token=t0psecret")


def test_web_files_are_read(bucket: Store) -> None:
    pytest.importorskip("aiohttp")
    uri = f"http://{bucket.address}/bucket/data/train/b.jsonl.gz?token={HIDDEN}"
    source = open_source(uri)
    assert source.files == (f"http://{bucket.address}/bucket/data/train/b.jsonl.gz",)
    assert len(answers(uri)) == 40


def test_a_web_server_that_is_silent_or_refuses_is_no_missing_file(bucket: Store) -> None:
    pytest.importorskip("aiohttp")
    with pytest.raises(InputError, match="no such file or folder"):
        open_source(f"http://{bucket.address}/bucket/data/none.jsonl")
    bucket.forbidden.add("bucket/data/shut.jsonl")
    for place, reason in (
        (f"{bucket.address}/bucket/data/shut.jsonl", "403"),
        ("127.0.0.1:9/a.jsonl", "connect"),
    ):
        with pytest.raises(InputError, match=f"cannot be read: .*{reason}") as told:
            open_source(f"http://{place}?token={HIDDEN}")
        assert HIDDEN not in str(told.value)


@pytest.mark.parametrize("uri", ["foo://a/b.jsonl", "hdfs://nowhere/x.jsonl"])
def test_schemes_that_nothing_reads_are_refused(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(SynflawError) as told:
        remote_path(uri)
    assert len(str(told.value)) < 600


def test_secrets_are_shown_nowhere() -> None:
    uri = "s3://someone:t0psecret@bucket/x.jsonl?endpoint_override=a:1&session=t0psecret"
    assert without_credentials(uri) == "s3://bucket/x.jsonl"
    path = remote_path("s3://someone:t0psecret@bucket/x?endpoint_override=a:1&region=x")
    assert HIDDEN not in repr(path)


def test_moto_answers_alike(natural: pd.DataFrame, tmp_path: Path) -> None:
    command = shutil.which("moto_server")
    if command is None:
        pytest.skip("moto's server is not installed")
    text = "".join(
        json.dumps(row) + "\n" for row in natural[["question", "answer"]].to_dict("records")
    )
    process = subprocess.Popen(  # noqa: S603
        [command, "-p", "5123"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def put(name: str, data: bytes) -> None:
        request = Request(f"http://127.0.0.1:5123/{name}", data, method="PUT")
        request.add_header("Content-Type", "application/octet-stream")
        request.add_header(
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=a/20261126/us-east-1/s3/aws4_request, "
            "SignedHeaders=host, Signature=0",
        )
        urlopen(request).close()  # noqa: S310 - of this machine

    try:
        for _ in range(100):
            try:
                put("bucket", b"")
                break
            except OSError:
                time.sleep(0.2)
        put("bucket/data/train.jsonl.gz", gzip.compress(text.encode()))
        query = "?endpoint_override=127.0.0.1:5123&scheme=http&region=us-east-1"
        source = open_source(f"s3://a:b@bucket/data{query}")
        assert source.files == ("s3://bucket/data/train.jsonl.gz",)
        assert sum(batch.num_rows for batch in source.batches()) == len(natural)
        before = source.stamps()
        put("bucket/data/train.jsonl.gz", gzip.compress(text.replace("the", "teh").encode()))
        assert source.stamps() != before
    finally:
        process.terminate()
        process.wait()
