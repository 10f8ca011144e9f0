"""Models loaded in 4 or 8 bits, under adapters."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_models import damage, flagged_rows, ordinary_rows, write_flagged

from synflaw_audit.errors import MissingExtraError, RepairError
from synflaw_audit.repair import RepairConfig, repair
from synflaw_audit.repair.training.quantized import loading


def test_without_bitsandbytes_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingExtraError, match=r"synflaw-audit\[quantized\]"):
        loading("4bit", torch.device("cpu"), bf16=False)


def test_what_is_asked_for_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "synflaw_audit.repair.training.quantized.find_spec",
        lambda name: SimpleNamespace() if name == "bitsandbytes" else found(name),
    )
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.50.0")

    def settings(load_in: str, *, bf16: bool = False) -> Any:
        how = loading(load_in, torch.device("cuda"), bf16=bf16)
        assert how["device_map"] == {"": torch.device("cuda")}
        return how["quantization_config"]

    with pytest.raises(RepairError, match="on a GPU only"):
        loading("4bit", torch.device("cpu"), bf16=False)
    assert settings("8bit").load_in_8bit
    assert settings("4bit").load_in_4bit
    assert settings("4bit").bnb_4bit_quant_type == "nf4"
    assert settings("4bit").bnb_4bit_compute_dtype is torch.float32
    assert settings("4bit", bf16=True).bnb_4bit_compute_dtype is torch.bfloat16


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"load_in": "2bit", "lora": True}, "choose one of 4bit, 8bit"),
        ({"load_in": "4bit", "lora": False}, "set lora"),
        ({"load_in": "4bit", "lora": True, "relearn_steps": 3}, "relearning"),
    ],
)
def test_what_does_not_go_together_is_refused(chosen: dict[str, Any], says: str) -> None:
    with pytest.raises(RepairError, match=says):
        RepairConfig(use_cpu=True, **chosen)


@pytest.mark.filterwarnings("ignore:MatMul8bitLt")  # of every cast to half precision
def test_a_model_in_eight_bits_is_repaired(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    damaged = damage(tmp_path / "damaged", chat=False)
    flagged = write_flagged(tmp_path / "flagged.parquet", flagged_rows())
    settings = RepairConfig(
        use_cpu=True,
        lora=True,
        load_in="8bit",
        learning_rate=3e-3,
        num_train_epochs=12,
        forget_weight=0.1,
    )
    result = repair(
        damaged,
        forget=flagged,
        replay=ordinary_rows(40),
        out=tmp_path / "out",
        config=settings,
        quiet=True,
    )
    assert result.improved, result.reasons
    assert result.after["template_probability"] < 0.9 * result.before["template_probability"]
    assert (tmp_path / "out" / "adapter_config.json").is_file()
    assert any("8bit" in note for note in result.notes)
