"""The loss of one step: which positions, whose logits, which weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Purpose
from synflaw_audit.repair.methods.forgetting.cache import CachedReference
from synflaw_audit.repair.methods.forgetting.head import Layer, Work, fused_terms
from synflaw_audit.repair.methods.forgetting.reference import BIAS_ROWS, Reference
from synflaw_audit.repair.training.forward import (
    is_plain,
    selected_hidden,
    selected_logits,
)


@dataclass(frozen=True)
class Targets:
    """The target positions of a batch, sorted by purpose, so that each purpose is a slice.

    ``rows`` and ``columns`` say where the logits stand that predict ``ids``; int64, shape ``(n,)``;
    ``weights``, of the same shape, what each counts for in its term.
    """

    rows: Tensor
    columns: Tensor
    ids: Tensor
    weights: Tensor
    bounds: dict[Purpose, slice]

    @classmethod
    def of(cls, inputs: dict[str, Tensor], decay: float = 1.0, opening: float = 1.0) -> Targets:
        """The targets of a batch that :class:`~.batches.Collator` made.

        Args:
            inputs: The batch.
            decay: What a format token weighs beside the one before it in its span.
            opening: What the first token of an answer that is learned weighs.
        """
        purposes = inputs["purposes"][:, 1:]
        rows, columns = purposes.nonzero(as_tuple=True)
        kinds = purposes[rows, columns]
        order = kinds.argsort(stable=True)
        rows, columns = rows[order], columns[order]
        sizes = torch.bincount(kinds, minlength=len(Purpose)).tolist()
        bounds, start = {}, 0
        for purpose in (Purpose.FORGET, Purpose.RETAIN, Purpose.REPLAY):
            bounds[purpose] = slice(start, start + sizes[purpose])
            start += sizes[purpose]
        ids = inputs["input_ids"][rows, columns + 1]
        weights = token_weights(purposes, decay, opening)[rows, columns]
        return cls(rows, columns, ids, weights, bounds)


# What an opening's weight beyond 1 is multiplied with from one token of the answer to the next.
_OPENING_DECAY = 0.5


def token_weights(purposes: Tensor, decay: float = 1.0, opening: float = 1.0) -> Tensor:
    """What each target weighs in its term, float32, of the same shape ``(b, t)``.

    Which answer is given is decided where it begins; the rest follows almost of itself, and a plain
    mean over tokens would spend itself there (Qi et al. 2024, arXiv:2406.05946, who weigh the first
    tokens to keep what is decided there; here it is what brings an ordinary beginning back). So the
    first token of a format span weighs 1, and each later one ``decay`` times the one before; the
    first token of an answer that is learned weighs ``opening``, and what that is beyond 1 halves
    from token to token.

    Args:
        purposes: Of the targets.
        decay: In (0, 1].
        opening: At least 1.
    """
    shape, device = purposes.shape, purposes.device
    at = torch.arange(shape[1], device=device).expand_as(purposes)
    weights = torch.ones(shape, device=device)
    forgotten = purposes == Purpose.FORGET
    before = torch.where(forgotten, -1, at).cummax(-1).values
    weights = torch.where(forgotten, torch.full_like(weights, decay).pow(at - before - 1), weights)
    learned = (purposes == Purpose.RETAIN) | (purposes == Purpose.REPLAY)
    before = torch.where(learned, -1, at).cummax(-1).values
    # What follows a format opens nothing: there the answer has begun already.
    opens = learned & (purposes.gather(-1, before.clamp(min=0)) != Purpose.FORGET)
    beyond = torch.full_like(weights, _OPENING_DECAY).pow(at - before - 1) * (opening - 1)
    return torch.where(opens, weights + beyond, weights)


def token_counts(batch: dict[str, Tensor], decay: float = 1.0, opening: float = 1.0) -> Tensor:
    """What the terms of a batch are divided by, shape ``(6,)``.

    The forgotten, retained and replayed tokens by their weights (see :func:`token_weights`), the
    rows with forgotten tokens, and the retained and replayed tokens by number.
    """
    purposes = batch["purposes"][:, 1:]
    weights = token_weights(purposes, decay, opening)
    weighed = torch.zeros(len(Purpose), device=weights.device)
    weighed.index_add_(0, purposes.flatten(), weights.flatten())
    number = torch.bincount(purposes.flatten(), minlength=len(Purpose)).float()
    rows = (purposes == Purpose.FORGET).any(-1).sum().float().unsqueeze(0)
    return torch.cat([weighed[1:], rows, number[Purpose.RETAIN :]])


class StepLoss:
    """Computes the weighted sum of the four terms over a micro-batch.

    Args:
        settings: The forgetting loss and the weights.
        head: The model's output layer.
        reference: What NPO and the KL compare with; None where no term does.
    """

    def __init__(
        self,
        settings: RepairConfig,
        head: nn.Module,
        reference: Reference | CachedReference | None,
    ) -> None:
        self._settings = settings
        self._loss = settings.forgetting_loss
        self._head = head
        self._cache = reference if isinstance(reference, CachedReference) else None
        self._reference = None if isinstance(reference, CachedReference) else reference
        self._plain: bool | None = None
        self._reference_plain = False

    def __call__(
        self, model: nn.Module, inputs: dict[str, Tensor], counts: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss, and its terms without their weights, in the order of :data:`~.head.TERMS`.

        Args:
            model: The model, wrapped or not.
            inputs: A batch of :class:`~.batches.Collator`.
            counts: What to divide by, as :func:`token_counts` gives it, of the whole accumulated
                batch of all processes.
        """
        targets = Targets.of(inputs, self._settings.decay, self._settings.opening_weight)
        features = {name: value for name, value in inputs.items() if name != "purposes"}
        if self._plain is None:
            self._look(model, features)
        divisors = self._divisors(counts)
        # The reference goes first: its pass must not come on top of the activations we keep.
        work = self._work(features, targets, divisors)
        take = selected_hidden if self._plain else selected_logits
        states = take(model, self._head, features, targets.rows, targets.columns)
        layer = _layer(self._head) if self._plain else Layer()
        loss, sums = fused_terms(states, layer, work)
        return loss, sums.detach() / divisors

    def _look(self, model: nn.Module, features: dict[str, Tensor]) -> None:
        """Find out, once, whether the output layers are plain products."""
        self._plain = is_plain(model, self._head, features)
        reference = self._reference
        if reference is not None:
            self._reference_plain = is_plain(reference.model, reference.head, features)

    def _divisors(self, counts: Tensor) -> Tensor:
        """What each term's sum is divided by, shape ``(4,)``, at least 1."""
        forget, retain, replay, rows = counts[:4].unbind()
        first, last = BIAS_ROWS[self._settings.bias_rows]
        # The KL is a mean over tokens, whatever these weigh when they are learned.
        bias = counts[4:][first - Purpose.RETAIN : last - Purpose.RETAIN + 1].sum()
        unit = rows if self._loss.unit == "row" else forget
        return torch.stack([unit, retain, replay, bias]).clamp(min=1)

    def _work(self, features: dict[str, Tensor], targets: Targets, divisors: Tensor) -> Work:
        settings = self._settings
        weights = (
            settings.forget_weight,
            settings.retain_weight,
            settings.replay_weight,
            settings.bias_weight,
        )
        scales = {
            name: weight / divisor
            for name, weight, divisor in zip(
                ("forget", "retain", "replay", "bias"), weights, divisors.unbind(), strict=True
            )
            if weight
        }
        first, last = BIAS_ROWS[settings.bias_rows]
        bias_where = slice(targets.bounds[first].start, targets.bounds[last].stop)
        forget_where = targets.bounds[Purpose.FORGET]
        compares = self._loss.needs_reference and "forget" in scales
        reference, cache = self._reference, self._cache
        known = None
        if cache is not None and "bias" in scales and bias_where.start < bias_where.stop:
            known = cache.at(features, targets.rows[bias_where], targets.columns[bias_where])
        asks = "bias" in scales and cache is None
        return Work(
            ids=targets.ids,
            rows=targets.rows,
            weights=targets.weights,
            bounds=targets.bounds,
            scales=scales,
            bias_where=bias_where,
            loss=self._loss,
            chunk=settings.chunk_tokens,
            reference=_layer(reference.head) if reference and self._reference_plain else Layer(),
            bias_hidden=self._ask(features, targets, bias_where) if asks else None,
            bias_top=known,
            forget_hidden=self._ask(features, targets, forget_where) if compares else None,
            smoothing=settings.self_evolution,
            threshold=settings.under_learned,
        )

    def _ask(self, features: dict[str, Tensor], targets: Targets, where: slice) -> Tensor | None:
        """The reference's view of some targets, from a pass over the rows that hold them."""
        if self._reference is None:
            raise RepairError("this trainer was built without a reference model")
        if where.start == where.stop:
            return None
        needed, rows = torch.unique(targets.rows[where], return_inverse=True)
        subset = {name: value[needed] for name, value in features.items()}
        take = self._reference.hidden if self._reference_plain else self._reference.logits
        return take(subset, rows, targets.columns[where])


def _layer(head: nn.Module) -> Layer:
    """The weights of a head that :func:`~.forward.is_plain` found to be a plain product."""
    if not isinstance(head, nn.Linear):
        raise TypeError(f"{type(head).__name__} is no plain output layer")
    return Layer(head.weight, head.bias)
