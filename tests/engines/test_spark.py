"""One corpus on one machine and on Spark: the same report, the same rows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from synflaw_audit import audit
from synflaw_audit.commands.main import app
from synflaw_audit.engines import distributed
from synflaw_audit.engines.base import Outputs, silent
from synflaw_audit.engines.folders import write_folders
from synflaw_audit.engines.spark import session as spark_session
from synflaw_audit.engines.spark.engine import SparkEngine
from synflaw_audit.errors import EngineError, InputError, MissingExtraError, SynflawError
from synflaw_audit.findings.report import Report
from synflaw_audit.records import FLAGGED, RECORDS

PLACE = ["file", "row", "turn"]


@pytest.fixture(scope="module")
def corpus(templated: pd.DataFrame, natural: pd.DataFrame) -> pd.DataFrame:
    """Both kinds, mixed, with text beyond ASCII and two rows that cannot be read."""
    both = pd.concat([templated.head(400), natural.head(400)], ignore_index=True)
    mixed = both.sample(frac=1.0, random_state=7, ignore_index=True).astype(object)
    mixed.loc[[11, 300], "answer"] = None
    mixed.loc[20, "question"] = "Does “this” — naïve — question survive? 你好"
    return mixed


@pytest.fixture(scope="module")
def local(corpus: pd.DataFrame) -> Report:
    return audit(corpus)


def judged(report: Report) -> dict[str, Any]:
    """The report but for where its rows lie and how long it took."""
    found = report.to_dict()
    for finding in found["checks"]:
        if finding["flagged"]:
            del finding["flagged"]["examples"]
    del found["leakage"]["conflicts"]["examples"]
    for key in ("files", "schema"):
        del found["dataset"][key]
    del found["seconds"]
    return found


def flagged(report: Report, columns: list[str]) -> list[dict[str, Any]]:
    found = report.flagged()[columns].astype(object)
    found = found.where(found.notna(), None)  # no text is None to one, NaN to the other
    rows = found.map(lambda v: v.tolist() if hasattr(v, "tolist") else v)
    return sorted(rows.to_dict("records"), key=lambda row: json.dumps(row, sort_keys=True))


@pytest.mark.parametrize(
    ("partitions", "fan_in"),
    [
        (1, 8),
        pytest.param(2, 8, marks=pytest.mark.slow),
        pytest.param(4, 2, marks=pytest.mark.slow),
        (8, 2),
    ],
)
def test_a_frame_is_judged_and_flagged_as_on_one_machine(
    spark: Any,
    corpus: pd.DataFrame,
    local: Report,
    partitions: int,
    fan_in: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(distributed, "FAN_IN", fan_in)
    shuffled = corpus.sample(frac=1.0, random_state=partitions)
    rows = [tuple(row) for row in shuffled[["question", "answer"]].to_numpy()]
    frame = spark.createDataFrame(rows, "question string, answer string").repartition(partitions)
    report = audit(frame)
    assert judged(report) == judged(local)
    assert report.dataset.rejected == 2
    columns = [name for name in FLAGGED.names if name not in PLACE]
    if partitions in (1, 8):  # the rows themselves take a pass more
        found = flagged(report, columns)
        assert len(found) > 100
        assert found == flagged(local, columns)


def write_lines(corpus: pd.DataFrame, folder: Path) -> None:
    rows = [json.dumps(row, ensure_ascii=False).encode() for row in corpus.to_dict("records")]
    rows[5:5] = [b"", b" \t", b"{not json", b'"text"', b'{"answer": 5}', b'{"question": "q\xff"}']
    rows[-20:-20] = [b"", b"[1]"]
    (folder / "a b%20+é.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(rows[:500]))
    below = folder / "below"
    below.mkdir()
    (below / "rest.ndjson").write_bytes(b"\n".join(rows[500:]) + b"\n")


def write_parquet(corpus: pd.DataFrame, folder: Path) -> None:
    table = pa.Table.from_pandas(corpus.assign(other=1), preserve_index=False)
    pq.write_table(table[:500], folder / "a.parquet", row_group_size=60)
    pq.write_table(table[500:], folder / "b.parquet", row_group_size=60)


def write_csv(corpus: pd.DataFrame, folder: Path) -> None:
    filled = corpus.assign(answer=corpus["answer"].fillna(""))
    filled.loc[7, "question"] = ""
    filled.loc[8, "answer"] = 'He said "so",\nand left; \\"ok\\".'
    text = filled.to_csv(index=False).splitlines(keepends=True)
    text[40:40] = ["one cell\n", "a,b,c\n"] if text[40].count('"') == 0 else []
    (folder / "rows.csv").write_text("".join(text), encoding="utf-8")


@pytest.mark.parametrize("write", [write_lines, write_parquet, write_csv])
def test_files_are_read_and_written_as_on_one_machine(
    spark: Any, corpus: pd.DataFrame, tmp_path: Path, write: Any
) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    write(corpus, folder)
    paths = sorted(str(path) for path in folder.rglob("*.*"))
    here, there = tmp_path / "here", tmp_path / "the re"
    expected = audit(paths, out=here, split=True)
    twice = [str(folder), paths[0]]  # no row is read twice
    report = audit(SparkEngine(twice, spark), out=there, split=True)
    found, wanted = report.to_dict(), expected.to_dict()
    for key in ("files", "schema"):  # Spark finds files of one folder in an order of its own
        assert sorted(found["dataset"].pop(key)) == sorted(wanted["dataset"].pop(key))
    del found["seconds"], wanted["seconds"]
    assert found == wanted
    for name, schema in (("flagged", FLAGGED), ("clean", RECORDS), ("quarantined", RECORDS)):
        one, other = (pq.read_table(out / f"{name}.parquet").cast(schema) for out in (here, there))
        assert one.num_rows > 100
        order = [(column, "ascending") for column in PLACE]
        assert one.sort_by(order).equals(other.sort_by(order))
    assert report.flagged()[PLACE].equals(expected.flagged().sort_values(PLACE)[PLACE])
    rejects = [
        json.loads(line)
        for part in sorted((there / "rejected.jsonl").glob("part-*"))
        for line in part.read_text(encoding="utf-8").splitlines()
    ]
    lines = (here / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    said = ["file", "row"] if write is write_csv else ["file", "line", "row", "reason", "preview"]
    assert len(lines) == report.dataset.rejected > 1
    key = lambda row: (row["file"], row["row"])  # noqa: E731
    assert [[row[name] for name in said] for row in sorted(rejects, key=key)] == [
        [row[name] for name in said] for row in sorted(map(json.loads, lines), key=key)
    ]


def test_lines_of_one_file_are_numbered_though_it_is_split(
    spark: Any, corpus: pd.DataFrame, tmp_path: Path
) -> None:
    write_lines(corpus, tmp_path)
    found = SparkEngine([str(tmp_path)], spark).inputs[0]
    assert found.frame.rdd.getNumPartitions() > 2  # otherwise the test above shows nothing


def test_a_table_is_read_by_its_name(spark: Any, corpus: pd.DataFrame, local: Report) -> None:
    rows = [tuple(row) for row in corpus[["question", "answer"]].to_numpy()]
    frame = spark.createDataFrame(rows, "prompt string, completion string")
    frame.write.saveAsTable("made_up")
    engine = SparkEngine(["made_up"], spark)
    first = engine.first_pass(Outputs(), silent)
    assert engine.schemas() == {"made_up": "prompt/completion"}
    assert (first.sketch.records, first.rejected) == (local.dataset.records, 2)


def test_conversations_are_read(spark: Any) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}] * 2
    frame = spark.createDataFrame(
        [(turns,), ([],)], "messages array<struct<role: string, content: string>>"
    )
    first = SparkEngine(frame).first_pass(Outputs(), silent)
    assert (first.sketch.records, first.rejected) == (2, 1)


def test_the_commands_run_on_spark(spark: Any, corpus: pd.DataFrame, tmp_path: Path) -> None:
    write_lines(corpus, tmp_path)
    out = tmp_path / "out"
    arguments = ["gate", str(tmp_path / "below"), "--engine", "spark", "--partitions", "2"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(out), "--quiet"])
    assert done.exit_code == 1, done.output
    assert json.loads((out / "gate.json").read_text())["outcome"] == "fail"
    names = {"flagged.parquet", "clean.parquet", "quarantined.parquet", "rejected.jsonl"}
    assert {path.name for path in out.iterdir() if path.is_dir()} == names


def complaint(engine: SparkEngine, outputs: Outputs | None = None) -> str:
    with pytest.raises(InputError) as caught:
        engine.first_pass(outputs or Outputs(), silent)
    return str(caught.value)


def test_what_cannot_be_read_is_named(spark: Any, tmp_path: Path) -> None:
    frame = spark.createDataFrame([("q", None), ("p", " ")], "question string, answer string")
    said = complaint(SparkEngine(frame))
    assert "none of its 2 rows can be read; the first, row" in said
    assert "answer is" in said
    assert "no rows to audit" in complaint(SparkEngine(frame.limit(0)))
    said = complaint(SparkEngine(frame, answer="completion"))
    assert "no answer column 'completion'. Columns: 'question', 'answer'" in said
    missing = tmp_path / "missing.jsonl"
    assert f"{missing}: no such file" in complaint(SparkEngine([str(missing)], spark))
    assert "made_up_too: no such file, folder or table" in complaint(
        SparkEngine(["made_up_too"], spark)
    )
    (tmp_path / "notes.txt").write_text("?")
    assert "readable are .parquet, .jsonl" in complaint(SparkEngine([str(tmp_path)], spark))
    (tmp_path / "document.json").write_text('[\n{"question": "q", "answer": "a"}\n]')
    said = complaint(SparkEngine([str(tmp_path / "document.json")], spark))
    assert "no file of JSON lines" in said
    (tmp_path / "not.parquet").write_text("PAR")
    said = complaint_of_any(SparkEngine([str(tmp_path / "not.parquet")], spark))
    assert "not.parquet is not a Parquet file" in said
    (tmp_path / "one.csv").write_text("question,answer\nq,a\n")
    (tmp_path / "two.csv").write_text("prompt,answer\nq,a\n")
    said = complaint_of_any(SparkEngine([str(tmp_path / "*.csv")], spark))
    assert "CSV header does not conform to the schema" in said


def test_columns_may_have_any_name(spark: Any) -> None:
    frame = spark.createDataFrame([("q", "a", 1)], "`my.q` string, `the ``a` string, n int")
    engine = SparkEngine(frame, question="my.q", answer="the `a")
    assert engine.first_pass(Outputs(), silent).sketch.answer.to_pylist() == ["a"]


def test_what_only_one_machine_can_do_is_refused(spark: Any) -> None:
    frame = spark.createDataFrame([("q", "a")], "question string, answer string")
    with pytest.raises(InputError, match=r"--resume .* is not for the engine spark"):
        audit(frame, resume=True)
    with pytest.raises(InputError, match=r"--memory-limit .* spark, which is open"):
        audit(SparkEngine(frame), memory_limit=600_000_000)


def complaint_of_any(engine: SparkEngine) -> str:
    with pytest.raises(SynflawError) as caught:
        engine.first_pass(Outputs(), silent)
    return str(caught.value)


def test_what_fails_on_an_executor_is_told_in_a_line(spark: Any) -> None:
    from pyspark.sql import functions

    def fails(number):  # without types, which pyspark would read, and not find here
        if number < 500:
            return "a"
        raise ValueError("boom")

    answer = functions.udf(fails, "string")("id")
    frame = spark.range(1000).select(answer.alias("answer"))  # its first rows can be read
    engine = SparkEngine(frame, answer="answer", question="")
    with pytest.raises(EngineError, match=r"^<DataFrame>: .* not go on: ValueError: boom$"):
        engine.first_pass(Outputs(), silent)


def test_options_for_spark_need_spark(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["audit", "x", "--out", str(tmp_path), "--rows", "hdfs:///x"])
    assert done.exit_code == 2
    assert "--rows (rows= in Python) is not for the engine local" in done.stderr
    with pytest.raises(InputError, match=r"a DataFrame of pyspark\.sql, or names"):
        SparkEngine(object())


def test_rows_of_a_cluster_go_where_its_executors_write(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")

    class Cluster:
        conf = {"spark.master": "yarn"}  # noqa: RUF012 - stands in for a session

    said = complaint(SparkEngine(["corpus"], Cluster()), Outputs(tmp_path))
    assert "--rows" in said
    assert "'yarn'" in said


def test_a_missing_pyspark_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyspark", "pyspark.sql", "pyspark.errors"):
        monkeypatch.setitem(sys.modules, name, None)
    for starts in (lambda: SparkEngine("corpus"), spark_session.start):
        with pytest.raises(MissingExtraError, match=r"pip install 'synflaw-audit\[spark\]'"):
            starts()


def test_a_missing_java_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    code = (
        "from synflaw_audit.engines.spark.session import start\n"
        "from synflaw_audit.errors import EngineError\n"
        "try:\n    start('local[1]')\n"
        "except EngineError as error:\n    print(error)\n"
    )
    bare = {"JAVA_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    found = subprocess.run(  # noqa: S603 - the code above
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=bare
    )
    assert "install a Java runtime" in found.stdout


def writes(text: str | None) -> Callable[[str], None]:
    """Stands in for Spark's writer."""

    def save(target: str) -> None:
        if text is None:
            raise RuntimeError("the disk is full")
        folder = Path(target.removeprefix("file://"))
        folder.mkdir(parents=True)
        (folder / "part-0").write_text(text)

    return save


def test_outputs_appear_together_or_leave_what_was_there(tmp_path: Path) -> None:
    one, other = tmp_path / "one.parquet", tmp_path / "other.parquet"
    one.write_text("of an earlier run")
    with pytest.raises(RuntimeError, match="full"):
        write_folders({f"file://{one}": writes("new"), f"file://{other}": writes(None)})
    assert one.read_text() == "of an earlier run"
    assert [path.name for path in tmp_path.iterdir()] == ["one.parquet"]
    for text in ("new", "newer"):
        write_folders({f"file://{path}": writes(text) for path in (one, other)})
        assert [(path / "part-0").read_text() for path in (one, other)] == [text, text]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.parquet", "other.parquet"]
