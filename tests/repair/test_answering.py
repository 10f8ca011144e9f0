"""The model that is asked is the model that is written."""

from __future__ import annotations

from pathlib import Path

import torch
from small_models import build
from transformers import AutoModelForCausalLM

from synflaw_audit.repair.training.answering import answering


def test_the_copy_that_answers_is_the_model_as_it_would_be_loaded(tmp_path: Path) -> None:
    """In half precision are its weights, and nothing that a loaded model holds in whole."""
    model = build("llama", 200)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    ids = torch.arange(120)[None] % 200
    with answering(model, bf16=True) as asked:
        for (name, ours), theirs in zip(asked.named_buffers(), loaded.buffers(), strict=True):
            assert ours.dtype == theirs.dtype, name
        assert torch.equal(asked(ids).logits, loaded(ids).logits)
    assert all(weight.dtype == torch.float32 for weight in model.parameters())


def test_in_whole_precision_it_is_the_model_itself() -> None:
    model = build("llama", 200).train()
    model.config.use_cache = False
    with answering(model, bf16=False) as asked:
        assert asked is model
        assert not asked.training
        assert asked.config.use_cache
    assert model.training
    assert not model.config.use_cache
