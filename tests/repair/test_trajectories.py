"""What the trainer did when this was written, step by step, is what it does now.

In the manner of TRL's ``tests/invariant``: the loss and its four terms of a few steps of a tiny
model are kept in ``trajectories.json`` and compared within a tolerance that forgives another
version's order of summation and nothing more. After a change that is meant to change them,

    PYTHONPATH=tests:. python tests/repair/test_trajectories.py

writes the file anew; what changed is then seen in the diff.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import build, flagged_rows, ordinary_rows, train_tokenizer

from synflaw_audit.repair import RepairConfig, RepairTrainer
from synflaw_audit.repair.material.batches import Collator, Cuts, Purpose, encode_rows, mix
from synflaw_audit.repair.methods.forgetting.head import TERMS
from synflaw_audit.repair.storage.adapters import with_adapters

FILE = Path(__file__).with_name("trajectories.json")
RUNS: dict[str, dict[str, Any]] = {
    "spans": {},
    "whole answers": {"scope": "answer", "forget_weight": 0.5},
    "npo": {"loss": "npo", "forget_weight": 1.0},
    "adapters": {"lora": True, "learning_rate": 1e-2},
    "accumulated": {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
    "cached reference": {"reference": "cached"},
}


def trajectory(settings: dict[str, Any], folder: Path) -> list[list[float]]:
    """The loss and its terms at every step."""
    torch.set_num_threads(1)
    tokenizer = train_tokenizer()
    config = RepairConfig(
        **{
            "output_dir": str(folder),
            "use_cpu": True,
            "learning_rate": 2e-3,
            "per_device_train_batch_size": 8,
            "logging_steps": 1,
            "disable_tqdm": True,
            **settings,
        }
    ).concrete()
    flagged, replay = (
        encode_rows(tokenizer, rows, role, scope=config.scope, max_length=128, cuts=Cuts())
        for rows, role in ((flagged_rows(), Purpose.FORGET), (ordinary_rows(), Purpose.REPLAY))
    )
    model: Any = build("llama", len(tokenizer))
    if config.lora:
        torch.manual_seed(0)
        model = with_adapters(model, config)
    trainer = RepairTrainer(
        model,
        config,
        mix(flagged, replay, replay_ratio=1, passes=3, tokens=None, seed=0),
        reference_model=None if config.lora else build("llama", len(tokenizer), seed=1),
        data_collator=Collator(0),
    )
    trainer.train()
    names = ("loss", *(f"{term}_loss" for term in TERMS))
    return [[line[name] for name in names] for line in trainer.state.log_history if "loss" in line]


@pytest.mark.parametrize("name", RUNS)
def test_the_terms_fall_as_they_did(name: str, tmp_path: Path) -> None:
    kept = json.loads(FILE.read_text(encoding="utf-8"))[name]
    found = trajectory(RUNS[name], tmp_path)
    assert len(found) == len(kept) == 6
    for step, (mine, other) in enumerate(zip(found, kept, strict=True)):
        assert mine == pytest.approx(other, rel=2e-3, abs=2e-4), f"step {step + 1}"


def test_every_run_is_kept_and_each_is_another() -> None:
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    assert kept.keys() == RUNS.keys()
    ends = [tuple(run[-1]) for name, run in kept.items() if name != "accumulated"]
    assert len(set(ends)) == len(ends)
    # Accumulating gradients is another way to the same steps.
    for mine, other in zip(kept["accumulated"], kept["spans"], strict=True):
        assert mine == pytest.approx(other, rel=2e-3, abs=2e-4)


if __name__ == "__main__":
    kept = {
        name: [
            [float(f"{value:.5g}") for value in step] for step in trajectory(each, Path("unused"))
        ]
        for name, each in RUNS.items()
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(run)}" for name, run in kept.items())
    FILE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
