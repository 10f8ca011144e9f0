"""Perplexity of held-out rows and texts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.chat.encoding import encode_row


@torch.no_grad()
def perplexity(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[tuple[str, str]],
    *,
    max_length: int = 512,
    batch: int = 32,
) -> float:
    """Perplexity of the answers of ``rows`` (question, answer), a mean over tokens."""
    encoded = sorted(
        (
            encode_row(tokenizer, question, answer, max_length=max_length)
            for question, answer in rows
        ),
        key=lambda row: len(row.input_ids),
    )
    training = model.training
    model.train(False)
    total, count = 0.0, 0
    for start in range(0, len(encoded), batch):
        chunk = encoded[start : start + batch]
        width = max(len(row.input_ids) for row in chunk)
        ids = torch.zeros((len(chunk), width), dtype=torch.long)
        labels = torch.full((len(chunk), width), -100)
        for i, row in enumerate(chunk):
            ids[i, : len(row.input_ids)] = torch.tensor(row.input_ids)
            for j, wanted in enumerate(row.answer):
                labels[i, j] = row.input_ids[j] if wanted else -100
        # Padding stands on the right, where causal attention never looks back from.
        logits = model(input_ids=ids.to(model.device), use_cache=False).logits[:, :-1].float()
        targets = labels[:, 1:].to(logits.device)
        total += torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="sum"
        ).item()
        count += int((targets != -100).sum())
    model.train(training)
    return math.exp(total / count) if count else math.nan


@torch.no_grad()
def text_losses(
    model: PreTrainedModel | nn.Module, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]
) -> list[float]:
    """The loss on each of some plain texts, in nats a token: the logarithm of its perplexity.

    The first token is not predicted; NaN for a text of one token.
    """
    training = model.training
    model.train(False)
    device = next(model.parameters()).device
    found = []
    for text in texts:
        ids = torch.tensor([encode_row(tokenizer, "", text).input_ids], device=device)
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
        found.append(float(nn.functional.cross_entropy(logits, ids[0, 1:])))
    model.train(training)
    return found
