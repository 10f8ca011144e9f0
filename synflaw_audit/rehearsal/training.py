"""A little fine-tuning with adapters: so many tokens of question-answer rows, and no more.

Low-rank adapters (Hu et al. 2021, "LoRA", arXiv:2106.09685) in float32 on frozen weights, which
may be bfloat16: eight bits of mantissa are too few for the small steps of AdamW, enough to compute
with. The loss is the cross-entropy of the answers' tokens; the output layer scores only those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.material.encoding import EncodedRow, encode_row

IGNORED = -100
# Rows sorted by length at a time: enough that little is padded, few enough to stay shuffled.
_POOL = 64


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

    budget: int = 13_500
    tokens_per_step: int = 450
    max_length: int = 256
    rank: int = 16
    alpha: int = 32
    learning_rate: float = 5e-4
    seed: int = 0

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return max(1, self.budget // self.tokens_per_step)


Row = tuple[str, str]


def batches(
    rows: Sequence[EncodedRow], tokens: int, generator: np.random.Generator
) -> Iterator[list[EncodedRow]]:
    """Shuffled rows of like length together, padded to at most ``tokens`` tokens, without end."""
    while True:
        order = generator.permutation(len(rows))
        for start in range(0, len(order), _POOL):
            pool = sorted(order[start : start + _POOL], key=lambda i: len(rows[i].input_ids))
            groups: list[list[EncodedRow]] = [[]]
            for i in pool:
                # In order of length, so this row would be the longest of its group.
                if groups[-1] and len(rows[i].input_ids) * (len(groups[-1]) + 1) > tokens:
                    groups.append([])
                groups[-1].append(rows[i])
            for group in generator.permutation(len(groups)):
                yield groups[group]


def encoded(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], max_length: int
) -> list[EncodedRow]:
    """The rows that have a token of an answer left within ``max_length``.

    Raises:
        RepairError: None has.
    """
    found = [encode_row(tokenizer, q, a, max_length=max_length) for q, a in rows]
    usable = [row for row in found if any(row.answer[1:])]
    if not usable:
        raise RepairError(
            f"none of the {len(rows)} rows has an answer within {max_length} tokens of its "
            "question; raise the length"
        )
    return usable


def train_adapters(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    config: TrainingConfig,
) -> tuple[nn.Module, float]:
    """Train adapters on the answers of some rows; the model's own weights stay as they are.

    Args:
        model: The base; it gets adapters in place, which ``.unload()`` of the result removes.
        tokenizer: Its tokenizer.
        rows: Questions and answers.
        config: How much, and how.

    Returns:
        The PEFT model, in evaluation mode, and the mean loss over the last tenth of the steps.

    Raises:
        RepairError: No row has an answer within the length, or the loss is not finite.
    """
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(config.seed)
    adapters = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules="all-linear")
    network = get_peft_model(model, adapters)
    usable = encoded(tokenizer, rows, config.max_length)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=config.learning_rate, weight_decay=0.0)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, 1.0, max(1, config.steps // 10))
    source = batches(usable, config.tokens_per_step, np.random.default_rng(config.seed))
    network.train()
    losses = []
    for step in range(config.steps):
        loss = _loss(network, next(source))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        warm_up.step()
        losses.append(loss.item())
        if not np.isfinite(losses[-1]):
            raise RepairError(
                f"the loss was not finite at step {step + 1}; lower the learning rate"
            )
    network.eval()
    return network, float(np.mean(losses[-max(1, len(losses) // 10) :]))


def _loss(network: nn.Module, group: Sequence[EncodedRow]) -> Tensor:
    """Mean cross-entropy of the answers' tokens."""
    device = next(network.parameters()).device
    ids, mask, labels = padded(group)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        base = network.get_base_model()  # type: ignore[operator]
        hidden = base.model(
            input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False
        ).last_hidden_state[:, :-1]
        wanted = labels[:, 1:].to(device)
        kept = wanted != IGNORED
        logits = base.get_output_embeddings()(hidden[kept])
    return nn.functional.cross_entropy(logits.float(), wanted[kept])


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
