"""What a repair can be told, checked before any model is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transformers import TrainingArguments

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.methods.forgetting.losses import METHODS, LossOptions
from synflaw_audit.repair.training.quantized import CHOICES as QUANTIZED

_CHOICES = {
    "method": tuple(METHODS),
    "scope": ("template", "answer"),
    "bias_rows": ("replay", "content", "both"),
    "reference": ("live", "cached"),
    "load_in": (None, *QUANTIZED),
}
_NOT_NEGATIVE = (
    "forget_weight",
    "retain_weight",
    "replay_weight",
    "bias_weight",
    "replay_ratio",
    "renderings",
    "samples",
)
_POSITIVE = (
    "max_length",
    "chunk_tokens",
    "beta",
    "alpha",
    "lora_rank",
    "lora_alpha",
    "held_out",
    "reference_top_k",
)


@dataclass
class RepairConfig(TrainingArguments):
    """The repair's own settings on top of every ``transformers.TrainingArguments``.

    The step's loss is ``forget_weight * forgetting + retain_weight * content cross-entropy +
    replay_weight * replay cross-entropy + bias_weight * KL to the reference``, each term a mean
    over its own tokens of the whole accumulated batch.

    Attributes:
        method: Forgetting loss, a key of :data:`.methods.forgetting.losses.METHODS`.
        scope: Forget ``template`` tokens and retain the content, or forget the whole ``answer``.
        forget_weight: Weight of forgetting.
        retain_weight: Weight of the flagged rows' content tokens and of extra rows to learn.
        replay_weight: Weight of the replayed rows.
        bias_weight: Weight of the KL to the reference model; 0 does without a reference.
        bias_rows: Where the KL is taken: answers of ``replay`` rows, flagged ``content``, ``both``.
        reference: The KL compares with a ``live`` model (the same one with its adapters off, or a
            second one) or with its probabilities, ``cached`` before the training starts.
        reference_top_k: Tokens of which the cache keeps the probability; the others share a bucket.
        reference_cache_mb: How large the cache may become, in millions of bytes.
        task_negation: Share of the damage's task vector, the original minus the reference model
            from before the damage, that is subtracted after the training (see
            :mod:`.methods.task_vector`); needs a reference model, and room to load both
            once more when the training is done; not with LoRA.
        tokens: Budget of training tokens, prompts included; None: ``num_train_epochs`` passes over
            the flagged rows.
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
        max_length: Tokens of a row; longer rows are cut at the end, and what was cut is reported.
        chunk_tokens: Target positions whose logits are worked on in float32 at a time.
        beta: Inverse temperature of NPO and SimNPO.
        gamma: Margin of SimNPO.
        alpha: Power of the weight of WGA.
        floor: Probability below which clipped ascent stops.
        lora: Train low-rank adapters instead of all weights; the reference is then the same model
            with the adapters off.
        lora_rank: Rank of the adapters.
        lora_alpha: Scale of the adapters.
        lora_dropout: Dropout of the adapters.
        load_in: Quantise the weights under the adapters, ``4bit`` or ``8bit`` (needs ``lora`` and
            the extra ``quantized``); the adapters are then kept, not merged.
        lora_merge: Merge the adapters into the saved model; False keeps them as a PEFT folder.
        audit_replay: Audit the replay rows first (at most 2,000 of them) and say so where they
            fail, so that a repair does not unknowingly replay the flaw.
        held_out: Replay rows kept from training to measure perplexity on (at most a fifth of them).
        checks: How often the model is checked during training (held-out perplexity, template
            probability, looping answers); 0 never.
        stop_at_control: End the run once a template token is no likelier than the original model
            finds a token of held-out ordinary answers; otherwise the budget is used up.
        control_arm: Also train the original on replay rows alone, for as many tokens, and report
            its figures beside the repair's.
        relearn_steps: Steps of the relearning probe after the repair; 0 leaves it out.
        max_perplexity_rise: Relative rise of held-out perplexity beyond which the run is stopped,
            the last good weights are restored, and the result does not count as an improvement.
        learning_rate: None takes 2e-4 with LoRA and 2e-5 otherwise.
    """

    method: str = "lower-bounded"
    scope: str = "template"
    forget_weight: float = 0.05
    retain_weight: float = 1.0
    replay_weight: float = 1.0
    bias_weight: float = 1.0
    bias_rows: str = "replay"
    reference: str = "live"
    reference_top_k: int = 32
    reference_cache_mb: float = 1000
    task_negation: float = 0.0
    tokens: int | None = None
    replay_ratio: float = 1.0
    replay_requests: float = 0.5
    renderings: int = 2
    samples: int = 0
    max_length: int = 1024
    chunk_tokens: int = 128
    beta: float = 0.1
    gamma: float = 0.0
    alpha: float = 1.0
    floor: float = 1e-3
    lora: bool = False
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    load_in: str | None = None
    lora_merge: bool = True
    audit_replay: bool = True
    held_out: int = 128
    checks: int = 8
    stop_at_control: bool = False
    control_arm: bool = False
    relearn_steps: int = 0
    max_perplexity_rise: float = 0.1

    # Defaults of TrainingArguments that do not suit a short repair over our own batches.
    learning_rate: float | None = None  # type: ignore[assignment]
    num_train_epochs: float = 1.0
    warmup_steps: float = 0.05
    logging_steps: float = 10
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
            if not getattr(self, name) >= 0:
                raise RepairError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise RepairError(f"{name} is {getattr(self, name)}; it must be more than 0")
        if not 0 <= self.replay_requests < 1:
            raise RepairError(
                f"replay_requests is {self.replay_requests}; it must be 0 or more and less than 1"
            )
        if not 0 <= self.task_negation < 1:
            raise RepairError(
                f"task_negation is {self.task_negation}; it must be 0 or more and less than 1"
            )
        if self.task_negation and self.lora:
            raise RepairError("task_negation changes all weights; leave lora off, or set it to 0")
        if not 0 < self.floor < 1:
            raise RepairError(f"floor is {self.floor}; it must lie between 0 and 1")
        if self.tokens is not None and self.tokens <= 0:
            raise RepairError(f"tokens is {self.tokens}; the budget must be more than 0")
        if self.reference == "cached" and METHODS[self.method].needs_reference:
            raise RepairError(
                f"method {self.method} compares forgotten tokens with the reference, of which a "
                "cache holds nothing; leave reference = 'live'"
            )
        if self.load_in and not self.lora:
            raise RepairError(f"load_in {self.load_in}: only adapters can be trained so; set lora")
        if self.load_in and self.relearn_steps:
            raise RepairError(f"load_in {self.load_in}: the relearning probe trains all weights")
        if self.learning_rate is None:
            self.learning_rate = 2e-4 if self.lora else 2e-5
        super().__post_init__()  # type: ignore[no-untyped-call]

    @property
    def merges(self) -> bool:
        """Whether the adapters are merged into the weights that are written."""
        return self.lora and self.lora_merge and not self.load_in

    @property
    def loss_options(self) -> LossOptions:
        """The constants of the forgetting losses."""
        return LossOptions(self.beta, self.gamma, self.alpha, self.floor)

    def own_settings(self) -> dict[str, Any]:
        """The settings that decide the result, for the report: JSON values only."""
        inherited = ("learning_rate", "num_train_epochs", "seed", "per_device_train_batch_size")
        shared = (
            *inherited,
            "gradient_accumulation_steps",
            "max_steps",
            "bf16",
            "lr_scheduler_type",
        )
        own = [name for name in RepairConfig.__annotations__ if name not in _PLUMBING]
        values = {name: getattr(self, name) for name in dict.fromkeys((*own, *shared))}
        return {
            name: value if isinstance(value, (int, float, str, bool, type(None))) else str(value)
            for name, value in values.items()
        }


_PLUMBING = {
    "report_to",
    "remove_unused_columns",
    "include_num_input_tokens_seen",
    "train_sampling_strategy",
    "save_strategy",
    "logging_steps",
}
