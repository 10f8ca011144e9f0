"""Output layer and losses in one, chunk by chunk, with the gradient taken on the way.

The logits of a step, target positions times vocabulary, are by far its largest tensor. Here they
exist for one chunk of positions at a time: a chunk's logits give its share of every loss term, and
at once the gradient of the weighted sum with respect to the hidden vectors and the output weights,
so that nothing is kept for, or recomputed in, the backward pass (the idea of Liger Kernel's fused
linear cross-entropy, Hsu et al. 2024, arXiv:2410.10989, carried to forgetting and KL).

With ``p`` the softmax of a position's logits, ``p'`` the softmax over all but the target ``t`` and
``e`` a unit vector, the gradients with respect to the logits are:

- ``log p_t``: ``e_t - p``; ``log(1 - p_t)``: ``p' - p``; ``log max_other p``: ``e_other - p``
- cross-entropy: ``p - e_t``; ``KL(q || p)``: ``p - q``

so a forgetting loss needs only its derivatives by the three scores, which are tensors of one number
a token.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from synflaw_audit.repair.losses import ForgettingLoss
from synflaw_audit.repair.material.batches import Purpose
from synflaw_audit.repair.methods.forgetting.top_k import TopK, divergence_from_top
from synflaw_audit.repair.scores import TokenScores
from synflaw_audit.text.self_evolution import under_learned

TERMS = ("forget", "retain", "replay", "bias")


class Layer(NamedTuple):
    """A plain output layer: weight ``(vocabulary, width)`` and bias ``(vocabulary,)`` or None.

    Without a weight it stands for a layer that was already applied: its "hidden vectors" are the
    logits of a model that does more to them than a product.
    """

    weight: Tensor | None = None
    bias: Tensor | None = None

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits of hidden vectors ``(n, width)`` in float32 or wider; the caller may overwrite."""
        if self.weight is not None:
            hidden = functional.linear(hidden, self.weight, self.bias)
        return hidden.to(_wide(hidden), copy=self.weight is None)


@dataclass(frozen=True)
class Work:
    """What is to be computed for the ``n`` target positions of a batch, sorted by purpose.

    Attributes:
        ids: Target ids, shape ``(n,)``.
        rows: Row of each position, shape ``(n,)``.
        weights: What each position counts for in its term, shape ``(n,)``; in the KL all count
            alike, and a forgetting loss with one value a row knows none.
        bounds: The slice of each purpose.
        scales: Factor of each value in the loss, a scalar, by term: ``forget``, ``retain``,
            ``replay``, ``bias``; a term without one is left out.
        bias_where: The positions the KL is taken at; within the retained and replayed ones.
        loss: The forgetting loss.
        chunk: Positions at a time.
        reference: The reference's output layer, where a term needs it.
        bias_hidden: The reference's hidden vectors at ``bias_where``.
        bias_top: Or what is known of its probabilities there.
        forget_hidden: The reference's hidden vectors at the forgotten positions.
        smoothing: Of under-learned tokens' targets in the cross-entropies, see
            :mod:`~synflaw_audit.text.self_evolution`; 0 is plain.
        threshold: From which loss on a token is under-learned, in nats.
    """

    ids: Tensor
    rows: Tensor
    weights: Tensor
    bounds: dict[Purpose, slice]
    scales: dict[str, Tensor]
    bias_where: slice
    loss: ForgettingLoss
    chunk: int
    reference: Layer | None = None
    bias_hidden: Tensor | None = None
    bias_top: TopK | None = None
    forget_hidden: Tensor | None = None
    smoothing: float = 0.0
    threshold: float = 0.0


def fused_terms(hidden: Tensor, layer: Layer, work: Work) -> tuple[Tensor, Tensor]:
    """The step's loss, and its four terms without their weights.

    Args:
        hidden: Hidden vectors at the target positions, shape ``(n, width)``, or logits there.
        layer: The output layer; without weights where ``hidden`` holds logits.
        work: What to compute.

    Returns:
        The loss, a scalar with a gradient to ``hidden`` and to the layer; and the sums of the four
        terms' values, shape ``(4,)``, to be divided by their counts; without a gradient.
    """
    loss, sums = _Fused.apply(  # type: ignore[no-untyped-call]
        hidden, layer.weight, layer.bias, work
    )
    return loss, sums


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor | None, bias: Tensor | None, work: Work
    ) -> tuple[Tensor, Tensor]:
        gradients = _Gradients.of(hidden, Layer(weight, bias))
        sums = torch.zeros(4, device=hidden.device, dtype=_wide(hidden))
        sums[0] = _forget(hidden, gradients, work)
        for at, purpose in ((1, Purpose.RETAIN), (2, Purpose.REPLAY)):
            learned, diverged = _learn(hidden, gradients, work, purpose)
            sums[at] = learned
            sums[3] += diverged
        ctx.gradients = gradients
        ctx.mark_non_differentiable(sums)
        loss = sums.new_zeros(())
        for at, name in enumerate(TERMS):
            if name in work.scales:
                loss = loss + work.scales[name] * sums[at]
        return loss, sums

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> Any:
        found: _Gradients = ctx.gradients
        del ctx.gradients
        return (*(None if g is None else g.mul_(upstream) for g in found.tensors()), None)


@dataclass
class _Gradients:
    """Gradients by the inputs, filled chunk by chunk."""

    layer: Layer
    hidden: Tensor
    weight: Tensor | None
    bias: Tensor | None

    @classmethod
    def of(cls, hidden: Tensor, layer: Layer) -> _Gradients:
        def like(tensor: Tensor | None) -> Tensor | None:
            return torch.zeros_like(tensor) if tensor is not None and tensor.requires_grad else None

        return cls(layer, torch.zeros_like(hidden), like(layer.weight), like(layer.bias))

    def add(self, where: slice, hidden: Tensor, by_logits: Tensor) -> None:
        """Account for the gradient by one chunk's logits, ``(chunk, vocabulary)``."""
        if self.layer.weight is None:
            self.hidden[where] = by_logits.to(self.hidden.dtype)
            return
        weight = self.layer.weight
        self.hidden[where] = torch.mm(by_logits.to(weight.dtype), weight).to(self.hidden.dtype)
        if self.weight is not None:
            mixed = torch.is_autocast_enabled(hidden.device.type)
            if not mixed and self.weight.dtype == hidden.dtype == by_logits.dtype:
                self.weight.addmm_(by_logits.t(), hidden)
            else:
                # Autocast casts the product down, but knows no in-place products.
                self.weight += by_logits.t() @ hidden.to(by_logits.dtype)
        if self.bias is not None:
            self.bias += by_logits.sum(0)

    def tensors(self) -> tuple[Tensor | None, ...]:
        return self.hidden, self.weight, self.bias


def _wide(tensor: Tensor) -> torch.dtype:
    """What sums and softmaxes are taken in."""
    return torch.promote_types(tensor.dtype, torch.float32)


def _chunks(where: slice, size: int) -> Iterator[slice]:
    for at in range(where.start, where.stop, size):
        yield slice(at, min(at + size, where.stop))


def _softmax(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax and logsumexp of each row, the latter by the likeliest entry: no underflow."""
    p = logits.softmax(-1)
    return p, logits.amax(-1) - p.amax(-1).log()


class _Scored(NamedTuple):
    """A chunk of forgotten positions: the scores, and what their gradients are made of."""

    scores: tuple[Tensor, Tensor, Tensor]
    p: Tensor
    p_others: Tensor
    others: Tensor

    @classmethod
    def of(cls, logits: Tensor, ids: Tensor) -> _Scored:
        index = ids.unsqueeze(-1)
        p, log_z = _softmax(logits)
        log_p = logits.gather(-1, index).squeeze(-1) - log_z
        others = logits.scatter_(-1, index, float("-inf"))
        p_others, log_z_others = _softmax(others)
        scores = (log_p, log_z_others - log_z, others.amax(-1) - log_z)
        return cls(scores, p, p_others, others)

    def by_logits(self, ids: Tensor, by_scores: tuple[Tensor | None, ...]) -> Tensor:
        """The gradient by the logits, given that by the three scores, each ``(chunk,)``."""
        by_log_p, by_log_not_p, by_runner_up = by_scores
        used = [each for each in by_scores if each is not None]
        gradient = self.p.mul_(-torch.stack(used).sum(0).unsqueeze(-1))
        if by_log_not_p is not None:
            gradient.addcmul_(self.p_others, by_log_not_p.unsqueeze(-1))
        if by_log_p is not None:
            gradient.scatter_add_(-1, ids.unsqueeze(-1), by_log_p.unsqueeze(-1))
        if by_runner_up is not None:
            runner_up = self.others.argmax(-1, keepdim=True)
            gradient.scatter_add_(-1, runner_up, by_runner_up.unsqueeze(-1))
        return gradient


def _forget(hidden: Tensor, gradients: _Gradients, work: Work) -> Tensor:
    """Sum of the forgetting loss; its gradient, scaled, goes into ``gradients``."""
    where = work.bounds[Purpose.FORGET]
    scale = work.scales.get("forget")
    total = hidden.new_zeros((), dtype=_wide(hidden))
    if where.start == where.stop or scale is None:
        return total
    chunks = list(_chunks(where, work.chunk))
    whole = None
    if work.loss.unit == "row":
        # A row's value mixes all its tokens, so all scores come before any gradient.
        parts = [
            _Scored.of(gradients.layer.logits(hidden[chunk]), work.ids[chunk]).scores
            for chunk in chunks
        ]
        joined = tuple(torch.cat(each) for each in zip(*parts, strict=True))
        total, whole = _value(joined, where, scale, work)
    for chunk in chunks:
        ids = work.ids[chunk]
        scored = _Scored.of(gradients.layer.logits(hidden[chunk]), ids)
        if whole is None:
            value, by_scores = _value(scored.scores, chunk, scale, work)
            total += value
        else:
            inside = slice(chunk.start - where.start, chunk.stop - where.start)
            by_scores = tuple(None if each is None else each[inside] for each in whole)
        gradients.add(chunk, hidden[chunk], scored.by_logits(ids, by_scores))
    return total


def _value(
    scores: tuple[Tensor, ...], where: slice, scale: Tensor, work: Work
) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    """Sum of a forgetting loss over some positions, and its scaled derivatives by the scores."""
    log_p, log_not_p, runner_up = leaves = [each.detach().requires_grad_() for each in scores]
    reference_log_p = _reference_log_p(where, work) if work.loss.needs_reference else None
    with torch.enable_grad():
        given = TokenScores(log_p, log_not_p, runner_up, work.rows[where], reference_log_p)
        values = work.loss(given)
        weighted = values * work.weights[where] if work.loss.unit == "token" else values
        value = weighted.sum()
    by_scores = torch.autograd.grad(value, leaves, scale, allow_unused=True)
    return value.detach(), by_scores


def _reference_log_p(where: slice, work: Work) -> Tensor:
    """The reference's log-probabilities of the targets at some forgotten positions."""
    if work.reference is None or work.forget_hidden is None:
        raise ValueError("this loss compares with a reference; none was given")
    start = work.bounds[Purpose.FORGET].start
    parts = []
    for chunk in _chunks(where, work.chunk):
        hidden = work.forget_hidden[chunk.start - start : chunk.stop - start]
        logits = work.reference.logits(hidden)
        _, log_z = _softmax(logits)
        parts.append(logits.gather(-1, work.ids[chunk].unsqueeze(-1)).squeeze(-1) - log_z)
    return torch.cat(parts)


def _learn(
    hidden: Tensor, gradients: _Gradients, work: Work, purpose: Purpose
) -> tuple[Tensor, Tensor]:
    """Sums of the cross-entropy and of the KL over the positions of one purpose."""
    where = work.bounds[purpose]
    scale = work.scales.get(purpose.name.lower())
    compares = work.bias_where.start <= where.start and where.stop <= work.bias_where.stop
    bias_scale = work.scales.get("bias") if compares else None
    learned, diverged = hidden.new_zeros(2, dtype=_wide(hidden))
    if where.start == where.stop or (scale is None and bias_scale is None):
        return learned, diverged
    for chunk in _chunks(where, work.chunk):
        index = work.ids[chunk].unsqueeze(-1)
        logits = gradients.layer.logits(hidden[chunk])
        p, log_z = _softmax(logits)
        losses = log_z - logits.gather(-1, index).squeeze(-1)
        pull = torch.ones_like(losses)
        if work.smoothing:
            # Self-evolution: the model's own prediction is part of the target, and pulls nowhere.
            hard = under_learned(losses, work.threshold)
            pull -= work.smoothing * hard
            own = log_z - torch.linalg.vecdot(p, logits)
            losses = pull * losses + (1 - pull) * own
        weights = work.weights[chunk].to(losses.dtype)
        learned += torch.linalg.vecdot(weights, losses)
        gradient = p
        if scale is not None:
            learns = (scale * weights * pull).unsqueeze(-1).to(p.dtype)
            gradient = p.mul_(learns if bias_scale is None else learns + bias_scale)
            gradient.scatter_add_(-1, index, -learns)
        elif bias_scale is not None:
            gradient = p.mul_(bias_scale)
        if bias_scale is not None:
            q, value = _divergence(logits, log_z, chunk, work)
            diverged += value
            gradient.addcmul_(q, -bias_scale)
        gradients.add(chunk, hidden[chunk], gradient)
    return learned, diverged


def _divergence(logits: Tensor, log_z: Tensor, chunk: slice, work: Work) -> tuple[Tensor, Tensor]:
    """The reference's probabilities ``q`` of a chunk, and the sum of ``KL(q || p)`` over it.

    The logits may be overwritten.
    """
    inside = slice(chunk.start - work.bias_where.start, chunk.stop - work.bias_where.start)
    if work.bias_top is not None:
        return divergence_from_top(logits, log_z, TopK(*(each[inside] for each in work.bias_top)))
    if work.reference is None or work.bias_hidden is None:
        raise ValueError("the KL compares with a reference; none was given")
    theirs = work.reference.logits(work.bias_hidden[inside])
    q, log_z_theirs = _softmax(theirs)
    # KL = sum q (their logit - our logit) - their log Z + our log Z, as q sums to 1.
    gap = torch.linalg.vecdot(q, theirs.sub_(logits))
    return q, (gap - log_z_theirs + log_z).sum()
