"""Self-evolution: a model asks itself which tokens it has not learned, and learns those softly.

Two papers of ACL 2023 share the idea: Peng et al., "Token-level self-evolution training for
sequence-to-sequence learning" (short 73), and Zhong et al., "Self-evolution learning for
discriminative language model pretraining" (arXiv:2305.15275, findings). *Self-questioning*: a
token is under-learned where its loss exceeds a threshold. *Token-specific label smoothing*: its
target is mixed with what the model itself predicts, ``(1 - a) onehot + a r``, with ``r`` held
fixed; every other token keeps its one-hot target. Masked models mask just those tokens and take
``r`` from the text as it stands. As in the authors' published code (``a`` = 0.1); inferred: the
threshold of one nat, which their code leaves to the user.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SMOOTHING, THRESHOLD = 0.1, 1.0
IGNORED = -100


def under_learned(losses: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Which tokens a model has not learned yet, by their cross-entropy in nats, of any shape."""
    return losses > threshold


def smoothed_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    own: Tensor | None = None,
    *,
    smoothing: float = SMOOTHING,
    threshold: float = THRESHOLD,
) -> Tensor:
    """Cross-entropy of each target, softened where it is under-learned, shape ``(n,)``, in nats.

    Smoothing 0 is the cross-entropy. Where ``own`` is the same forward pass, the gradient by the
    logits of an under-learned token is ``(1 - smoothing) (p - onehot)``: it is held back.

    Args:
        logits: Shape ``(n, vocabulary)``.
        targets: Token ids, int64, shape ``(n,)``.
        own: Logits of the model's own prediction, without gradient; None: the same logits.
        smoothing: ``a``, in [0, 1).
        threshold: See :func:`under_learned`; asked of ``own``.
    """
    losses = functional.cross_entropy(logits, targets, reduction="none")
    if smoothing == 0:
        return losses
    held = (logits if own is None else own).detach()
    asked = functional.cross_entropy(held, targets, reduction="none")
    soft = -(held.softmax(-1) * logits.log_softmax(-1)).sum(-1)
    mixed = (1 - smoothing) * losses + smoothing * soft
    return torch.where(under_learned(asked, threshold), mixed, losses)


def masked(
    ids: Tensor,
    losses: Tensor,
    maskable: Tensor,
    mask_id: int,
    *,
    share: float = 0.15,
    threshold: float = THRESHOLD,
) -> tuple[Tensor, Tensor]:
    """A batch for a masked model: the tokens that it has learned least are masked.

    Of each row the under-learned tokens, the worst first and at most a share of it; a row without
    any gets its worst one, so that every row teaches something. Inferred: both bounds; the authors
    mask every under-learned token.

    Args:
        ids: Token ids, int64, shape ``(b, t)``.
        losses: The model's cross-entropy of each from the text as it stands, likewise.
        maskable: Which tokens may be masked: neither padding nor special ones; bool, likewise.
        mask_id: The mask's id.
        share: Of a row's maskable tokens, in (0, 1].
        threshold: See :func:`under_learned`.

    Returns:
        The ids with masks, and the targets, ``IGNORED`` where nothing is masked.
    """
    worst = losses.masked_fill(~maskable, -torch.inf)
    rank = worst.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    most = (share * maskable.sum(-1, keepdim=True)).ceil()
    chosen = (rank < most) & (under_learned(worst, threshold) | (rank == 0)) & maskable
    return ids.masked_fill(chosen, mask_id), ids.masked_fill(~chosen, IGNORED)
