"""Several processes: what one of them does for all, and how they part.

Under ``accelerate launch`` every process runs the same program. The training is shared out by
``transformers``; everything else is done by the main process, which tells the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from synflaw_audit.errors import RepairError

T = TypeVar("T")


def is_main() -> bool:
    """Whether this is the process that reads, measures, writes and prints."""
    return bool(PartialState().is_main_process)


def on_main(function: Callable[[], T]) -> T:
    """What ``function`` gives in the main process, in every process; the others wait for it.

    They are also told that it failed: where one process alone raised, the others would wait on.

    Raises:
        RepairError: In the other processes, whatever it was that the main process raised.
    """
    if PartialState().num_processes == 1:
        return function()
    outcome: list[Any] = [None, None]
    failure: Exception | None = None
    if is_main():
        try:
            outcome[0] = function()
        except Exception as error:
            failure = error
            outcome[1] = f"the main process failed: {error}"
    broadcast_object_list(outcome)
    if failure is not None:
        raise failure
    if outcome[1] is not None:
        raise RepairError(outcome[1])
    found: T = outcome[0]
    return found


def leave_group() -> None:
    """End the group of processes, if there is one, so that none ends while another still talks.

    Left to the interpreter's exit, the group's threads now and then abort the process.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
