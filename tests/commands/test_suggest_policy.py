"""``--suggest-policy`` writes one new file, or nothing at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from synflaw_audit.commands.main import app


def gate(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["gate", *map(str, arguments), "--select", "SF102", "-q"])


@pytest.fixture
def corpus(natural: pd.DataFrame, tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    natural.head(80).to_json(tmp_path / "corpus" / "a.jsonl", orient="records", lines=True)
    natural.tail(80).to_json(tmp_path / "ref.jsonl", orient="records", lines=True)
    return tmp_path / "corpus"


@pytest.mark.parametrize("target", ["corpus/a.jsonl", "ref.jsonl", "pruned.toml", "link.toml"])
def test_a_file_that_is_there_is_never_written(corpus: Path, target: str) -> None:
    home = corpus.parent
    (home / "pruned.toml").write_text("strict = 1", encoding="utf-8")
    (home / "link.toml").symlink_to(corpus / "a.jsonl")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    done = gate(
        corpus, "--reference", home / "ref.jsonl", "--out", home / "o",
        "--suggest-policy", home / target,
    )  # fmt: skip
    assert done.exit_code == 2
    assert {path: path.read_bytes() for path in before} == before
    assert not (home / "o" / "gate.json").exists()


def test_one_that_cannot_be_written_leaves_no_verdict(corpus: Path) -> None:
    home = corpus.parent
    done = gate(corpus, "--out", home / "o", "--suggest-policy", home / "missing" / "x.toml")
    assert done.exit_code == 2
    assert not (home / "o" / "gate.json").exists()


def test_a_new_one_is_written(corpus: Path) -> None:
    home = corpus.parent
    done = gate(corpus, "--out", home / "o", "--suggest-policy", home / "new.toml")
    assert done.exit_code == 0
    assert (home / "new.toml").read_text(encoding="utf-8")
    assert (home / "o" / "gate.json").exists()
