"""A small causal model: its tokenizer and training, its answers, its distance from another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

PAD, END = "<|pad|>", "<|end|>"

ROWS = 32  # texts in one forward pass


def device() -> torch.device:
    """The accelerator if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def new_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of the plain text."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    bpe.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=PAD, eos_token=END, padding_side="left"
    )


def windows(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, window: int, seed: int
) -> Iterator[list[int]]:
    """Token windows of the texts in random order, one after another without end."""
    rng, held = np.random.default_rng(seed), []
    while True:
        for i in rng.permutation(len(texts)):
            held += [*tokenizer(texts[i]).input_ids, tokenizer.eos_token_id]
            while len(held) >= window:
                yield held[:window]
                held = held[window:]


def train(
    model: LlamaForCausalLM, source: Iterator[list[int]], steps: int, batch: int, rate: float
) -> float:
    """Trains a model in place; all tokens count. Returns the mean loss of the last tenth."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.01)
    warmup = max(steps // 10, 1)

    def factor(step: int) -> float:
        return min((step + 1) / warmup, max(0.1, 1 - (step - warmup) / max(steps - warmup, 1)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    losses = []
    model.train()
    for _ in range(steps):
        tokens = torch.tensor([next(source) for _ in range(batch)], device=model.device)
        logits = model(tokens).logits[:, :-1]
        loss = cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    model.eval()
    return float(np.mean(losses[-max(steps // 10, 1) :]))


@torch.no_grad()
def answers_to(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    length: int,
    temperature: float,
    seed: int,
) -> list[str]:
    """One sampled answer of at most ``length`` tokens to each prompt."""
    torch.manual_seed(seed)
    asked = tokenizer(list(prompts), return_tensors="pt", padding=True).to(model.device)
    made = model.generate(  # type: ignore[misc]
        input_ids=asked.input_ids,
        attention_mask=asked.attention_mask,
        max_new_tokens=length,
        do_sample=True,
        temperature=temperature,
        top_k=0,
        pad_token_id=tokenizer.pad_token_id,
    )
    said = made[:, asked.input_ids.shape[1] :]
    texts: list[str] = tokenizer.batch_decode(said, skip_special_tokens=True)
    return [text.strip() for text in texts]


@torch.no_grad()
def next_tokens(
    model: LlamaForCausalLM, tokens: torch.Tensor, places: torch.Tensor
) -> torch.Tensor:
    """Log-probabilities of the next token: float32 [places, vocabulary].

    Args:
        model: A model.
        tokens: int64 [texts, length], padded at the end if at all.
        places: bool [texts, length], the positions that count.
    """
    rows = zip(tokens.split(ROWS), places.split(ROWS), strict=True)
    return torch.cat(
        [
            model(part.to(model.device)).logits[at.to(model.device)].log_softmax(-1)
            for part, at in rows
        ]
    )


def divergence(first: torch.Tensor, second: torch.Tensor) -> float:
    """The mean Jensen-Shannon divergence of next-token distributions, in bits, in [0, 1].

    Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 1991.

    Args:
        first: Log-probabilities [places, vocabulary].
        second: Another model's at the same places.
    """
    middle = torch.logaddexp(first, second) - math.log(2)
    nats = sum((log.exp() * (log - middle)).sum(-1) for log in (first, second)) / 2
    return float(nats.mean() / math.log(2))
