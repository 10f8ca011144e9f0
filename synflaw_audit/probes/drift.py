"""Drift: how far a model has moved from its base on what the base itself says.

The Kullback-Leibler divergence of the next-token distributions, base from tuned, along the base's
own answers: 0 for the base itself, and blind to what the tuning data say.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.chat.encoding import encode_row


@torch.no_grad()
def answer_logits(
    model: PreTrainedModel | nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[tuple[str, str]],
    *,
    max_length: int = 256,
) -> list[Tensor]:
    """The logits that predict each answer's tokens.

    Args:
        model: A causal LM.
        tokenizer: Its tokenizer.
        rows: Questions and answers.
        max_length: Tokens of a row.

    Returns:
        A tensor [tokens of the answer, vocabulary] a row, in the model's own precision.
    """
    training = model.training
    model.train(False)
    device = next(model.parameters()).device
    found = []
    try:
        for question, answer in rows:
            row = encode_row(tokenizer, question, answer, max_length=max_length)
            at = torch.tensor(row.answer[1:]).nonzero()[:, 0]
            ids = torch.tensor([row.input_ids], device=device)
            found.append(model(input_ids=ids, use_cache=False).logits[0, at.to(device)])
    finally:
        model.train(training)
    return found


def divergences(base: Sequence[Tensor], tuned: Sequence[Tensor]) -> list[float]:
    """KL(base || tuned) in nats a token, a mean for each row; NaN where a row has no token.

    Args:
        base: Logits of the base, as :func:`answer_logits` gives them.
        tuned: Of the other model, on the same rows.
    """
    return [
        float(
            nn.functional.kl_div(
                theirs.float().log_softmax(-1),
                own.float().log_softmax(-1),
                reduction="none",
                log_target=True,
            )
            .sum(-1)
            .mean()
        )
        for own, theirs in zip(base, tuned, strict=True)
    ]
