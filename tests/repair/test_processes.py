"""What the main process does for all, without any other process."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_models import build, train_tokenizer

from synflaw_audit.errors import MissingExtraError, RepairError
from synflaw_audit.repair import RepairConfig
from synflaw_audit.repair.methods.forgetting.method import Forgetting
from synflaw_audit.repair.methods.watched import _gathered
from synflaw_audit.repair.source import ModelSource
from synflaw_audit.repair.training import processes


class Group:
    """Processes that run one after another; what the first sends reaches the others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.main, self.sent = True, None
        monkeypatch.setattr(
            processes,
            "PartialState",
            lambda: SimpleNamespace(num_processes=2, is_main_process=self.main),
        )
        monkeypatch.setattr(processes, "broadcast_object_list", self.broadcast)

    def broadcast(self, outcome: list[Any]) -> None:
        if self.main:
            self.sent = list(outcome)
        else:
            outcome[:] = self.sent


def refuse() -> int:
    raise MissingExtraError("This", "eval")


def test_all_are_told_what_the_main_process_found(monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group(monkeypatch)
    assert processes.on_main(lambda: 7) == 7
    group.main = False
    assert processes.on_main(refuse) == 7  # not called here


def test_all_stop_when_the_main_process_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group(monkeypatch)
    with pytest.raises(MissingExtraError):
        processes.on_main(refuse)
    group.main = False
    with pytest.raises(RepairError, match="the main process failed: This needs the extra"):
        processes.on_main(lambda: 7)


def test_one_process_asks_nobody() -> None:
    assert processes.on_main(lambda: 7) == 7
    processes.leave_group()


@pytest.mark.parametrize("lora", [False, True])
def test_a_sharded_model_is_put_together_again(lora: bool, tmp_path: Path) -> None:
    tokenizer = train_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    build("llama", len(tokenizer)).save_pretrained(tmp_path)
    settings = RepairConfig(use_cpu=True, lora=lora)
    context = ModelSource(tmp_path, None, None).context(settings, quiet=True)

    def original() -> dict[str, torch.Tensor]:
        return Forgetting().prepare(context.load_original(), context).state_dict()

    trained = {name: weight + torch.rand_like(weight) for name, weight in original().items()}
    trainer: Any = SimpleNamespace(
        is_deepspeed_enabled=False,
        model="wrapped",
        accelerator=SimpleNamespace(get_state_dict={"wrapped": trained}.__getitem__),
    )
    found = _gathered(trainer, context, failed=False).state_dict()
    assert found.keys() == trained.keys()
    for name, weight in trained.items():
        torch.testing.assert_close(found[name], weight)
    expected = original()
    for name, weight in _gathered(trainer, context, failed=True).state_dict().items():
        torch.testing.assert_close(weight, expected[name])
