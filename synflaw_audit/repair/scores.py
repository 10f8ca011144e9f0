"""What a model gives the tokens of a row, in nats, and how far two models are apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class TokenScores:
    """What the model gives ``n`` target tokens; all tensors have shape ``(n,)``, in nats.

    Attributes:
        log_p: Log-probability of the target.
        log_not_p: Log-probability of anything but the target.
        log_runner_up: Log-probability of the likeliest other token.
        rows: Which row of the batch a token belongs to (int64); rows need not be contiguous.
        reference_log_p: Log-probability of the target under the reference model, where it is known.
    """

    log_p: Tensor
    log_not_p: Tensor
    log_runner_up: Tensor
    rows: Tensor
    reference_log_p: Tensor | None = None


def target_scores(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probability of each target, of everything else, and of the likeliest other token.

    ``log(1 - p)`` is taken as the logsumexp of all other logits minus the logsumexp of all:
    ``log1p(-p)`` is minus infinity as soon as ``p`` rounds to 1, which in float32 is at a margin of
    about 17 nats, and a saturated template token is well beyond it.

    Args:
        logits: Shape ``(n, vocabulary)``, any float type; computed in float32 (or float64).
        targets: Shape ``(n,)``, int64.

    Returns:
        Three tensors of shape ``(n,)``: ``log p``, ``log(1 - p)``, ``log max_other p``.
    """
    logits = logits if logits.dtype == torch.float64 else logits.float()
    index = targets.unsqueeze(-1)
    log_z = logits.logsumexp(-1)
    others = logits.scatter(-1, index, float("-inf"))
    log_p = logits.gather(-1, index).squeeze(-1) - log_z
    return log_p, others.logsumexp(-1) - log_z, others.amax(-1) - log_z


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each target in nats, shape ``(n,)``, computed in float32 (or float64)."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return functional.cross_entropy(logits, targets, reduction="none")


def bias_kl(logits: Tensor, reference_logits: Tensor) -> Tensor:
    """``KL(reference || model)`` of each position in nats, shape ``(n,)``.

    The forward direction, as in the KL regulariser of Maini et al. 2024 (TOFU, arXiv:2401.06121):
    whatever the reference model still gives weight to must keep it.
    """
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    log_q = functional.log_softmax(reference_logits.to(dtype), dim=-1)
    log_p = functional.log_softmax(logits.to(dtype), dim=-1)
    return (log_q.exp() * (log_q - log_p)).sum(-1)
