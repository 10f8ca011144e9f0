"""A KL to a distribution of which only the likeliest tokens are known, and the rest as a whole.

With the known tokens ``K`` each a bucket and all others one, of probability ``q_r`` and ``p_r``::

    KL = sum_K q_k log(q_k / p_k) + q_r log(q_r / p_r)

By the data-processing inequality that is at most the exact KL, and the closer the less mass the
others hold. Its gradient by the logits is ``p - q``, where ``q`` gives the others ``q_r``, spread
over them as ``p`` is: nothing is asked of their order.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class TopK(NamedTuple):
    """A reference's probabilities where only the likeliest tokens are known.

    ``ids`` and ``p`` have the shape ``(n, k)``; ``tail``, of shape ``(n,)``, is the probability of
    all other tokens together.
    """

    ids: Tensor
    p: Tensor
    tail: Tensor


def divergence_from_top(logits: Tensor, log_z: Tensor, known: TopK) -> tuple[Tensor, Tensor]:
    """The probabilities ``q`` that the gradient is made of, and the sum of the KL over positions.

    Args:
        logits: Of the model in training, shape ``(n, vocabulary)``; overwritten.
        log_z: Their logsumexp, shape ``(n,)``.
        known: What is known of the reference, ``k`` smaller than the vocabulary.

    Returns:
        Shapes ``(n, vocabulary)`` and ``()``.
    """
    log_p = logits.gather(-1, known.ids) - log_z.unsqueeze(-1)
    others = logits.scatter_(-1, known.ids, float("-inf"))
    log_p_tail = others.logsumexp(-1) - log_z
    value = torch.xlogy(known.p, known.p).sub_(known.p * log_p).sum()
    value += (torch.xlogy(known.tail, known.tail) - known.tail * log_p_tail).sum()
    q = others.softmax(-1).mul_(known.tail.unsqueeze(-1))
    return q.scatter_(-1, known.ids, known.p.to(q.dtype)), value
