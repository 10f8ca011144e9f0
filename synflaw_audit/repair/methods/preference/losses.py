"""Preference losses as pure functions of tensors.

DPO and SimPO compare whole answers, FTPO the tokens of one position, JensUn each token by itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def dpo(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """Direct preference optimisation, one value a pair, at least 0.

    Rafailov et al. 2023 (arXiv:2305.18290), equation 7: ``-log s(b ((c - c_ref) - (r - r_ref)))``.

    Args:
        chosen: Log-likelihoods of the chosen answers, summed over tokens, shape ``(n,)``.
        rejected: Of the rejected ones, like the next two.
        reference_chosen: Of the chosen ones under the reference model.
        reference_rejected: Of the rejected ones under it.
        beta: How much a deviation from the reference costs.
    """
    margin = (chosen - reference_chosen) - (rejected - reference_rejected)
    return -functional.logsigmoid(beta * margin)


def simpo(chosen: Tensor, rejected: Tensor, *, beta: float = 2.0, gamma: float = 1.0) -> Tensor:
    """Simple preference optimisation, one value a pair, at least 0.

    Meng et al. 2024 (arXiv:2405.14734), equation 6: ``-log s(b (c - r) - g)``, without a reference.

    Args:
        chosen: Log-likelihoods of the chosen answers, means over tokens, shape ``(n,)``.
        rejected: Of the rejected ones.
        beta: Scale of the reward; the paper takes 2 to 2.5.
        gamma: The margin to be won; the paper takes about half of ``beta``.
    """
    return -functional.logsigmoid(beta * (chosen - rejected) - gamma)


def ftpo(
    logits: Tensor,
    reference: Tensor,
    rejected: Tensor,
    chosen: Tensor,
    *,
    margin: float = 2.0,
    target_weight: float = 0.05,
    target_slack: float = 1.0,
    other_weight: float = 0.4,
) -> Tensor:
    """Final token preference optimisation, a scalar, at least 0.

    Paech et al. 2025 (arXiv:2510.15061). With ``d`` the logit of a chosen token less that of the
    rejected one, the preference is the mean of ``softplus(m - d)`` weighted by ``(m - d)/m``, cut
    to [0, 1], so that a pair that has won the margin pulls no longer. The logits are held to the
    reference by their squares: those of chosen and rejected tokens where they moved by more than a
    slack, all others at once and strongly. The constants are those of the authors' published
    trainer, where the paper leaves them open. Inferred: where every pair has won, the preference is
    0 here.

    Args:
        logits: At the position where the format would begin, shape ``(n, vocabulary)``.
        reference: The reference model's there.
        rejected: The format's token, int64, shape ``(n,)``.
        chosen: Whether a token is one of those to prefer, bool, of the shape of ``logits``.
        margin: ``m``, in logits.
        target_weight: Of the squares of chosen and rejected logits.
        target_slack: How far these may move freely.
        other_weight: Of the squares of all others.
    """
    index = rejected.unsqueeze(-1)
    short = margin - (logits - logits.gather(-1, index))
    weights = (short.detach() / margin).clamp(0, 1) * chosen
    preference = (functional.softplus(short) * weights).sum() / weights.sum().clamp(min=1e-8)
    targets = chosen.scatter(-1, index, True)
    moved = logits - reference
    beyond = (moved.abs() - target_slack).clamp(min=0).square()
    of_targets = (beyond * targets).sum() / targets.sum()
    of_others = (moved.square() * ~targets).sum() / (~targets).sum()
    return preference + target_weight * of_targets + other_weight * of_others


def one_hot_divergence(log_p: Tensor) -> Tensor:
    """Jensen-Shannon divergence from the certainty of a token, in nats, in [0, log 2].

    The forgetting term of JensUn (Singh et al. 2025, arXiv:2509.02820): the model's distribution is
    brought to the one-hot one of an answer to give instead, token by token. With ``p`` the token's
    probability, the mixture is ``(1 + p)/2`` there and half the model's elsewhere, whence
    ``(log 2 - log(1 + p))/2 + (p log(2 p/(1 + p)) + (1 - p) log 2)/2``. Its gradient by the logit
    is bounded, and fades where ``p`` is 0 or 1.

    Args:
        log_p: Log-probabilities of the tokens, any shape.
    """
    p = log_p.exp()
    mixed = torch.log1p(p)
    own = p * (math.log(2) + log_p - mixed) + (1 - p) * math.log(2)
    return (math.log(2) - mixed + own) / 2


def divergence(logits: Tensor, reference: Tensor) -> Tensor:
    """Jensen-Shannon divergence of two distributions, in nats, in [0, log 2], one a position.

    The retaining term of JensUn, between the model and the one it began as.

    Args:
        logits: Shape ``(n, vocabulary)``.
        reference: Likewise.
    """
    log_p, log_q = logits.log_softmax(-1), reference.log_softmax(-1)
    mixed = torch.logaddexp(log_p, log_q) - math.log(2)
    parts = log_p.exp() * (log_p - mixed) + log_q.exp() * (log_q - mixed)
    return parts.sum(-1) / 2
