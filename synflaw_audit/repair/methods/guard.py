"""Never make it worse: watch the model while it trains, keep the last good weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from synflaw_audit.repair.material.batches import Collator, TrainingExample
from synflaw_audit.repair.measuring.likelihoods import likelihoods, repetition
from synflaw_audit.repair.training.freed import give_back
from synflaw_audit.repair.training.processes import on_main

# Share of repeated 4-grams in greedy answers; a rise beyond this is a model stuck in a loop.
_MAX_REPETITION_RISE = 0.5
# Rows that a check looks at: enough to see a collapse, few enough to look often.
_FLAGGED_ROWS = 32
_PROMPTS = 8


class Guard(TrainerCallback):
    """Stops a run that does harm, and can undo what it did.

    A check takes three figures: ``replay_perplexity`` on held-out rows, ``template_probability`` on
    some flagged rows, ``repetition`` in greedy answers to some held-out prompts. The run is stopped
    when a figure is not finite, or when perplexity is beyond the bound or the answers loop at two
    checks in a row, or at the last one: while the rate is high a model may stumble, and recover.

    Args:
        model: The original model, which the training will change in place; not wrapped.
        flagged: Flagged rows, encoded with scope ``template``.
        held_out: Replay rows that are not trained on; without any, nothing is watched.
        collator: Pads them.
        checks: How many checks to spread over the run; 0 for none.
        max_rise: Relative rise of perplexity that is still accepted.
        stop_below: Mean probability of a template token at which the format counts as gone and the
            run as finished; None to use up the budget.
        batch_size: Rows at a time.

    Attributes:
        failure: Why the run was stopped as harmful, or None.
        finished: Why the run was stopped as done, or None.
        history: The figures of every check with their ``step``, step 0 first.
    """

    def __init__(
        self,
        model: nn.Module,
        flagged: Sequence[TrainingExample],
        held_out: Sequence[TrainingExample],
        collator: Collator,
        *,
        checks: int,
        max_rise: float,
        stop_below: float | None,
        batch_size: int,
    ) -> None:
        self.failure: str | None = None
        self.finished: str | None = None
        self.history: list[dict[str, float]] = []
        self._model = model
        self._flagged = flagged[:_FLAGGED_ROWS]
        self._held_out = held_out
        self._collator = collator
        self._checks = checks
        self._max_rise = max_rise
        self._stop_below = stop_below
        self._batch_size = batch_size
        self._good = self._weights()
        self._doubted = False
        # Here, not where the training begins: a resumed one begins at its checkpoint, and harm is
        # measured against the original.
        if held_out and checks:
            self.history.append(self._figures(0))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Every so often, check; stop on harm, else remember the weights."""
        if not self.history or self.failure or self.finished:
            return
        every = max(1, state.max_steps // self._checks)
        if state.global_step % every and state.global_step != state.max_steps:
            return
        now = self._figures(state.global_step)
        self.history.append(now)
        found = harm(self.history[0], now, self._max_rise)
        if found:
            broken = not all(map(math.isfinite, now.values()))
            if broken or self._doubted or state.global_step == state.max_steps:
                self.failure = found
                control.should_training_stop = True
            self._doubted = True
            return
        self._doubted = False
        self._good = self._weights()
        probability = now.get("template_probability", 1.0)
        if self._stop_below is not None and probability <= self._stop_below:
            self.finished = (
                f"at step {state.global_step} a template token was as likely "
                f"({probability:.3g}) as a token of ordinary answers ({self._stop_below:.3g})"
            )
            control.should_training_stop = True

    @torch.no_grad()
    def restore(self) -> None:
        """Put the last weights that passed a check back into the model."""
        for name, parameter in self._trained():
            parameter.copy_(self._good[name])

    def _figures(self, step: int) -> dict[str, float]:
        """Of the main process, for all: they must agree on whether to stop."""
        return on_main(lambda: self._measure(step))

    def _measure(self, step: int) -> dict[str, float]:
        figures = likelihoods(
            self._model, self._flagged, self._held_out, self._collator, batch_size=self._batch_size
        )
        looping = repetition(self._model, self._held_out[:_PROMPTS], self._collator.pad_id)
        give_back()  # what measuring held is not to lie beside what training holds
        wanted = ("template_probability", "replay_perplexity")
        chosen = {name: figures[name] for name in wanted if name in figures}
        return {"step": float(step), **chosen, "repetition": looping}

    def _trained(self) -> list[tuple[str, nn.Parameter]]:
        return [(n, p) for n, p in self._model.named_parameters() if p.requires_grad]

    def _weights(self) -> dict[str, Tensor]:
        return {
            name: parameter.detach().to("cpu", copy=True) for name, parameter in self._trained()
        }


def harm(start: Mapping[str, float], now: Mapping[str, float], max_rise: float) -> str | None:
    """What went wrong between two checks, in a sentence; None where nothing did."""
    step = int(now["step"])
    broken = [name for name, value in now.items() if not math.isfinite(value)]
    if broken:
        return f"{', '.join(broken)} not finite at step {step}"
    old, new = start["replay_perplexity"], now["replay_perplexity"]
    if new > old * (1 + max_rise):
        return (
            f"held-out perplexity went from {old:.4g} to {new:.4g} by step {step}, beyond the "
            f"bound of {max_rise:.0%}"
        )
    old, new = start["repetition"], now["repetition"]
    if new > old + _MAX_REPETITION_RISE:
        return f"answers began to loop by step {step}: repeated 4-grams {old:.0%}, then {new:.0%}"
    return None
