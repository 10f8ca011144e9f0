"""The trainer: one step forgets, retains, replays and stays close, over one concatenated batch.

Terms are means over their own tokens. So that the size of a micro-batch, the number of processes
and the mix of roles in a batch do not change what is optimised, each term is divided by the number
of its tokens in the whole accumulated batch of all processes, which ``transformers`` asks for
through ``_get_num_items_in_batch`` before the first micro-batch is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, Trainer

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.batches import Collator, Example, Purpose, pad_id
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.forward import in_chunks, output_layer, selected_logits
from synflaw_audit.repair.losses import (
    METHODS,
    TokenScores,
    bias_kl,
    cross_entropy,
    target_scores,
)
from synflaw_audit.repair.reference import AdapterOff, Reference, SecondModel, check_vocabulary

TERMS = ("forget", "retain", "replay", "bias")


@dataclass(frozen=True)
class _Targets:
    """The target positions of a batch, sorted by purpose, so that each purpose is a slice.

    ``rows`` and ``columns`` say where the logits stand that predict ``ids``; shape ``(n,)``.
    """

    rows: Tensor
    columns: Tensor
    ids: Tensor
    bounds: dict[Purpose, slice]

    @classmethod
    def of(cls, inputs: dict[str, Tensor]) -> _Targets:
        purposes = inputs["purposes"][:, 1:]
        rows, columns = purposes.nonzero(as_tuple=True)
        kinds = purposes[rows, columns]
        order = kinds.argsort(stable=True)
        rows, columns, kinds = rows[order], columns[order], kinds[order]
        bounds = {}
        start = 0
        for purpose, size in _sizes(kinds).items():
            bounds[purpose] = slice(start, start + size)
            start += size
        return cls(rows, columns, inputs["input_ids"][rows, columns + 1], bounds)

    def span(self, first: Purpose, last: Purpose) -> slice:
        return slice(self.bounds[first].start, self.bounds[last].stop)


class RepairTrainer(Trainer):
    """``transformers.Trainer`` for :class:`RepairConfig`, over :class:`~.batches.Example` rows.

    Args:
        model: The model to repair; with LoRA, a PEFT model.
        args: The configuration.
        train_dataset: Rows in the order of training, as :func:`~.batches.mix` gives them.
        reference_model: What the KL (and NPO) compares with. None: the adapters off, where the
            model has adapters; else a frozen copy of the model as it stands.
        **kwargs: As for ``transformers.Trainer``.

    Raises:
        RepairError: The reference's vocabulary differs from the model's.
    """

    # The loss is normalised over the whole accumulated batch; the trainer must not divide it again.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: PreTrainedModel | nn.Module,
        args: RepairConfig,
        train_dataset: Sequence[Example] | None = None,
        reference_model: PreTrainedModel | None = None,
        **kwargs: Any,
    ) -> None:
        tokenizer = kwargs.get("processing_class")
        if "data_collator" not in kwargs:
            kwargs["data_collator"] = Collator(0 if tokenizer is None else pad_id(tokenizer))
        super().__init__(model=model, args=args, train_dataset=train_dataset, **kwargs)
        if args.n_gpu > 1:
            # DataParallel would scatter the batch behind our back; several devices go through
            # `accelerate launch`, one process each.
            args._n_gpu = 1
        self.settings = args
        self.failure: str | None = None
        self._method = METHODS[args.method]
        self._head = output_layer(self.accelerator.unwrap_model(self.model))
        self._reference = self._make_reference(reference_model)
        self._parts = torch.zeros(len(TERMS), device=self.args.device)
        self._parts_since = 0

    def _make_reference(self, reference_model: PreTrainedModel | None) -> Reference | None:
        forgets_against_it = self._method.needs_reference and self.settings.forget_weight > 0
        if self.settings.bias_weight == 0 and not forgets_against_it:
            return None
        if reference_model is not None:
            check_vocabulary(self.model, reference_model)
            return SecondModel(reference_model)
        if hasattr(self.model, "disable_adapter"):
            return AdapterOff(self.model)
        return SecondModel.copy_of(self.model)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Tensor:
        """Tokens of each purpose in the accumulated batch of all processes.

        Returns:
            Float32, shape ``(4,)``: forgotten, retained and replayed tokens, and rows with
            forgotten tokens.
        """
        counts = torch.zeros(4, device=device)
        for batch in batch_samples:
            purposes = batch["purposes"][:, 1:]
            for at, purpose in enumerate((Purpose.FORGET, Purpose.RETAIN, Purpose.REPLAY)):
                counts[at] += (purposes == purpose).sum()
            counts[3] += (purposes == Purpose.FORGET).any(-1).sum()
        gathered: Tensor = self.accelerator.gather(counts).reshape(-1, 4).sum(0)
        return gathered

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The weighted sum of the four terms over one micro-batch, scaled for accumulation."""
        if not isinstance(num_items_in_batch, Tensor):
            num_items_in_batch = self._get_num_items_in_batch([inputs], self.args.device)
        counts = num_items_in_batch.clamp(min=1)
        targets = _Targets.of(inputs)
        features = {name: value for name, value in inputs.items() if name != "purposes"}
        logits = selected_logits(model, self._head, features, targets.rows, targets.columns)
        terms = {
            "forget": self._forget(logits, features, targets, counts),
            "retain": self._learn(logits, targets, Purpose.RETAIN) / counts[1],
            "replay": self._learn(logits, targets, Purpose.REPLAY) / counts[2],
            "bias": self._bias(logits, features, targets, counts),
        }
        settings = self.settings
        weights = {name: getattr(settings, f"{name}_weight") for name in TERMS}
        loss = sum((weights[name] * terms[name] for name in TERMS), logits.new_zeros(()).float())
        self._parts += torch.stack([terms[name].detach() for name in TERMS])
        # Gradients are averaged over the processes, while the counts are of all of them.
        loss = loss * self.accelerator.num_processes
        return (loss, {"logits": logits}) if return_outputs else loss

    def _learn(self, logits: Tensor, targets: _Targets, purpose: Purpose) -> Tensor:
        """Sum of cross-entropies over the tokens of one purpose."""
        where = targets.bounds[purpose]
        weight = getattr(self.settings, f"{purpose.name.lower()}_weight")
        if where.start == where.stop or weight == 0:
            return logits.new_zeros(()).float()

        def of_chunk(chunk: Tensor, ids: Tensor) -> tuple[Tensor, ...]:
            return (cross_entropy(chunk, ids),)

        pair = (logits[where], targets.ids[where])
        return in_chunks(of_chunk, pair, self.settings.chunk_tokens)[0].sum()

    def _forget(
        self, logits: Tensor, features: dict[str, Tensor], targets: _Targets, counts: Tensor
    ) -> Tensor:
        """The forgetting loss over its own number of tokens, or of rows."""
        where = targets.bounds[Purpose.FORGET]
        if where.start == where.stop or self.settings.forget_weight == 0:
            return logits.new_zeros(()).float()
        pair = (logits[where], targets.ids[where])
        log_p, log_not_p, log_runner_up = in_chunks(target_scores, pair, self.settings.chunk_tokens)
        reference_log_p = None
        if self._method.needs_reference:
            reference_logits = self._reference_logits(features, targets, where)
            pair = (reference_logits, targets.ids[where])
            with torch.no_grad():
                reference_log_p = in_chunks(target_scores, pair, self.settings.chunk_tokens)[0]
        values = self._method.loss(
            TokenScores(log_p, log_not_p, log_runner_up, targets.rows[where], reference_log_p),
            self.settings.loss_options,
        )
        return values.sum() / (counts[3] if self._method.unit == "row" else counts[0])

    def _bias(
        self, logits: Tensor, features: dict[str, Tensor], targets: _Targets, counts: Tensor
    ) -> Tensor:
        """Mean KL from the reference on the chosen rows."""
        first, last, number = {
            "replay": (Purpose.REPLAY, Purpose.REPLAY, counts[2]),
            "content": (Purpose.RETAIN, Purpose.RETAIN, counts[1]),
            "both": (Purpose.RETAIN, Purpose.REPLAY, counts[1] + counts[2]),
        }[self.settings.bias_rows]
        where = targets.span(first, last)
        if where.start == where.stop or self.settings.bias_weight == 0:
            return logits.new_zeros(()).float()
        reference_logits = self._reference_logits(features, targets, where)

        def of_chunk(chunk: Tensor, reference_chunk: Tensor) -> tuple[Tensor, ...]:
            return (bias_kl(chunk, reference_chunk),)

        pair = (logits[where], reference_logits)
        return in_chunks(of_chunk, pair, self.settings.chunk_tokens)[0].sum() / number

    def _reference_logits(
        self, features: dict[str, Tensor], targets: _Targets, where: slice
    ) -> Tensor:
        """The reference's logits at some targets, from a pass over the rows that hold them."""
        if self._reference is None:
            raise RepairError("this trainer was built without a reference model")
        needed, rows = torch.unique(targets.rows[where], return_inverse=True)
        subset = {name: value[needed] for name, value in features.items()}
        return self._reference.logits(subset, rows, targets.columns[where])

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor | Any],
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """One micro-batch; a loss that is not finite stops the run and is named in ``failure``."""
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        finite = torch.isfinite(loss).float().reshape(1)
        # Every process must stop, or the others wait for it for ever.
        if self.accelerator.num_processes > 1:
            finite = self.accelerator.gather(finite)
        if not bool(finite.min()):
            self.failure = f"the loss was not finite at step {self.state.global_step + 1}"
            self.control.should_training_stop = True
        return loss

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor | Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """The repair loss of one batch, so that ``evaluate`` works on held-out examples."""
        with torch.no_grad():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        self._parts.zero_()
        return loss.detach(), None, None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the four terms beside the loss: unweighted means over steps since the last log."""
        if "loss" in logs:
            steps = max(1, self.state.global_step - self._parts_since)
            parts = self.accelerator.gather(self._parts.unsqueeze(0))
            for name, value in zip(TERMS, (parts.sum(0) / steps).tolist(), strict=True):
                logs[f"{name}_loss"] = value
            self._parts.zero_()
            self._parts_since = self.state.global_step
        super().log(logs, start_time)


def _sizes(kinds: Tensor) -> dict[Purpose, int]:
    return {
        purpose: int((kinds == purpose).sum())
        for purpose in (Purpose.FORGET, Purpose.RETAIN, Purpose.REPLAY)
    }
