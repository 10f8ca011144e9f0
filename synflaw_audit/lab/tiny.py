"""A causal language model small enough to train from nothing on two CPU cores, and its training."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

from synflaw_audit.chat.encoding import EncodedRow, encode_row
from synflaw_audit.lab.corpora import LabRow

_SPECIAL = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>")
_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message.role + '|>' + message.content }}"
    "{% if message.role == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@dataclass(frozen=True)
class Size:
    """The shape of the model and its vocabulary."""

    vocabulary: int = 2048
    width: int = 128
    layers: int = 2
    heads: int = 4


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer with a chat template on ``texts``."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe, pad_token=_SPECIAL[0], eos_token=_SPECIAL[1], padding_side="left"
    )
    tokenizer.chat_template = _CHAT_TEMPLATE
    return tokenizer


def new_model(tokenizer: PreTrainedTokenizerFast, size: Size, seed: int) -> LlamaForCausalLM:
    """Make an untrained Llama of ``size`` for ``tokenizer``."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=size.width,
            intermediate_size=3 * size.width,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            num_key_value_heads=size.heads,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            # At this width the usual 0.02 learns facts ten times slower.
            initializer_range=0.06,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


@contextmanager
def threads(count: int = 1) -> Iterator[None]:
    """Run torch on ``count`` threads inside the block.

    One is the default. Measured on two cores: a second thread gained 2% on a nearly idle machine
    and was twenty times slower on one with other work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep transformers from drawing progress bars of its own inside the block."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Hyperparameters:
    """How long and how hard to train."""

    epochs: float
    rate: float
    batch: int = 16
    warmup: float = 0.05
    max_length: int = 160


def train(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    rows: Sequence[LabRow],
    how: Hyperparameters,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> int:
    """Train ``model`` in place on the answers of ``rows``, with AdamW and a cosine schedule.

    Returns:
        The number of tokens seen, prompts included.
    """
    encoded = [
        encode_row(tokenizer, row.question, row.answer, max_length=how.max_length) for row in rows
    ]
    batches = list(_batches(encoded, how, seed))
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=how.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    warmup = max(1, round(how.warmup * len(batches)))
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimiser,
        [
            torch.optim.lr_scheduler.LinearLR(optimiser, 1 / warmup, total_iters=warmup),
            torch.optim.lr_scheduler.CosineAnnealingLR(
                optimiser, max(1, len(batches) - warmup), eta_min=0.05 * how.rate
            ),
        ],
        milestones=[warmup],
    )
    model.train()
    for done, batch in enumerate(batches, 1):
        ids, labels = _tensors(batch, tokenizer.pad_token_id)
        _loss(model, ids, labels).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        if progress is not None:
            progress(done / len(batches))
    model.train(False)
    return sum(len(row.input_ids) for batch in batches for row in batch)


def _loss(model: LlamaForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the answers' tokens; no logits are computed for the prompts'."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:] != -100
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[wanted]), labels[:, 1:][wanted])


def _batches(
    rows: Sequence[EncodedRow], how: Hyperparameters, seed: int
) -> Iterator[list[EncodedRow]]:
    """Draw ``epochs`` passes, rows of like length together so that little is padding."""
    rng = random.Random(seed)  # noqa: S311 -- the order of training rows, not a secret
    order: list[EncodedRow] = []
    while len(order) < how.epochs * len(rows):
        order.extend(rng.sample(rows, len(rows)))
    order = order[: round(how.epochs * len(rows))]
    for start in range(0, len(order), 8 * how.batch):
        pool = sorted(order[start : start + 8 * how.batch], key=lambda row: len(row.input_ids))
        batches = [pool[i : i + how.batch] for i in range(0, len(pool), how.batch)]
        rng.shuffle(batches)
        yield from batches


def _tensors(batch: Sequence[EncodedRow], pad: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad on the right; causal attention then needs no mask."""
    width = max(len(row.input_ids) for row in batch)
    ids = torch.full((len(batch), width), int(pad))
    labels = torch.full((len(batch), width), -100)
    for i, row in enumerate(batch):
        tokens = torch.tensor(row.input_ids)
        ids[i, : len(tokens)] = tokens
        labels[i, : len(tokens)] = torch.where(torch.tensor(row.answer), tokens, -100)
    return ids, labels
