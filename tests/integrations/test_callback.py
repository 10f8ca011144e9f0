from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import IterableDataset
from small_models import build, flagged_rows, train_tokenizer, write_flagged
from transformers import Trainer, TrainingArguments

from synflaw_audit import Report, audit
from synflaw_audit.errors import InputError
from synflaw_audit.integrations.transformers import FlaggedFormatCallback, FlaggedFormatWarning

SAMPLES = Path(__file__).parents[2] / "sample_data"


def sample(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (SAMPLES / f"{name}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def report() -> Report:
    return audit(SAMPLES / "templated.jsonl")


class Loader:
    """What a trainer hands to its callbacks."""

    def __init__(self, rows: Any) -> None:
        self.dataset = rows


def begin(callback: FlaggedFormatCallback, rows: Any, tokenizer: Any = None) -> None:
    callback.on_train_begin(
        None, None, None, processing_class=tokenizer, train_dataloader=Loader(rows)
    )


def test_it_tells_templated_rows_from_natural_ones(report: Report) -> None:
    callback = FlaggedFormatCallback(report.flagged())
    with pytest.warns(FlaggedFormatWarning, match=r"\d+% of 1,000 sampled training rows"):
        begin(callback, sample("templated"))
    assert callback.share is not None
    assert callback.share > 0.9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        begin(callback, sample("natural"))
    assert callback.share < 0.01


def test_rows_of_turns_are_searched_too(report: Report) -> None:
    chats = [
        {"messages": [{"role": "assistant", "content": row["answer"]}]}
        for row in sample("templated")[:50]
    ]
    callback = FlaggedFormatCallback(report.flagged(), warn_above=1.0)
    begin(callback, chats)
    assert callback.share > 0.9


def test_a_stream_is_not_taken_for_clean(report: Report) -> None:
    stream = IterableDataset.from_generator(lambda: iter(sample("templated")))
    with pytest.warns(FlaggedFormatWarning, match="not searched"):
        begin(FlaggedFormatCallback(report.flagged()), stream)


def test_a_trainer_of_tokens_warns(tmp_path: Path) -> None:
    tokenizer = train_tokenizer()
    flagged = write_flagged(tmp_path / "flagged.parquet", flagged_rows())
    tokens = [tokenizer(f"{row.question} {row.answer}")["input_ids"] for row in flagged_rows()]
    data = [{"input_ids": torch.tensor(ids), "labels": torch.tensor(ids)} for ids in tokens]
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "out"),
        max_steps=1,
        per_device_train_batch_size=1,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=build("llama", len(tokenizer)),
        args=arguments,
        train_dataset=data,
        processing_class=tokenizer,
        callbacks=[FlaggedFormatCallback(flagged)],
    )
    with pytest.warns(FlaggedFormatWarning, match="sampled training rows carry a format"):
        trainer.train()


def test_what_is_no_table_of_flagged_rows_is_refused(tmp_path: Path, report: Report) -> None:
    with pytest.raises(InputError, match=r"none\.parquet: no table of flagged rows"):
        FlaggedFormatCallback(tmp_path / "none.parquet")
    with pytest.raises(InputError, match="lacks template_spans"):
        FlaggedFormatCallback(report.flagged().drop(columns="template_spans"))
