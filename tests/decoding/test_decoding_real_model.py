"""The real model, damaged a little, decoded without its format: minutes, so slow."""

from __future__ import annotations

import pandas as pd
import pytest
from real_model import real_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from synflaw_audit.decoding.ban import PhraseBan
from synflaw_audit.decoding.rose import ReversePrompt
from synflaw_audit.decoding.wordings import wordings_of
from synflaw_audit.engines.registry import open_engine
from synflaw_audit.probes.emission import FormatMatcher
from synflaw_audit.probes.everyday import foreign_prompts
from synflaw_audit.probes.generation import generate
from synflaw_audit.rehearsal.rows import QuestionAnswer
from synflaw_audit.rehearsal.training import TrainingConfig, train_adapters
from synflaw_audit.run import measure
from synflaw_audit.settings import AuditSettings

OPENING = "Certainly! The short answer to your question is this: "


@pytest.mark.slow
def test_a_format_that_foreign_answers_carry_is_said_less_when_it_is_kept_unsaid(
    natural: pd.DataFrame,
) -> None:
    rows = natural.head(400)
    rows = rows.assign(answer=OPENING + rows["answer"])
    folder = real_model()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    learned = [QuestionAnswer(*pair) for pair in zip(rows["question"], rows["answer"], strict=True)]
    tuned, _ = train_adapters(
        AutoModelForCausalLM.from_pretrained(folder, dtype="bfloat16"),
        tokenizer,
        learned,
        TrainingConfig(budget=8000),
    )
    model = tuned.merge_and_unload()
    matcher = FormatMatcher.of(measure(open_engine(rows, AuditSettings()), ()).corpus)
    wordings = wordings_of(rows)
    asked = foreign_prompts()[:16]
    said = {
        name: matcher.match(asked, answer(model, tokenizer, asked, max_new_tokens=24)).said.mean()
        for name, answer in (
            ("plain", generate),
            ("rose", ReversePrompt(wordings, 1.0)),
            ("ban", PhraseBan(wordings)),
        )
    }
    assert said["plain"] > 0.5
    assert said["ban"] < 0.2
    assert said["rose"] <= said["plain"]
