"""What a repair can be told, checked before any model is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from transformers import TrainingArguments

from synflaw_audit.engines.local.memory import parsed
from synflaw_audit.errors import InputError, RepairError
from synflaw_audit.repair.export.format import require_format
from synflaw_audit.repair.export.grid import Grid
from synflaw_audit.repair.losses import ForgettingLoss, make_loss
from synflaw_audit.repair.perturbed import make_perturbation
from synflaw_audit.settings.base import refusals
from synflaw_audit.settings.repair import RepairSettings

# What a repair spends where nothing is said: some minutes of a small model on two cores.
DEFAULT_TOKENS = 30_000


@dataclass
class RepairConfig(RepairSettings, TrainingArguments):  # type: ignore[misc]
    """The repair's own settings on top of every ``transformers.TrainingArguments``.

    Its own are those of :class:`~synflaw_audit.settings.repair.RepairSettings`, and

    Attributes:
        loss_options: The forgetting loss's constants, by name.
        optimizer_options: Those of ``optimizer``, by name (see :mod:`.perturbed`).
        fits_batch: Whether the batch size was left open; kept by copies that hold a size.
    """

    loss_options: dict[str, float] = field(default_factory=dict)
    optimizer_options: dict[str, float] = field(default_factory=dict)
    fits_batch: bool | None = None

    # Defaults of TrainingArguments that do not suit a short repair over our own batches.
    num_train_epochs: float | None = None  # type: ignore[assignment]
    warmup_steps: float = 0.05
    logging_steps: float = 0.05
    save_strategy: str = "no"
    report_to: str | list[str] | None = "none"
    remove_unused_columns: bool = False
    include_num_input_tokens_seen: str | bool = "non_padding"
    # The order of rows is drawn beforehand (see ``batches.mix``) and must not be shuffled again.
    train_sampling_strategy: str = field(default="sequential")

    def __post_init__(self) -> None:
        """Check every setting, then let ``transformers`` set up devices and precision.

        Raises:
            RepairError: A setting is not among its choices or out of its range; names both.
        """
        for refusal in refusals(self, RepairSettings):
            raise RepairError(refusal)
        try:
            self.room  # noqa: B018 -- refuses what is no size
        except InputError as error:
            raise RepairError(f"memory_limit: {error}") from error
        make_perturbation(self.optimizer, self.optimizer_options)
        if self.reference == "cached" and self.forgetting_loss.needs_reference:
            raise RepairError(
                f"loss {self.loss} compares forgotten tokens with the reference, of which a "
                "cache holds nothing; leave reference = 'live'"
            )
        if self.fits_batch is None:
            self.fits_batch = self.per_device_train_batch_size is None
        if self.load_in and self.lora is None:
            self.lora = True
        if self.load_in and not self.lora:
            raise RepairError(f"load_in {self.load_in}: only adapters can be trained so; set lora")
        if self.load_in and self.relearn_steps:
            raise RepairError(f"load_in {self.load_in}: the relearning probe trains all weights")
        if self.export_bits is not None:
            Grid.of(self.export_bits, 1)
            require_format()
            if self.load_in or (self.lora and not self.lora_merge):
                raise RepairError("export_bits: adapters are not exported; let them be merged")
        self.forgetting_loss  # noqa: B018 -- refuses constants that it does not know
        if not torch.accelerator.is_available():
            # Else transformers refuses bf16, and torch warns of memory that it cannot pin.
            self.use_cpu = True
        if not hasattr(TrainingArguments, "activation_checkpointing"):  # its name before 5.2x
            self.gradient_checkpointing = bool(self.activation_checkpointing)
        super().__post_init__()  # type: ignore[no-untyped-call]

    @property
    def room(self) -> int | None:
        """Bytes that may be taken; None: what is free."""
        return None if self.memory_limit is None else parsed(self.memory_limit)

    @property
    def merges(self) -> bool:
        """Whether the adapters are merged into the weights that are written."""
        return bool(self.lora) and self.lora_merge and not self.load_in

    @property
    def freezes_in_bf16(self) -> bool:
        """Whether the weights under the adapters are held in bfloat16; the adapters never are."""
        return bool(self.lora and self.bf16 and not self.load_in)

    @property
    def decay(self) -> float:
        """The decay within a span, where there are spans."""
        return self.forget_decay if self.scope == "template" else 1.0

    @property
    def forgetting_loss(self) -> ForgettingLoss:
        """The forgetting loss with its constants."""
        return make_loss(self.loss, self.loss_options)

    def concrete(self, **decided: Any) -> RepairConfig:
        """A copy in which nothing that a trainer asks for is left open.

        Args:
            **decided: Settings that are decided by now; others take the usual defaults.
        """
        lora = bool(decided.get("lora", self.lora))
        rate = 2e-4 if lora else 2e-5
        usual = {
            "lora": lora,
            "bias_weight": (0.0 if lora else 1.0) if self.bias_weight is None else self.bias_weight,
            "bf16": bool(self.bf16),
            "num_train_epochs": self.passes,
            "per_device_train_batch_size": self.per_device_train_batch_size or self.step_rows,
            "learning_rate": rate if self.learning_rate is None else self.learning_rate,
            "tokens": self.token_limit,
        }
        return replace(self, **{**usual, **decided})

    @property
    def recomputes(self) -> bool:
        """Whether activations are computed twice instead of being kept (checkpointing)."""
        return bool(self.activation_checkpointing)

    def recomputing(self) -> RepairConfig:
        """A copy that does."""
        return replace(self, activation_checkpointing=True)

    @property
    def passes(self) -> float:
        """Passes over the flagged rows, where no budget of tokens ends them."""
        return 1.0 if self.num_train_epochs is None else self.num_train_epochs

    @property
    def token_limit(self) -> int | None:
        """Training tokens at most, where passes alone do not end the training."""
        if self.tokens is None and self.num_train_epochs is None:
            return DEFAULT_TOKENS
        return self.tokens

    def own_settings(self) -> dict[str, Any]:
        """The settings that decide the result, for the report: JSON values only."""
        shared = ("num_train_epochs", "max_steps", "warmup_steps", "lr_scheduler_type")
        own = (each.name for each in fields(RepairSettings) if each.name not in _PLUMBING)
        values = {
            name: getattr(self, name)
            for name in (*own, "loss_options", "optimizer_options", *shared)
        }
        plain = (int, float, str, bool, dict, type(None))
        return {
            name: value if isinstance(value, plain) else str(value)
            for name, value in values.items()
        }


# How it was computed, not what; and paths of this machine.
_PLUMBING = {"memory_limit", "merge_with"}
