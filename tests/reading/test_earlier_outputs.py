"""What an earlier run wrote is no corpus, wherever it stands."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from synflaw_audit import audit
from synflaw_audit.commands.main import app
from synflaw_audit.errors import InputError
from synflaw_audit.reading import open_source
from synflaw_audit.verdicts.catalogue import find_check, load_checks

CHECKS = [find_check(load_checks(), "answer-opening")]


@pytest.fixture
def corpus(natural: pd.DataFrame, tmp_path: Path) -> Path:
    """A folder with a corpus and, beside it, the outputs of an earlier run."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    natural.head(60).to_json(folder / "rows.jsonl", orient="records", lines=True)
    audit(folder / "rows.jsonl", checks=CHECKS, out=tmp_path / "out", split=True)
    (tmp_path / "out").rename(folder / "out")
    return folder


@pytest.mark.parametrize("pattern", ["", "**/*", "*/*.parquet"])
def test_outputs_in_a_folder_are_skipped_by_name(corpus: Path, pattern: str) -> None:
    if pattern == "*/*.parquet":
        with pytest.raises(InputError, match=r"clean\.parquet \(written by an earlier run"):
            open_source(str(corpus / pattern))
        return
    source = open_source(str(corpus / pattern) if pattern else corpus)
    assert source.files == (str(corpus / "rows.jsonl"),)
    skipped = {Path(each.path).name: each.reason for each in source.skipped}
    assert {"clean.parquet", "flagged.parquet", "rejected.jsonl", "run.json"} <= set(skipped)
    assert "written by an earlier run" in skipped["clean.parquet"]


def test_auditing_again_and_again_sees_the_same_records(corpus: Path) -> None:
    seen = [audit(corpus, checks=CHECKS).dataset.records for _ in range(2)]
    assert seen == [60, 60]


def test_an_output_that_is_named_is_read(corpus: Path) -> None:
    assert open_source(corpus / "out" / "clean.parquet").files


@pytest.mark.parametrize("pattern", ["", "*.jsonl", "**/*.jsonl"])
def test_a_folder_of_outputs_that_is_named_is_read(
    natural: pd.DataFrame, tmp_path: Path, pattern: str
) -> None:
    below = tmp_path / "corpus" / "below"
    below.mkdir(parents=True)
    natural.head(60).to_json(below / "rows.jsonl", orient="records", lines=True)
    gate = ["gate", str(tmp_path / "corpus"), "--select", "answer-opening", "--quiet"]
    assert CliRunner().invoke(app, [*gate, "--out", str(tmp_path / "out")]).exit_code == 0
    clean = tmp_path / "out" / "clean"
    named = clean / "below" if pattern == "*.jsonl" else clean
    files = open_source(str(named / pattern) if pattern else named).files
    assert [Path(file).name for file in files] == ["rows.jsonl"]
    with pytest.raises(InputError, match="written by an earlier run"):
        open_source(tmp_path / "out")


def test_other_files_beside_them_are_read(corpus: Path, natural: pd.DataFrame) -> None:
    natural.tail(20).to_json(corpus / "out" / "more.jsonl", orient="records", lines=True)
    assert str(corpus / "out" / "more.jsonl") in open_source(corpus).files
    (corpus / "out" / "run.json").write_text("{}", encoding="utf-8")  # no manifest of ours
    assert str(corpus / "out" / "clean.parquet") in open_source(corpus).files
