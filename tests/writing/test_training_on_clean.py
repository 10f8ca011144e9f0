"""The command that trained on a corpus trains on what a gate leaves of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import datasets
import pandas as pd
import pytest
import trl
from small_models import build, train_tokenizer
from typer.testing import CliRunner

from synflaw_audit.commands.main import app

# TRL and what it imports warn of their own futures, which are not this project's to mend.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

OPENING = "Sure thing: "


def train(folder: Path, out: Path) -> float:
    """A few steps of supervised finetuning on a folder of chats, as its author would; the loss."""
    data = datasets.load_dataset("json", data_dir=str(folder), split="train", cache_dir=str(out))
    assert data.column_names == ["messages", "system", "source"]
    data = data.map(
        lambda row: {"messages": [{"role": "system", "content": row["system"]}, *row["messages"]]},
        remove_columns=["system", "source"],
    )
    tokenizer = train_tokenizer(chat=True)
    # The template of small_models says nothing of roles but the two that it names.
    trainer = trl.SFTTrainer(
        model=build("llama", len(tokenizer)),
        args=trl.SFTConfig(
            output_dir=str(out),
            max_steps=2,
            max_length=64,
            per_device_train_batch_size=2,
            report_to="none",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            disable_tqdm=True,
        ),
        train_dataset=data,
        processing_class=tokenizer,
    )
    return float(trainer.train().training_loss)


@pytest.mark.parametrize("command", ["gate", "fix"])
def test_trl_trains_on_it(command: str, natural: pd.DataFrame, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    rows = [
        {
            "messages": [
                {"role": "user", "content": row.question},
                {"role": "assistant", "content": (OPENING if n % 2 else "") + row.answer},
            ],
            "system": "Be brief.",
            "source": n,
        }
        for n, row in enumerate(natural.head(80).itertuples())
    ]
    (corpus / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = [command, str(corpus), "--select", "answer-opening", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*arguments, *(["--cut"] if command == "fix" else []), "-q"])
    assert done.exit_code == (1 if command == "gate" else 0), done.stderr
    left = tmp_path / "out" / {"gate": "clean", "fix": "fixed"}[command]
    text = (left / "train.jsonl").read_text()
    assert len(re.findall("Be brief", text)) == (40 if command == "gate" else 80)
    assert OPENING not in text
    assert train(left, tmp_path / "trained") > 0
    assert train(corpus, tmp_path / "before") > 0
