"""What a gate leaves of a corpus can take the corpus's place."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from synflaw_audit.commands.main import app
from synflaw_audit.outputs.manifest import read_manifest
from synflaw_audit.outputs.names import SPLIT_FILES, SPLIT_FOLDERS, WORK_FOLDER

FORMAT = "Thank you for asking me about this. In short, "


def gate(corpus: Path, out: Path, *more: str) -> Result:
    arguments = ["gate", str(corpus), "--out", str(out), "--select", "answer-opening", *more]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code in (0, 1), done.stderr
    return done


@pytest.fixture
def rows(natural: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with more than a question and an answer; every second answer begins alike."""
    return [
        {
            "id": number,
            "question": row.question,
            "answer": (FORMAT if number % 2 else "") + row.answer,
            "meta": {"score": number / 3, "tags": ["a", None]},
        }
        for number, row in enumerate(natural.head(120).itertuples())
    ]


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_rows_go_whole_and_every_file_has_its_place(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    (corpus / "below").mkdir(parents=True)
    (corpus / "one.jsonl").write_text(lines(rows[:70]) + "{no JSON\n")
    (corpus / "below" / "two.json").write_text(json.dumps(rows[70:]))
    shown = gate(corpus, out).stdout
    assert "Clean: 60 of 121 rows" in shown
    kept = [row for row in rows if not row["id"] % 2]
    assert (out / "clean" / "one.jsonl").read_text() == lines(kept[:35])
    assert json.loads((out / "clean" / "below" / "two.json").read_text()) == kept[35:]
    left = (out / "quarantined" / "one.jsonl").read_text()
    assert left == lines([row for row in rows[:70] if row["id"] % 2]) + "{no JSON\n"
    manifest = read_manifest(out)
    assert manifest is not None
    assert set(SPLIT_FOLDERS) <= set(manifest.outputs)
    assert (manifest.counts["rows_kept"], manifest.counts["rows_dropped"]) == (60, 61)


def test_a_conversation_goes_with_its_worst_turn(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    def turn(row: dict[str, Any]) -> list[dict[str, str]]:
        return [
            {"role": "user", "content": row["question"]},
            {"role": "assistant", "content": row["answer"]},
        ]

    # Pairs of turns: of every third conversation the second turn carries the format.
    chats = [
        {"messages": [*turn(rows[2 * n]), *turn(rows[2 * n + (n % 3 == 0)])]} for n in range(60)
    ]
    (tmp_path / "chats.jsonl").write_text(lines(chats))
    gate(tmp_path / "chats.jsonl", tmp_path / "out")
    clean = [chat for number, chat in enumerate(chats) if number % 3]
    assert (tmp_path / "out" / "clean" / "chats.jsonl").read_text() == lines(clean)


def test_a_saved_data_set_loads_again(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    data = datasets.Dataset.from_list(rows)
    saved = datasets.DatasetDict(train=data.select(range(80)), test=data.select(range(80, 120)))
    saved.save_to_disk(tmp_path / "saved", num_shards={"train": 2, "test": 1})
    gate(tmp_path / "saved", tmp_path / "out")
    loaded = datasets.load_from_disk(tmp_path / "out" / "clean")
    assert loaded["train"].features == data.features
    kept = [row for row in rows if not row["id"] % 2]
    assert loaded["train"].to_list() == kept[:40]
    assert loaded["test"].to_list() == kept[40:]
    assert loaded["train"]._fingerprint != saved["train"]._fingerprint


def test_a_folder_of_parquet_with_a_card_loads_again(
    rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    corpus = tmp_path / "corpus"
    (corpus / "data").mkdir(parents=True)
    data = datasets.Dataset.from_list(rows)
    data.to_parquet(corpus / "data" / "train-00000-of-00001.parquet")
    (corpus / "README.md").write_text(
        "---\ndataset_info:\n  splits:\n  - name: train\n    num_bytes: 9\n    num_examples: 120\n"
        "  download_size: 9\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n"
        "    path: data/train-*\n---\n# A card\n"
    )
    gate(corpus, tmp_path / "out")
    loaded = datasets.load_dataset(str(tmp_path / "out" / "clean"), split="train")
    assert loaded.to_list() == [row for row in rows if not row["id"] % 2]
    assert "# A card" in (tmp_path / "out" / "clean" / "README.md").read_text()


def test_nothing_flagged_leaves_every_byte(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    plain = [row for row in rows if not row["id"] % 2]
    (tmp_path / "plain.jsonl").write_bytes(b"\xef\xbb\xbf" + lines(plain).encode().rstrip())
    assert gate(tmp_path / "plain.jsonl", tmp_path / "out").exit_code == 0
    original = (tmp_path / "plain.jsonl").read_bytes()
    assert (tmp_path / "out" / "clean" / "plain.jsonl").read_bytes() == original


def test_the_records_alone_are_written_if_asked(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(lines(rows))
    gate(tmp_path / "rows.jsonl", tmp_path / "out")
    gate(tmp_path / "rows.jsonl", tmp_path / "out", "--no-corpus")  # in the first one's place
    assert not any((tmp_path / "out" / name).exists() for name in SPLIT_FOLDERS)
    assert all((tmp_path / "out" / name).exists() for name in SPLIT_FILES)


def test_a_corpus_that_changes_while_it_is_copied_is_an_error(
    rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synflaw_audit.writing import corpus

    path = tmp_path / "rows.jsonl"
    path.write_text(lines(rows))
    split = corpus.split_text

    def and_write(item: Any, *others: Any) -> Any:
        done = split(item, *others)
        path.write_text(lines(rows[:-1]))
        return done

    monkeypatch.setattr(corpus, "split_text", and_write)
    done = CliRunner().invoke(app, ["gate", str(path), "--out", str(tmp_path / "out"), "-q"])
    assert done.exit_code == 2
    assert "changed while it was audited" in done.stderr
    assert not any((tmp_path / "out").glob("clean*"))


def test_a_run_killed_while_it_copies_leaves_nothing_and_is_resumed(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    corpus, whole, killed = (tmp_path / name for name in ("corpus", "whole", "killed"))
    corpus.mkdir()
    for number in range(3):
        (corpus / f"{number}.jsonl").write_text(lines(rows))
    gate(corpus, whole)
    kill_in_the_second_file = """
import os, signal, sys
from synflaw_audit.commands.main import app
from synflaw_audit.writing import corpus
files = []
def split(item, kept, dropped, rows, editor, whole=corpus.split_text):
    files.append(item.name)
    kept.write(b"half a row")
    kept.flush()
    if len(files) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(item, kept, dropped, rows, editor)
corpus.split_text = split
app(sys.argv[1:])
"""
    arguments = ["gate", str(corpus), "--out", str(killed), "--select", "answer-opening", "-q"]
    command = [sys.executable, "-c", kill_in_the_second_file, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, check=False)  # noqa: S603
    assert done.returncode == -signal.SIGKILL
    assert {path.name for path in killed.iterdir()} == {WORK_FOLDER}
    assert (killed / WORK_FOLDER / "staging" / "clean" / "1.jsonl").exists()
    gate(corpus, killed, "--resume")
    for folder in SPLIT_FOLDERS:
        assert files_of(killed / folder) == files_of(whole / folder)
    shutil.rmtree(killed)
    assert pq.read_table(whole / SPLIT_FILES[0]).num_rows == 180


def files_of(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
