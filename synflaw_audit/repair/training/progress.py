"""How far a training is, in lines: for logs and for standard error without a terminal."""

from __future__ import annotations

import sys
import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from synflaw_audit.repair.training.processes import is_main
from synflaw_audit.untrusted import visible

# Seconds between two lines: a log without one for longer looks like a run that hangs.
INTERVAL = 20.0


def say(text: str) -> None:
    """Write one line to standard error, from the main process only."""
    if is_main():
        print(visible(text), file=sys.stderr, flush=True)


class ProgressLines(TrainerCallback):
    """Writes a line every :data:`INTERVAL` seconds: steps done, time left, the terms of the loss.

    It looks at the clock after every micro-batch, not only after every step.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._last = 0.0
        self._first_step = 0
        self._terms = ""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock; a resumed run begins at its checkpoint's step."""
        self._started = self._last = time.monotonic()
        self._first_step = state.global_step
        say(f"training: {state.max_steps} steps")

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Keep the terms that were logged last."""
        logs = kwargs.get("logs") or {}
        terms = {name.removesuffix("_loss"): value for name, value in logs.items() if "_" in name}
        chosen = [f"{name} {terms[name]:.3g}" for name in _TERMS if name in terms]
        self._terms = ", ".join(chosen) or self._terms

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """After a micro-batch."""
        self._maybe(state)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """After a step."""
        self._maybe(state)

    def _maybe(self, state: TrainerState) -> None:
        now = time.monotonic()
        if now - self._last < INTERVAL:
            return
        self._last = now
        done = state.global_step - self._first_step
        left = ""
        if done:
            seconds = (now - self._started) / done * (state.max_steps - state.global_step)
            left = f", about {seconds:.0f} s left"
        terms = f"; {self._terms}" if self._terms else ""
        say(f"training: step {state.global_step} of {state.max_steps}{left}{terms}")


_TERMS = ("forget", "retain", "replay", "bias")
