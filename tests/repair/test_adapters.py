"""Adapter folders as models: read, merged, repaired into a new adapter; GGUF is named."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from small_models import build, flagged_rows, ordinary_rows, train_tokenizer, write_flagged
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from synflaw_audit.errors import RepairError
from synflaw_audit.repair import RepairConfig, estimate, repair

IDS = torch.arange(40).unsqueeze(0)


def logits(model: PreTrainedModel) -> Tensor:
    model.train(False)
    with torch.no_grad():
        found: Tensor = model(input_ids=IDS).logits
    return found


pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``base``, and ``adapter``: what a fine-tuning left, without the base's weights."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = train_tokenizer()
    tokenizer.save_pretrained(folder / "base")
    build("llama", len(tokenizer)).save_pretrained(folder / "base")
    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    settings = LoraConfig(r=3, lora_alpha=7, target_modules=["q_proj", "v_proj", "up_proj"])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        adapted = get_peft_model(base, settings)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.2)
    adapted.save_pretrained(folder / "adapter")
    return folder


def run(folder: Path, tmp_path: Path, **given: Any) -> Path:
    flagged = write_flagged(tmp_path / "flagged.parquet", flagged_rows())
    settings = {
        "use_cpu": True,
        "learning_rate": 1e-3,
        "tokens": 900,
        "probe_prompts": 0,
        "checks": 0,
    }
    config = RepairConfig(**{**settings, **given.pop("config", {})})
    out = tmp_path / "out"
    repair(
        folder,
        forget=flagged,
        replay=ordinary_rows(40),
        out=out,
        config=config,
        quiet=True,
        **given,
    )
    return out


def test_an_adapter_is_repaired_into_a_whole_model(models: Path, tmp_path: Path) -> None:
    seen: list[Tensor] = []

    def probe(model: PreTrainedModel, tokenizer: Any) -> dict[str, float]:
        seen.append(logits(model))
        return {}

    out = run(models / "adapter", tmp_path, probe=probe)
    base = AutoModelForCausalLM.from_pretrained(models / "base")
    given = logits(PeftModel.from_pretrained(base, models / "adapter"))
    torch.testing.assert_close(seen[0], given, rtol=1e-4, atol=1e-5)
    repaired = logits(AutoModelForCausalLM.from_pretrained(out))
    torch.testing.assert_close(seen[1], repaired, rtol=1e-4, atol=1e-5)
    assert (repaired - given).abs().max() > 1e-3


def test_an_adapter_is_repaired_into_an_adapter_of_the_same_base(
    models: Path, tmp_path: Path
) -> None:
    seen: list[Tensor] = []

    def probe(model: PreTrainedModel, tokenizer: Any) -> dict[str, float]:
        seen.append(logits(model))
        return {}

    settings = {"lora_merge": False, "lora_rank": 2, "learning_rate": 1e-2}
    out = run(models / "adapter", tmp_path, probe=probe, config=settings)
    assert not (out / "model.safetensors").exists()
    written = json.loads((out / "adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == str(models / "base")
    base = AutoModelForCausalLM.from_pretrained(models / "base")
    repaired = logits(PeftModel.from_pretrained(base, out))
    torch.testing.assert_close(seen[1], repaired, rtol=1e-4, atol=1e-5)
    assert (seen[1] - seen[0]).abs().max() > 1e-3
    assert (out / "tokenizer.json").is_file()


def test_a_base_that_moved_is_asked_for_and_taken(models: Path, tmp_path: Path) -> None:
    adapter = shutil.copytree(models / "adapter", tmp_path / "adapter")
    named = adapter / "adapter_config.json"
    settings = json.loads(named.read_text())
    for there, says in (
        ("/gone/base", "/gone/base is not there"),
        (None, "names no"),
    ):
        named.write_text(json.dumps({**settings, "base_model_name_or_path": there}))
        with pytest.raises(RepairError, match=rf"{says}.*--base"):
            run(adapter, tmp_path)
    out = run(adapter, tmp_path, base=models / "base")
    assert (out / "model.safetensors").is_file()


def test_an_estimate_of_an_adapter_is_that_of_its_base(models: Path, tmp_path: Path) -> None:
    flagged = write_flagged(tmp_path / "flagged.parquet", flagged_rows())
    settings = RepairConfig(use_cpu=True, tokens=900)
    found = [
        estimate(
            models / name, forget=flagged, replay=ordinary_rows(40), config=settings, quiet=True
        )
        for name in ("adapter", "base")
    ]
    weights = [{**each.memory, "process": 0, "total": 0} for each in found]
    assert weights[0] == weights[1]
    assert found[0].tokens == found[1].tokens


def test_an_adapter_of_another_model_is_refused(models: Path, tmp_path: Path) -> None:
    tokenizer = train_tokenizer()
    tokenizer.save_pretrained(tmp_path / "other")
    build("gpt2", len(tokenizer)).save_pretrained(tmp_path / "other")
    with pytest.raises(RepairError, match="does not fit its base model"):
        run(models / "adapter", tmp_path, base=tmp_path / "other")


@pytest.mark.parametrize("given", ["file", "folder"])
def test_a_gguf_is_named_for_what_it_is(given: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    file = tmp_path / "model" / "small.Q4_K_M.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(RepairError, match=r"a model in GGUF \(small\.Q4_K_M\.gguf\).*gguf_file"):
        run(file if given == "file" else file.parent, tmp_path)
