"""Never make it worse: watch held-out perplexity while training, keep the last good weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from synflaw_audit.repair.batches import Collator, Example
from synflaw_audit.repair.measure import perplexity


class HeldOutGuard(TrainerCallback):
    """Stops a run whose held-out perplexity rises too far, and can undo what it did.

    Attributes:
        failure: Why the run was stopped, or None.
        history: ``(step, perplexity)`` of every check, step 0 first.
    """

    def __init__(
        self,
        model: nn.Module,
        held_out: Sequence[Example],
        collator: Collator,
        *,
        checks: int,
        max_rise: float,
        batch_size: int,
    ) -> None:
        self.failure: str | None = None
        self.history: list[tuple[int, float]] = []
        self._model = model
        self._held_out = held_out
        self._collator = collator
        self._checks = checks
        self._max_rise = max_rise
        self._batch_size = batch_size
        self._good = self._weights()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measure where the run starts."""
        if self._held_out and self._checks and not self.history:
            self.history.append((state.global_step, self._perplexity()))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Every so often, check; stop on a rise beyond the bound, else remember the weights."""
        if not self.history or self.failure:
            return
        every = max(1, state.max_steps // self._checks)
        if state.global_step % every and state.global_step != state.max_steps:
            return
        now = self._perplexity()
        self.history.append((state.global_step, now))
        start = self.history[0][1]
        # Written so that NaN fails it.
        if math.isfinite(now) and now <= start * (1 + self._max_rise):
            self._good = self._weights()
            return
        self.failure = (
            f"held-out perplexity went from {start:.4g} to {now:.4g} by step {state.global_step}, "
            f"beyond the bound of {self._max_rise:.0%}"
        )
        control.should_training_stop = True

    @torch.no_grad()
    def restore(self) -> None:
        """Put the last weights that passed a check back into the model."""
        for name, parameter in self._trained():
            parameter.copy_(self._good[name])

    def _perplexity(self) -> float:
        return perplexity(self._model, self._held_out, self._collator, self._batch_size)

    def _trained(self) -> list[tuple[str, nn.Parameter]]:
        return [(n, p) for n, p in self._model.named_parameters() if p.requires_grad]

    def _weights(self) -> dict[str, Tensor]:
        return {
            name: parameter.detach().to("cpu", copy=True) for name, parameter in self._trained()
        }
