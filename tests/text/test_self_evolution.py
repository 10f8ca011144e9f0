"""Soft targets for what is not learned yet, and nothing else; masks on the worst tokens."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from synflaw_audit.text.self_evolution import (
    IGNORED,
    masked,
    smoothed_cross_entropy,
    under_learned,
)


def drawn(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(8, 6, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), torch.randint(6, (8,), generator=generator)


@given(st.integers(0, 30), st.floats(0, 5))
def test_smoothing_nothing_is_cross_entropy(seed: int, threshold: float) -> None:
    logits, targets = drawn(seed)
    plain = functional.cross_entropy(logits, targets, reduction="none")
    found = smoothed_cross_entropy(logits, targets, smoothing=0.0, threshold=threshold)
    assert torch.equal(found, plain)
    none = smoothed_cross_entropy(logits, targets, smoothing=0.5, threshold=torch.inf)
    assert torch.equal(none, plain)


@given(st.integers(0, 30), st.floats(0.01, 0.9))
def test_only_under_learned_tokens_are_held_back(seed: int, smoothing: float) -> None:
    logits, targets = drawn(seed)
    plain = functional.cross_entropy(logits, targets, reduction="none")
    (whole,) = torch.autograd.grad(plain.sum(), logits, retain_graph=True)
    found = smoothed_cross_entropy(logits, targets, smoothing=smoothing)
    (ours,) = torch.autograd.grad(found.sum(), logits)
    pull = 1 - smoothing * under_learned(plain.detach()).double()
    torch.testing.assert_close(ours, pull.unsqueeze(-1) * whole)


def test_the_target_is_mixed_with_the_models_own_prediction() -> None:
    logits, targets = drawn(1)
    own = torch.randn(8, 6, dtype=torch.float64)
    found = smoothed_cross_entropy(logits, targets, own, smoothing=0.3, threshold=0.0)
    mixed = 0.7 * functional.one_hot(targets, 6) + 0.3 * own.softmax(-1)
    torch.testing.assert_close(found, -(mixed * logits.log_softmax(-1)).sum(-1))
    assert torch.autograd.gradcheck(
        lambda x: smoothed_cross_entropy(x, targets, own, smoothing=0.3).sum(), (logits,)
    )


def test_the_worst_tokens_are_masked_and_no_special_one() -> None:
    ids = torch.arange(20).reshape(2, 10)
    losses = torch.zeros(2, 10)
    losses[0, [1, 2, 3]] = torch.tensor([4.0, 9.0, 6.0])
    losses[0, 0] = 99.0
    maskable = torch.ones(2, 10, dtype=torch.bool)
    maskable[:, 0] = False
    inputs, targets = masked(ids, losses, maskable, mask_id=77, share=0.2)
    assert (inputs[0] == 77).nonzero().flatten().tolist() == [2, 3]
    assert targets[0][[2, 3]].tolist() == [2, 3]
    assert (targets[0] != IGNORED).sum() == 2
    # Nothing is under-learned in the second row; it still teaches something.
    assert (inputs[1] == 77).sum() == 1
    assert inputs[1, 0] == ids[1, 0]


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_no_more_than_the_share_is_masked(share: float) -> None:
    ids, losses = torch.randint(50, (3, 40)), 5 * torch.rand(3, 40)
    maskable = torch.rand(3, 40) < 0.7
    inputs, targets = masked(ids, losses, maskable, mask_id=-1, share=share)
    chosen = inputs == -1
    assert torch.equal(chosen, targets != IGNORED)
    assert not chosen[~maskable].any()
    assert (chosen.sum(-1) <= (share * maskable.sum(-1)).ceil()).all()
    assert (losses[chosen] > 1).all() or chosen.sum() <= 3
    assert torch.equal(inputs[~chosen], ids[~chosen])
