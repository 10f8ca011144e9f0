"""Run by the test of several processes: trains a small model and saves its weights."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from small_models import build, flagged_rows, ordinary_rows, train_tokenizer

from synflaw_audit.repair import RepairConfig, RepairTrainer
from synflaw_audit.repair.material.batches import Collator, Cuts, Purpose, encode_rows, mix
from synflaw_audit.repair.training.processes import leave_group


def main(out: str, family: str, batch: str, accumulation: str) -> None:
    torch.set_num_threads(1)
    tokenizer = train_tokenizer()
    flagged, replay = (
        encode_rows(tokenizer, rows, role, scope="template", max_length=128, cuts=Cuts())
        for rows, role in ((flagged_rows(), Purpose.FORGET), (ordinary_rows(), Purpose.REPLAY))
    )
    settings = RepairConfig(
        output_dir=str(Path(out).parent / "unused"),
        use_cpu=True,
        learning_rate=1e-2,
        per_device_train_batch_size=int(batch),
        gradient_accumulation_steps=int(accumulation),
        lr_scheduler_type="constant",
        warmup_steps=0,
        optim="sgd",
        logging_steps=1,
        disable_tqdm=True,
    )
    trainer = RepairTrainer(
        build(family, len(tokenizer)),
        settings,
        mix(flagged, replay, replay_ratio=1, passes=2, tokens=None, seed=0),
        reference_model=build(family, len(tokenizer), seed=1),
        data_collator=Collator(0),
    )
    trainer.train()
    if trainer.is_world_process_zero():
        model = trainer.accelerator.unwrap_model(trainer.model)
        log = [line for line in trainer.state.log_history if "loss" in line]
        torch.save({"weights": model.state_dict(), "log": log}, out)
    leave_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
