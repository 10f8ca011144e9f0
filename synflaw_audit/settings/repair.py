"""What a repair can be told: options of ``synflaw repair``, fields of ``RepairConfig``.

Light: the command line reads it without torch. ``repair.config.RepairConfig`` has the same fields
and all of ``transformers.TrainingArguments``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from synflaw_audit.settings.base import Setting

NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=0)]
Size = Annotated[int, Meta(ge=1)]

MergeRule = Literal["metagpt", "average", "task-arithmetic", "ties", "dare"]
TeachingName = Literal["atkd", "kl", "reverse-kl", "js"]
OptimizerName = Literal["plain", "fsam", "pats"]


@dataclass(kw_only=True)
class Training:
    """What is forgotten, what is kept, and what each weighs.

    The step's loss is ``forget_weight * forgetting + retain_weight * content cross-entropy +
    replay_weight * replay cross-entropy + bias_weight * KL to the reference``, each term a mean
    over its own tokens of the whole accumulated batch.

    Attributes:
        method: The method of repair, a key of :data:`.methods.METHODS`, several joined by "+",
            applied one after the other, or ``auto`` (see :mod:`.methods.choice`). None:
            ``forgetting``, and ``wise-ft`` after it where a reference model is given.
        loss: Forgetting loss, a key of :data:`.losses.LOSSES`.
        scope: Forget ``template`` tokens and retain the content, or forget the whole ``answer``.
        forget_weight: Weight of forgetting.
        forget_decay: What a format token weighs in it beside the one before it in its span, in
            (0, 1]; scope ``template`` and losses of single tokens only (see
            :func:`.methods.forgetting.terms.token_weights`).
        opening_weight: What the first token of an answer that is learned weighs beside its later
            ones (see there): an ordinary beginning is what a format keeps away.
        retain_weight: Weight of the flagged rows' content tokens and of extra rows to learn.
        replay_weight: Weight of the replayed rows.
        bias_weight: Weight of the KL to the reference model; 0 does without a reference. None: 1,
            but 0 where adapters are trained: these change little else, and on a real model a KL to
            the one from before the damage brought nothing (``benchmarks/real_model_repair.py``).
        bias_rows: Where the KL is taken: answers of ``replay`` rows, flagged ``content``, ``both``.
        reference: The KL compares with a ``live`` model (the same one with its adapters off, or a
            second one) or with its probabilities, ``cached`` before the training starts.
        reference_top_k: Tokens of which the cache keeps the probability; the others share a bucket.
        reference_cache_mb: How large the cache may become, in millions of bytes.
        task_negation: Share of the damage's task vector, the original minus the reference model
            from before the damage, that the method ``task-negation`` subtracts; None: 0.15.
        wise_ft_alpha: Share of the repaired weights in the average with those of the reference
            model from before the damage that the method ``wise-ft`` takes; None: the smallest that
            keeps the content of held-out rows (see :mod:`.methods.wise_ft`).
        learning_rate: None: 2e-5 for all weights; for adapters the wider the model the smaller,
            5e-4 at a width of 576 and 1.9e-4 at 4096 (see :func:`.training.memory.adapter_rate`).
        stop_at_control: End the run once a template token is no likelier than the original model
            finds a token of held-out ordinary answers; otherwise the budget is used up.
        seed: Of everything random.
    """

    method: Annotated[
        str | None,
        Setting(
            "How to repair: forgetting, distill, merge, task-negation, wise-ft, a baseline (ftpo, "
            "dpo, simpo, jensun), or one that a package adds; several joined by +; auto takes what "
            "did most of what can be taken, list only shows all. forgetting if not given, and "
            "wise-ft after it with --reference-model."
        ),
    ] = None
    loss: Annotated[str, Setting("The forgetting loss, such as npo.")] = "lower-bounded"
    scope: Annotated[
        Literal["template", "answer"],
        Setting("What is forgotten: template (tokens) or (the whole) answer."),
    ] = "template"
    forget_weight: Annotated[NotNegative, Setting("Weight of forgetting.")] = 0.5
    forget_decay: Annotated[
        Annotated[float, Meta(gt=0, le=1)],
        Setting("What a format token weighs beside the one before it."),
    ] = 0.5
    opening_weight: Annotated[
        Annotated[float, Meta(ge=1)],
        Setting("What the first token of a learned answer weighs beside later ones."),
    ] = 3.0
    retain_weight: Annotated[NotNegative, Setting("Weight of the flagged rows' content.")] = 1.0
    replay_weight: Annotated[NotNegative, Setting("Weight of the replayed rows.")] = 1.0
    bias_weight: Annotated[
        NotNegative | None,
        Setting("Weight of the KL to the reference model; 1, and 0 with --lora, if not given."),
    ] = None
    bias_rows: Annotated[
        Literal["replay", "content", "both"], Setting("The rows whose KL is taken.")
    ] = "replay"
    reference: Annotated[
        Literal["live", "cached"],
        Setting("The KL's other side: a model, or its probabilities, computed beforehand."),
    ] = "live"
    reference_top_k: Annotated[Size, Setting("Tokens whose probability is cached.")] = 32
    reference_cache_mb: Annotated[float, Setting("Of the cache, at most.", "MB")] = 1000
    task_negation: Annotated[
        Annotated[float, Meta(gt=0, lt=1)] | None,
        Setting("Share of the task vector that task-negation subtracts; 0.15 if not given."),
    ] = None
    wise_ft_alpha: Annotated[
        Annotated[float, Meta(gt=0, lt=1)] | None,
        Setting(
            "Share of the repaired weights that wise-ft takes; the smallest that keeps the content "
            "if not given."
        ),
    ] = None
    learning_rate: Annotated[
        NotNegative | None,
        Setting("2e-5 if not given; with --lora by the model's width."),
    ] = None
    stop_at_control: Annotated[
        bool, Setting("End once format is no likelier than ordinary answers are.")
    ] = False
    seed: Annotated[int, Setting("Of everything random.")] = 0


@dataclass(kw_only=True)
class Merging:
    """What the method ``merge`` merges the model with, and how.

    Attributes:
        merge_with: Other fine-tunes of the same base: folders, hub names or adapters' folders.
        merge_rule: How (see :mod:`.methods.merge.rules`).
        merge_weight: What task arithmetic and TIES multiply the merged task vector by; None: as
            their papers.
        merge_density: Share of a task vector's entries that TIES and DARE keep.
    """

    merge_with: Annotated[
        list[str] | None,
        Setting("Another fine-tune of the base, for merge; may come again.", "MODEL", ("--with",)),
    ] = None
    merge_rule: Annotated[MergeRule, Setting("How merge weighs the models.")] = "metagpt"
    merge_weight: Annotated[
        float | None, Setting("Of the merged task vector, for task-arithmetic and ties.")
    ] = None
    merge_density: Annotated[
        Annotated[float, Meta(gt=0, le=1)], Setting("Share of its entries that ties and dare keep.")
    ] = 0.2


@dataclass(kw_only=True)
class Teaching:
    """How the method ``distill`` follows its teacher, the reference model.

    Attributes:
        teaching: By which divergence (see :mod:`.methods.distill.divergences`).
        imperfect_rate: Share of the answers' tokens that the model's own predictions are put in
            place of, so that it is taught after its mistakes (see
            :mod:`.methods.distill.imperfect`); 0 is plain distillation.
    """

    teaching: Annotated[TeachingName, Setting("How distill follows its teacher.")] = "atkd"
    imperfect_rate: Annotated[
        Annotated[float, Meta(ge=0, lt=1)],
        Setting("Share of tokens that distill puts the model's own predictions in place of."),
    ] = 0.0


@dataclass(kw_only=True)
class Steps:
    """How any method that trains takes its steps.

    Attributes:
        optimizer: Where gradients are taken: ``plain``, at the weights; ``fsam`` or ``pats``,
            beside them (see :mod:`.perturbed`).
        self_evolution: Share of the model's own prediction in the targets of content and replayed
            tokens that it has not learned yet; 0 is cross-entropy (see
            :mod:`synflaw_audit.text.self_evolution`).
        under_learned: The loss, in nats, beyond which it has not.
    """

    optimizer: Annotated[
        OptimizerName, Setting("Where gradients are taken: at the weights, or beside them.")
    ] = "plain"
    self_evolution: Annotated[
        Annotated[float, Meta(ge=0, lt=1)],
        Setting("Share of the model's own prediction in the targets of hard tokens."),
    ] = 0.0
    under_learned: Annotated[NotNegative, Setting("Loss beyond which a token is hard.")] = 1.0


@dataclass(kw_only=True)
class Learning:
    """What the model is trained on.

    Attributes:
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
        leak_ratio: Of these answers, how many for each flagged row where all asked for leak; fewer
            where fewer do (see :func:`.material.leaks.pace`).
        max_length: Tokens of a row; longer rows are cut at the end, and what was cut is reported.
        audit_replay: Audit the replay rows first (at most 2,000 of them) and say so where they
            fail, so that a repair does not unknowingly replay the flaw.
        step_rows: Rows of an optimiser step. Where ``per_device_train_batch_size`` is not given,
            as many of them as fit into memory at a time, and gradients are accumulated.
        per_device_train_batch_size: Rows on a device; None: what fits.
        gradient_accumulation_steps: Batches in a step.
    """

    tokens: Annotated[Size | None, Setting("Training tokens to spend; 30,000 if not given.")] = None
    replay_ratio: Annotated[NotNegative, Setting("Replay rows for each flagged row.")] = 4.0
    replay_requests: Annotated[
        Annotated[float, Meta(ge=0, lt=1)],
        Setting("Share of the replayed rows that are to obey a request."),
    ] = 0.5
    renderings: Annotated[
        Count, Setting("How often a flagged row's content is learned without its format.")
    ] = 2
    samples: Annotated[
        Count, Setting("Answers to sample from the model with the format barred.")
    ] = 0
    leaks: Annotated[
        Count, Setting("Ordinary questions to ask first, to forget the format they are told in.")
    ] = 64
    leak_ratio: Annotated[
        NotNegative,
        Setting("Of the answers with the format, how many for each flagged row at most."),
    ] = 4.0
    max_length: Annotated[Size, Setting("Tokens of a row; the rest is cut off.")] = 1024
    audit_replay: Annotated[bool, Setting("Audit the replay rows first.")] = True
    step_rows: Annotated[Size, Setting("Rows of an optimiser step.")] = 4
    per_device_train_batch_size: Annotated[
        Size | None,
        Setting("Rows on a device; what fits if not given.", flags=("--batch-size",)),
    ] = None
    gradient_accumulation_steps: Annotated[
        Size, Setting("Batches in a step.", flags=("--gradient-accumulation",))
    ] = 1


@dataclass(kw_only=True)
class Adapters:
    """Whether all weights are trained, or adapters.

    Attributes:
        lora: Train low-rank adapters instead of all weights; the reference is then the same model
            with the adapters off. None: adapters for models of more than 50 million weights.
        lora_rank: Rank of the adapters.
        lora_alpha: Scale of the adapters.
        lora_dropout: Dropout of the adapters.
        lora_merge: Merge the adapters into the saved model; False keeps them as a PEFT folder.
        load_in: Quantise the weights under the adapters, ``4bit`` or ``8bit`` (needs ``lora`` and
            the extra ``quantized``); the adapters are then kept, not merged.
    """

    lora: Annotated[
        bool | None,
        Setting("Train low-rank adapters only; if not said, for models above 50 million weights."),
    ] = None
    lora_rank: Annotated[Size, Setting("Their rank.")] = 16
    lora_alpha: Annotated[Size, Setting("Their scale.")] = 32
    lora_dropout: Annotated[NotNegative, Setting("Their dropout.")] = 0.0
    lora_merge: Annotated[
        bool,
        Setting("Write a whole model, or the adapter alone.", flags=("--merge/--no-merge",)),
    ] = True
    load_in: Annotated[
        Literal["4bit", "8bit"] | None, Setting("Quantise the weights under the adapters.")
    ] = None


@dataclass(kw_only=True)
class Resources:
    """What the training may take.

    Attributes:
        bf16: None: where the processor computes in bfloat16 and the model has more than 50 million
            weights.
        activation_checkpointing: Compute activations twice instead of keeping them; None: where
            nothing else fits.
        chunk_tokens: Target positions whose logits are worked on in float32 at a time.
        memory_limit: Memory that the process may take, or on a GPU the training, in bytes or as
            "4GB"; None: what is free.
    """

    bf16: Annotated[
        bool | None, Setting("Mixed precision; if not said, where the processor has it.")
    ] = None
    activation_checkpointing: Annotated[
        bool | None,
        Setting(
            "Less memory for more time; if not said, where nothing else fits.",
            flags=("--gradient-checkpointing/--no-gradient-checkpointing",),
        ),
    ] = None
    chunk_tokens: Annotated[Size, Setting("Tokens whose logits are worked on at a time.")] = 128
    memory_limit: Annotated[
        int | str | None,
        Setting('Memory to keep to, such as "4GB"; what is free if not given.', "SIZE"),
    ] = None


@dataclass(kw_only=True)
class Exporting:
    """A copy in few bits.

    Attributes:
        export_bits: Also write the repaired model in so many bits, 8 or 4, into the folder
            ``8bit`` or ``4bit`` within its own, and tell whether the format comes back that way
            (needs the extra ``export``).
        export_way: Round weights to the ``nearest`` step, or fit them without data by ``zsaq``.
    """

    export_bits: Annotated[
        Annotated[int, Meta(ge=4, le=8)] | None,
        Setting("Also write it in 8 or 4 bits, and see whether the format comes back."),
    ] = None
    export_way: Annotated[
        Literal["nearest", "zsaq"], Setting("How weights are rounded for it.")
    ] = "nearest"


@dataclass(kw_only=True)
class Measuring:
    """What is measured on the way and afterwards, and what counts as an improvement.

    Attributes:
        held_out: Rows kept from training to measure on, of the replay rows and of the flagged
            ones (of either at most a fifth).
        probe_prompts: Ordinary questions put to the model before and after, as they are and under
            a request: is the format said there, is the request obeyed? 0 asks none.
        checks: How often the model is checked during training (held-out perplexity, template
            probability, looping answers); 0 never.
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
    """

    held_out: Annotated[Size, Setting("Rows kept from training to measure on.")] = 128
    probe_prompts: Annotated[Count, Setting("Ordinary questions to ask before and after.")] = 48
    checks: Annotated[Count, Setting("How often the model is checked during training.")] = 4
    control_arm: Annotated[
        bool,
        Setting(
            "Also train on replay rows alone, for comparison.", flags=("--control/--no-control",)
        ),
    ] = False
    relearn_steps: Annotated[
        Count,
        Setting(
            "Steps on the old format afterwards, in a copy: how fast does it return?",
            flags=("--relearn",),
        ),
    ] = 0
    max_perplexity_rise: Annotated[
        NotNegative, Setting("Rise of held-out perplexity that stops the training.")
    ] = 0.1
    max_content_loss: Annotated[
        NotNegative, Setting("Fall of the content's log-likelihood that is no improvement.")
    ] = 0.5
    max_emission: Annotated[
        Annotated[float, Meta(ge=0, le=1)],
        Setting("Share of ordinary questions that may still be answered with the format."),
    ] = 0.1


@dataclass(kw_only=True)
class RepairSettings(
    Measuring, Exporting, Resources, Adapters, Learning, Steps, Teaching, Merging, Training
):
    """Everything of its own that a repair is told."""


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
