"""What the main process does for all, without any other process."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from synflaw_audit.errors import MissingExtraError, RepairError
from synflaw_audit.repair import processes


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
    processes.part()
