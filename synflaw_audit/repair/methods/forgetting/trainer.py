"""The trainer: one step forgets, retains, replays and stays close, over one concatenated batch.

Terms are means over their own tokens. So that the size of a micro-batch, the number of processes
and the mix of roles in a batch do not change what is optimised, each term is divided by the number
of its tokens in the whole accumulated batch of all processes, which ``transformers`` asks for
through ``_get_num_items_in_batch`` before the first micro-batch is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Collator, TrainingExample, pad_id
from synflaw_audit.repair.methods.forgetting.head import TERMS
from synflaw_audit.repair.methods.forgetting.reference import make_reference
from synflaw_audit.repair.methods.forgetting.terms import StepLoss, token_counts
from synflaw_audit.repair.training.forward import output_layer
from synflaw_audit.repair.training.steps import StepTrainer


class RepairTrainer(StepTrainer):
    """``transformers.Trainer`` for :class:`RepairConfig`, over :class:`~.batches.Example` rows.

    Args:
        model: The model to repair; with LoRA, a PEFT model.
        args: The configuration.
        train_dataset: Rows in the order of training, as :func:`~.batches.mix` gives them.
        reference_model: What the KL (and NPO) compares with. None: the adapters off, where the
            model has adapters; else a frozen copy of the model as it stands. With
            ``args.reference`` "cached" it is run over the rows at once and not kept.
        **kwargs: As for ``transformers.Trainer``.

    Raises:
        RepairError: The reference's vocabulary differs from the model's, or its cache would become
            larger than allowed.
    """

    # The loss is normalised over the whole accumulated batch; the trainer must not divide it again.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: PreTrainedModel | nn.Module,
        args: RepairConfig,
        train_dataset: Sequence[TrainingExample] | None = None,
        reference_model: PreTrainedModel | None = None,
        **kwargs: Any,
    ) -> None:
        tokenizer = kwargs.get("processing_class")
        if "data_collator" not in kwargs:
            kwargs["data_collator"] = Collator(0 if tokenizer is None else pad_id(tokenizer))
        args = args.concrete()
        super().__init__(model=model, args=args, train_dataset=train_dataset, **kwargs)
        if args.n_gpu > 1:
            # DataParallel would scatter the batch behind our back; several devices go through
            # `accelerate launch`, one process each.
            args._n_gpu = 1
        self.settings = args
        head = output_layer(self.accelerator.unwrap_model(self.model))
        reference = make_reference(args, self.model, reference_model, train_dataset or ())
        self._step_loss = StepLoss(args, head, reference)
        self._parts = torch.zeros(len(TERMS), device=self.args.device)
        self._parts_since = 0

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Tensor:
        """What :func:`~.terms.token_counts` finds in the accumulated batch of all processes."""
        settings = self.settings
        counts = torch.zeros(6, device=device)
        for batch in batch_samples:
            counts += token_counts(batch, settings.decay, settings.opening_weight).to(device)
        gathered: Tensor = self.accelerator.gather(counts).reshape(-1, 6).sum(0)
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
        loss, parts = self._step_loss(model, inputs, num_items_in_batch)
        if not self.again:
            self._parts += parts
        # Gradients are averaged over the processes, while the counts are of all of them.
        loss = loss * self.accelerator.num_processes
        return (loss, {}) if return_outputs else loss

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
