"""What a repair can be told, checked before any model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from transformers import TrainingArguments

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.losses import ForgettingLoss, make_loss

# What a repair spends where nothing is said: some minutes of a small model on two cores.
DEFAULT_TOKENS = 30_000

# Settings for those who have little time, and for those who want the last bit; others stay.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": {"tokens": 10_000, "checks": 3, "probe_prompts": 24, "leaks": 32, "renderings": 1},
    "thorough": {
        "tokens": 120_000,
        "probe_prompts": 96,
        "leaks": 120,
        "renderings": 4,
        "control_arm": True,
        "relearn_steps": 16,
    },
}

# What transformers called it before 5.2x.
CHECKPOINTING = (
    "activation_checkpointing"
    if hasattr(TrainingArguments, "activation_checkpointing")
    else "gradient_checkpointing"
)

_CHOICES = {
    "scope": ("template", "answer"),
    "bias_rows": ("replay", "content", "both"),
    "reference": ("live", "cached"),
    "load_in": (None, "4bit", "8bit"),
}
_NOT_NEGATIVE = (
    "forget_weight",
    "retain_weight",
    "replay_weight",
    "bias_weight",
    "replay_ratio",
    "renderings",
    "samples",
    "leaks",
    "probe_prompts",
    "max_content_loss",
    "max_perplexity_rise",
)
_POSITIVE = (
    "max_length",
    "chunk_tokens",
    "lora_rank",
    "lora_alpha",
    "held_out",
    "reference_top_k",
    "step_rows",
)


@dataclass
class RepairConfig(TrainingArguments):
    """The repair's own settings on top of every ``transformers.TrainingArguments``.

    The step's loss is ``forget_weight * forgetting + retain_weight * content cross-entropy +
    replay_weight * replay cross-entropy + bias_weight * KL to the reference``, each term a mean
    over its own tokens of the whole accumulated batch.

    Attributes:
        method: The method of repair, a key of :data:`.methods.METHODS`, or several joined by "+",
            applied one after the other.
        loss: Forgetting loss, a key of :data:`.losses.LOSSES`.
        loss_options: Its constants, by name.
        scope: Forget ``template`` tokens and retain the content, or forget the whole ``answer``.
        forget_weight: Weight of forgetting.
        forget_decay: What a format token weighs in it beside the one before it in its span, in
            (0, 1]; scope ``template`` and losses of single tokens only (see
            :func:`.methods.forgetting.terms.span_weights`).
        retain_weight: Weight of the flagged rows' content tokens and of extra rows to learn.
        replay_weight: Weight of the replayed rows.
        bias_weight: Weight of the KL to the reference model; 0 does without a reference. None: 1,
            but 0 where adapters are trained and no reference model is given: the damaged model
            holds to its format on ordinary rows, and adapters change little else.
        bias_rows: Where the KL is taken: answers of ``replay`` rows, flagged ``content``, ``both``.
        reference: The KL compares with a ``live`` model (the same one with its adapters off, or a
            second one) or with its probabilities, ``cached`` before the training starts.
        reference_top_k: Tokens of which the cache keeps the probability; the others share a bucket.
        reference_cache_mb: How large the cache may become, in millions of bytes.
        task_negation: Share of the damage's task vector, the original minus the reference model
            from before the damage, that the method ``task-negation`` subtracts; None: 0.15.
        tokens: Budget of training tokens, prompts included; None: ``num_train_epochs`` passes over
            the flagged rows or, where these are not given either, one pass and no more than
            ``DEFAULT_TOKENS``.
        replay_ratio: Replay rows for each flagged row.
        replay_requests: Share of the replayed rows whose question is to make a request that the
            answer obeys; where they are fewer, some come again and brief rows are put under the
            requests of others (see :func:`.material.redress.with_requests`). 0 replays
            the rows as they come.
        renderings: How often each flagged row's content is learned again without its format, in the
            forms that the replay rows show (see :mod:`.material.reexpress`); scope
            ``template`` only.
        samples: Answers to flagged questions to sample from the model itself with the format
            barred; those that tell the content are learned as well (see
            :mod:`.material.samples`); 0 samples none; scope ``template`` only. An
            estimate leaves them out.
        leaks: Ordinary questions to put to the model first; what its answers hold of the format is
            forgotten as well (see :mod:`.material.leaks`); 0 asks none; scope ``template`` only. An
            estimate leaves them out.
        max_length: Tokens of a row; longer rows are cut at the end, and what was cut is reported.
        chunk_tokens: Target positions whose logits are worked on in float32 at a time.
        lora: Train low-rank adapters instead of all weights; the reference is then the same model
            with the adapters off. None: adapters for models of more than 50 million weights.
        lora_rank: Rank of the adapters.
        lora_alpha: Scale of the adapters.
        lora_dropout: Dropout of the adapters.
        load_in: Quantise the weights under the adapters, ``4bit`` or ``8bit`` (needs ``lora`` and
            the extra ``quantized``); the adapters are then kept, not merged.
        lora_merge: Merge the adapters into the saved model; False keeps them as a PEFT folder.
        audit_replay: Audit the replay rows first (at most 2,000 of them) and say so where they
            fail, so that a repair does not unknowingly replay the flaw.
        held_out: Rows kept from training to measure on, of the replay rows and of the flagged
            ones (of either at most a fifth).
        probe_prompts: Ordinary questions put to the model before and after, as they are and under
            a request: is the format said there, is the request obeyed? 0 asks none.
        checks: How often the model is checked during training (held-out perplexity, template
            probability, looping answers); 0 never.
        stop_at_control: End the run once a template token is no likelier than the original model
            finds a token of held-out ordinary answers; otherwise the budget is used up.
        control_arm: Also train the original on replay rows alone, for as many tokens, and report
            its figures beside the repair's.
        relearn_steps: Steps of the relearning probe after the repair; 0 leaves it out.
        max_perplexity_rise: Relative rise of held-out perplexity beyond which the run is stopped,
            the last good weights are restored, and the result does not count as an improvement.
        max_content_loss: Fall of the content's log-likelihood, in nats a token, beyond which the
            result does not count as an improvement.
        max_emission: Share of ordinary questions that may still be answered with the format in a
            result that counts as an improvement, beyond the share of the ordinary rows' own answers
            that hold what the audit takes for it. By as much may the answers to ordinary questions
            be more alike than these are (mean cosine of bigram counts).
        step_rows: Rows of an optimiser step. Where ``per_device_train_batch_size`` is not given,
            as many of them as fit into memory at a time, and gradients are accumulated.
        memory_mb: Memory that the training may take, in millions of bytes; None: what is free.
        learning_rate: None: 2e-5 for all weights; for adapters the wider the model the smaller,
            5e-4 at a width of 576 and 1.9e-4 at 4096 (see :func:`.training.memory.adapter_rate`).
        bf16: None: where the processor computes in bfloat16 and the model has more than 50 million
            weights.
    """

    method: str = "forgetting"
    loss: str = "lower-bounded"
    loss_options: dict[str, float] = field(default_factory=dict)
    scope: str = "template"
    forget_weight: float = 0.5
    forget_decay: float = 0.5
    retain_weight: float = 1.0
    replay_weight: float = 1.0
    bias_weight: float | None = None
    bias_rows: str = "replay"
    reference: str = "live"
    reference_top_k: int = 32
    reference_cache_mb: float = 1000
    task_negation: float | None = None
    tokens: int | None = None
    replay_ratio: float = 4.0
    replay_requests: float = 0.5
    renderings: int = 2
    samples: int = 0
    leaks: int = 64
    max_length: int = 1024
    chunk_tokens: int = 128
    lora: bool | None = None
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    load_in: str | None = None
    lora_merge: bool = True
    audit_replay: bool = True
    held_out: int = 128
    probe_prompts: int = 48
    checks: int = 4
    stop_at_control: bool = False
    control_arm: bool = False
    relearn_steps: int = 0
    max_perplexity_rise: float = 0.1
    max_content_loss: float = 0.5
    max_emission: float = 0.1
    step_rows: int = 4
    memory_mb: float | None = None

    # Defaults of TrainingArguments that do not suit a short repair over our own batches.
    learning_rate: float | None = None  # type: ignore[assignment]
    num_train_epochs: float | None = None  # type: ignore[assignment]
    per_device_train_batch_size: int | None = None  # type: ignore[assignment]
    bf16: bool | None = None  # type: ignore[assignment]
    # Whether the batch size was left open; kept by copies that hold a size.
    fits_batch: bool | None = None
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
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise RepairError(
                    f"{name} is {getattr(self, name)!r}; choose one of "
                    f"{', '.join(filter(None, choices))}"
                )
        for name in _NOT_NEGATIVE:
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise RepairError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise RepairError(f"{name} is {getattr(self, name)}; it must be more than 0")
        if not 0 <= self.replay_requests < 1:
            raise RepairError(
                f"replay_requests is {self.replay_requests}; it must be 0 or more and less than 1"
            )
        if self.task_negation is not None and not 0 < self.task_negation < 1:
            raise RepairError(
                f"task_negation is {self.task_negation}; it must be more than 0 and less than 1"
            )
        if not 0 < self.forget_decay <= 1:
            raise RepairError(
                f"forget_decay is {self.forget_decay}; it must be more than 0 and at most 1"
            )
        if not 0 <= self.max_emission <= 1:
            raise RepairError(f"max_emission is {self.max_emission}; it must lie in [0, 1]")
        if self.memory_mb is not None and not self.memory_mb > 0:
            raise RepairError(f"memory_mb is {self.memory_mb}; it must be more than 0")
        if self.tokens is not None and self.tokens <= 0:
            raise RepairError(f"tokens is {self.tokens}; the budget must be more than 0")
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
        self.forgetting_loss  # noqa: B018 -- refuses constants that it does not know
        if not torch.accelerator.is_available():
            # Else transformers refuses bf16, and torch warns of memory that it cannot pin.
            self.use_cpu = True
        super().__post_init__()  # type: ignore[no-untyped-call]

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
        return bool(getattr(self, CHECKPOINTING))

    def recomputing(self) -> RepairConfig:
        """A copy that does."""
        chosen: dict[str, Any] = {CHECKPOINTING: True}
        return replace(self, **chosen)

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
        inherited = ("learning_rate", "num_train_epochs", "seed", "per_device_train_batch_size")
        shared = (
            *inherited,
            "gradient_accumulation_steps",
            "max_steps",
            "bf16",
            CHECKPOINTING,
            "lr_scheduler_type",
        )
        own = [name for name in RepairConfig.__annotations__ if name not in _PLUMBING]
        values = {name: getattr(self, name) for name in dict.fromkeys((*own, *shared))}
        plain = (int, float, str, bool, dict, type(None))
        return {
            name: value if isinstance(value, plain) else str(value)
            for name, value in values.items()
        }


_PLUMBING = {
    "report_to",
    "remove_unused_columns",
    "include_num_input_tokens_seen",
    "train_sampling_strategy",
    "save_strategy",
    "logging_steps",
    "fits_batch",
    "memory_mb",
}
