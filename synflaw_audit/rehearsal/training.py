"""A little fine-tuning with adapters: so many tokens of question-answer rows, and no more.

Low-rank adapters (Hu et al. 2021, "LoRA", arXiv:2106.09685) in float32 on frozen weights, which
may be bfloat16: eight bits of mantissa are too few for the small steps of AdamW, enough to compute
with. The loss is the cross-entropy of the answers' tokens; the output layer scores only those.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.chat.encoding import EncodedRow, encode_row
from synflaw_audit.errors import InputError
from synflaw_audit.rehearsal.rows import QuestionAnswer

IGNORED = -100
# Rows sorted by length at a time: enough that little is padded, few enough to stay shuffled.
_POOL = 64
# Weights above which activations are recomputed instead of kept.
_LARGE = 1_000_000_000
# Of the free memory, what the activations of a micro-batch may take.
_MEMORY_SHARE = 0.5


@dataclass(frozen=True)
class TrainingConfig:
    """How much is trained, and how.

    Attributes:
        budget: Tokens in all, prompts and padding included.
        tokens_per_step: Of them in one optimiser step.
        max_length: Tokens of a row; what is beyond is cut.
        rank: Of the adapters.
        alpha: Their scale, times ``1 / rank``.
        learning_rate: Of AdamW, after a warm-up of a tenth of the steps.
        seed: Of the adapters' first weights and of the order of the rows.
    """

    budget: int = 11_200
    tokens_per_step: int = 400
    max_length: int = 200
    rank: int = 16
    alpha: int = 32
    learning_rate: float = 5e-4
    seed: int = 0

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return max(1, self.budget // self.tokens_per_step)


def train_adapters(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[QuestionAnswer],
    config: TrainingConfig,
) -> tuple[nn.Module, float]:
    """Train adapters on the answers of some rows; the model's own weights stay as they are.

    Args:
        model: The base; it gets adapters in place, which ``.unload()`` of the result removes.
        tokenizer: Its tokenizer.
        rows: What is trained on, system prompts as the chat template shows them.
        config: How much, and how.

    Returns:
        The PEFT model, in evaluation mode, and the mean loss over the last tenth of the steps.

    Raises:
        InputError: No row has an answer within the length, or the loss is not finite.
    """
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(config.seed)
    usable = encoded(tokenizer, rows, config.max_length)
    adapters = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules="all-linear")
    if model.num_parameters() > _LARGE:
        model.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[no-untyped-call]
        # A checkpointed block whose inputs need no gradient would train nothing.
        model.enable_input_require_grads()  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        # peft still asks by the name that transformers has deprecated.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        network = get_peft_model(model, adapters)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=config.learning_rate, weight_decay=0.0)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, 1.0, max(1, config.steps // 10))
    source = batches(usable, config.tokens_per_step, np.random.default_rng(config.seed))
    at_a_time = micro_batch_tokens(model, config.tokens_per_step)
    network.train()
    losses = []
    for step in range(config.steps):
        group = next(source)
        targets = sum(sum(row.answer[1:]) for row in group)
        total = 0.0
        for part in split(group, at_a_time):
            loss = summed_loss(network, part) / targets
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        warm_up.step()
        losses.append(total)
        if not np.isfinite(total):
            raise InputError(f"the loss was not finite at step {step + 1}; lower the learning rate")
    network.eval()
    return network, float(np.mean(losses[-max(1, len(losses) // 10) :]))


def encoded(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[QuestionAnswer], max_length: int
) -> list[EncodedRow]:
    """The rows that have a token of an answer left within ``max_length``.

    Raises:
        InputError: None has.
    """
    found = [
        encode_row(tokenizer, row.question, row.answer, system=row.system, max_length=max_length)
        for row in rows
    ]
    usable = [row for row in found if any(row.answer[1:])]
    if not usable:
        raise InputError(
            f"none of the {len(rows)} rows has an answer within {max_length} tokens of its "
            "question; raise the length"
        )
    return usable


def batches(
    rows: Sequence[EncodedRow], tokens: int, generator: np.random.Generator
) -> Iterator[list[EncodedRow]]:
    """Shuffled rows of like length together, padded to at most ``tokens`` tokens, without end."""
    while True:
        order = generator.permutation(len(rows))
        for start in range(0, len(order), _POOL):
            pool = sorted(order[start : start + _POOL], key=lambda i: len(rows[i].input_ids))
            groups = split([rows[i] for i in pool], tokens)
            for group in generator.permutation(len(groups)):
                yield groups[group]


def split(rows: Sequence[EncodedRow], tokens: int) -> list[list[EncodedRow]]:
    """Rows in order of length, in groups of at most ``tokens`` padded tokens; one row at least."""
    groups: list[list[EncodedRow]] = [[]]
    for row in rows:
        # In order of length, so this row would be the longest of its group.
        if groups[-1] and len(row.input_ids) * (len(groups[-1]) + 1) > tokens:
            groups.append([])
        groups[-1].append(row)
    return groups


def micro_batch_tokens(model: PreTrainedModel, wanted: int) -> int:
    """How many padded tokens fit into the memory at a time, at most ``wanted``.

    What is kept of a token for the backward pass is some 34 numbers a layer and unit of width
    (Korthikanti et al. 2022, "Reducing Activation Recomputation in Large Transformer Models",
    arXiv:2205.05198, eq. 2), or the layers' inputs alone where activations are recomputed; and
    three float32 copies of its scores over the vocabulary.
    """
    config = model.config
    layers, width = int(config.num_hidden_layers), int(config.hidden_size)
    kept = 34 * width * layers
    if model.num_parameters() > _LARGE:
        kept = 2 * width * layers + 34 * width
    token = kept + 12 * int(config.vocab_size)
    return max(1, min(wanted, int(_MEMORY_SHARE * free_memory(model.device)) // token))


def free_memory(device: torch.device) -> int:
    """Bytes that can be had on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil  # type: ignore[import-untyped]

    return int(psutil.virtual_memory().available)


def summed_loss(network: nn.Module, group: Sequence[EncodedRow]) -> Tensor:
    """The cross-entropy of all answers' tokens, summed, in float32."""
    device = next(network.parameters()).device
    ids, mask, labels = (tensor.to(device) for tensor in padded(group))
    wanted = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
    kept = wanted != IGNORED
    with torch.autocast(device.type, dtype=torch.bfloat16), _scoring(network, kept):
        logits = network(input_ids=ids, attention_mask=mask, use_cache=False).logits
    return nn.functional.cross_entropy(logits[0].float(), wanted[kept], reduction="sum")


@contextmanager
def _scoring(network: nn.Module, kept: Tensor) -> Iterator[None]:
    """The output layer is given the chosen positions only, as one row."""

    def choose(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (inputs[0][kept].unsqueeze(0), *inputs[1:])

    head = network.get_output_embeddings()  # type: ignore[operator]
    handle = head.register_forward_pre_hook(choose)
    try:
        yield
    finally:
        handle.remove()


def padded(group: Sequence[EncodedRow]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, attention mask and labels of some rows, int64 [rows, longest], padded on the right."""
    width = max(len(row.input_ids) for row in group)
    ids = torch.zeros((len(group), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for i, row in enumerate(group):
        length = len(row.input_ids)
        ids[i, :length] = torch.tensor(row.input_ids)
        mask[i, :length] = 1
        labels[i, :length] = torch.where(torch.tensor(row.answer), ids[i, :length], IGNORED)
    return ids, mask, labels
