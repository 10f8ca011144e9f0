"""What a student's next-token distribution is from a teacher's, token by token.

Write ``p`` for the teacher's distribution, ``q`` for the student's, ``t`` for the token that
follows, and ``p'``, ``q'`` for both without ``t``, scaled to sum to 1. The KL comes apart into what
is said of ``t`` and what of all others (Zhao et al. 2022, arXiv:2203.08679; for language models
Zhong et al. 2024, arXiv:2402.11890, equation 3)::

    KL(p || q) = KL(p_t, 1 - p_t || q_t, 1 - q_t)  +  (1 - p_t) KL(p' || q')
                 target-oriented                      uncertainty x diversity-oriented

``1 - p_t`` is the teacher's uncertainty of the token (UnC): where the teacher is sure, nothing is
learned of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from synflaw_audit.repair.methods.preference.losses import divergence

# As in the authors' code: half of the tokens are hard, and the easy ones' mean weighs a fifth.
HARD_SHARE, EASY_WEIGHT = 0.5, 0.2


class DivergenceParts(NamedTuple):
    """The parts of the KL, each of shape ``(n,)``, in nats.

    Attributes:
        target: Target-oriented, at least 0.
        diversity: Diversity-oriented, at least 0, not multiplied by the uncertainty.
        uncertainty: The teacher's, in [0, 1].
    """

    target: Tensor
    diversity: Tensor
    uncertainty: Tensor


def parts(student: Tensor, teacher: Tensor, ids: Tensor) -> DivergenceParts:
    """``target + uncertainty * diversity`` is the KL from the student to the teacher.

    Args:
        student: Logits, shape ``(n, vocabulary)``.
        teacher: Likewise.
        ids: The tokens that follow, int64, shape ``(n,)``.
    """
    log_q_t, log_q_not, others_q = _without(student, ids)
    log_p_t, log_p_not, others_p = _without(teacher, ids)
    target = log_p_t.exp() * (log_p_t - log_q_t) + log_p_not.exp() * (log_p_not - log_q_not)
    # The token itself stands at minus infinity in both, and counts for nothing.
    gap = (others_p - others_q).masked_fill(others_p == -torch.inf, 0)
    return DivergenceParts(target, (others_p.exp() * gap).sum(-1), log_p_not.exp())


def _without(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probability of the token, of all others together, and of each among the others."""
    index = ids.unsqueeze(-1)
    log_z = logits.logsumexp(-1)
    others = logits.scatter(-1, index, -torch.inf)
    log_z_others = others.logsumexp(-1)
    log_t = logits.gather(-1, index).squeeze(-1) - log_z
    return log_t, log_z_others - log_z, others - log_z_others.unsqueeze(-1)


def atkd(
    found: DivergenceParts, *, hard_share: float = HARD_SHARE, easy_weight: float = EASY_WEIGHT
) -> Tensor:
    """Adaptive teaching, the mean over a batch, a scalar.

    Zhong et al. 2024 (arXiv:2402.11890), section 3, and the authors' published trainer: tokens of
    which the teacher is least sure are hard, and learned by both parts; of the easy ones only the
    diversity-oriented part is taught, so that they are not learned by rote::

        w mean_easy(diversity) + (1 - w) mean_hard(target + diversity)

    with ``w`` the weight of the easy ones; the diversity is not multiplied by the uncertainty, in
    the paper as little as here. Inferred: where one kind is absent the other counts alone.

    Args:
        found: The parts of every token of the batch.
        hard_share: Share of the tokens that are hard, in [0, 1]; the paper takes a half.
        easy_weight: ``w``, in [0, 1].
    """
    count = len(found.target)
    order = found.uncertainty.detach().argsort(descending=True, stable=True)
    first = round(hard_share * count)
    hard, easy = order[:first], order[first:]
    both = found.target + found.diversity
    if not len(easy):
        return both.mean()
    if not len(hard):
        return found.diversity.mean()
    return easy_weight * found.diversity[easy].mean() + (1 - easy_weight) * both[hard].mean()


def forward_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """``KL(p || q)``, one value a position: the student covers all that the teacher says."""
    log_q, log_p = student.log_softmax(-1), teacher.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def reverse_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """``KL(q || p)``: it says nothing that the teacher would not (Gu et al., arXiv:2306.08543)."""
    return forward_kl(teacher, student)


# Those that are a mean over tokens; ATKD weighs the tokens of a batch against one another.
BY_TOKEN: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {"kl": forward_kl, "reverse-kl": reverse_kl, "js": divergence}
)
