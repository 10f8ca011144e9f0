"""A model on this machine, and the same model behind a server on the loopback, propose alike."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from chat_server import Served, serving
from typer.testing import CliRunner, Result

from synflaw_audit.commands.main import app

pytest.importorskip("torch")

OPENING = "Sure thing: "


@pytest.fixture(
    params=["tiny", pytest.param("smollm2", marks=pytest.mark.slow)],
)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with a causal LM."""
    if request.param == "smollm2":
        from real_model import real_model

        return real_model()
    from small_models import build, train_tokenizer

    tokenizer = train_tokenizer()
    for part in (tokenizer, build("llama", len(tokenizer))):
        part.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def fix(corpus: Path, out: Path, name: str) -> Result:
    settings = corpus.with_name("rewriting.toml")
    settings.write_text('candidates = 1\nmodel = "tiny"\n' if "://" in name else "candidates = 1\n")
    arguments = ["fix", str(corpus), "--out", str(out), "--select", "answer-opening"]
    arguments += ["--rewrite-with", name, "--rewriting", str(settings), "--cap", "99"]
    return CliRunner().invoke(app, arguments)


def test_both_propose_the_same_and_only_what_is_proven_is_written(
    model: Path, natural: pd.DataFrame, tmp_path: Path
) -> None:
    from synflaw_audit.probes.generation import generate
    from synflaw_audit.probes.models import load_model

    corpus = tmp_path / "rows.jsonl"
    rows = [
        {"question": row.question, "answer": ("" if n % 10 else OPENING) + row.answer}
        for n, row in enumerate(natural.head(60).itertuples())
    ]
    for row in rows[:30:2]:
        row["answer"] = OPENING + row["answer"].removeprefix(OPENING)
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = fix(corpus, tmp_path / "here", str(model))
    assert done.exit_code in (0, 1), done.output
    network, tokenizer = load_model(model)
    lock = threading.Lock()

    def answer(prompt: str) -> str:
        with lock:
            return generate(network, tokenizer, [prompt], max_new_tokens=48)[0]

    with serving(Served(answer)) as served:
        done = fix(corpus, tmp_path / "there", served.url)
    assert done.exit_code in (0, 1), done.output
    here, there = (
        pq.read_table(tmp_path / name / "rewrites.parquet").to_pylist()
        for name in ("here", "there")
    )
    assert len(here) == len(there) >= 15
    for one in (*here, *there):
        assert one["accepted"] is (one["why"] == "")
        if one["accepted"]:
            assert one["facts_lost"] == one["facts_invented"] == []
    text = (tmp_path / "here" / "fixed" / "rows.jsonl").read_text()
    written = [json.loads(line) for line in text.splitlines()]
    accepted = {one["row"]: one["rewritten"] for one in here if one["accepted"]}
    assert written == [
        {**row, "answer": accepted.get(number, row["answer"])} for number, row in enumerate(rows)
    ]


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from synflaw_audit.errors import MissingExtraError
    from synflaw_audit.rewriting import RewriteSettings
    from synflaw_audit.rewriting.generators import prompted
    from synflaw_audit.rewriting.natural import Natural

    monkeypatch.setattr(prompted, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"synflaw-audit\[repair\]"):
        prompted.prompted("some/model", Natural(), RewriteSettings())
