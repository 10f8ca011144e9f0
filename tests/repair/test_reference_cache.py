"""A cached reference gives the KL of the live one, as far as its buckets go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import build, flagged_rows, ordinary_rows, train_tokenizer
from torch import Tensor

from synflaw_audit.errors import RepairError
from synflaw_audit.repair import RepairConfig, RepairTrainer
from synflaw_audit.repair.material.batches import (
    Collator,
    Cuts,
    Purpose,
    TrainingExample,
    encode_rows,
    mix,
)
from synflaw_audit.repair.methods.forgetting.cache import CachedReference
from synflaw_audit.repair.methods.forgetting.top_k import TopK, divergence_from_top
from synflaw_audit.repair.scores import bias_kl
from synflaw_audit.repair.storage.adapters import with_adapters
from synflaw_audit.repair.training.forward import selected_logits

TOKENIZER = train_tokenizer()
VOCABULARY = len(TOKENIZER)


def plan() -> list[TrainingExample]:
    flagged, replay = (
        encode_rows(TOKENIZER, rows, role, scope="template", max_length=128, cuts=Cuts())
        for rows, role in ((flagged_rows(), Purpose.FORGET), (ordinary_rows(), Purpose.REPLAY))
    )
    return mix(flagged, replay, replay_ratio=1, passes=1, tokens=None, seed=0)


def top(logits: Tensor, k: int) -> TopK:
    p, ids = logits.softmax(-1).topk(k)
    return TopK(ids, p, (1 - p.sum(-1)).clamp(min=0))


def from_top(logits: Tensor, known: TopK) -> tuple[Tensor, Tensor]:
    return divergence_from_top(logits.clone(), logits.logsumexp(-1), known)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Logits of a model and of its reference, float64, of any sharpness and distance."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    sharpness, distance = draw(st.floats(0.1, 8)), draw(st.floats(0, 4))
    theirs = sharpness * torch.randn(5, 60, generator=generator, dtype=torch.float64)
    return theirs + distance * torch.randn(5, 60, generator=generator).double(), theirs


@settings(max_examples=60)
@given(pairs(), st.integers(1, 59))
def test_buckets_never_show_more_than_there_is(both: tuple[Tensor, Tensor], k: int) -> None:
    ours, theirs = both
    exact = bias_kl(ours, theirs).sum()
    _, found = from_top(ours, top(theirs, k))
    _, finer = from_top(ours, top(theirs, 59))
    assert -1e-9 <= found <= exact + 1e-9
    torch.testing.assert_close(finer, exact)  # one token in the tail: nothing is lost


@settings(max_examples=30)
@given(pairs(), st.integers(1, 59))
def test_the_gradient_is_that_of_the_buckets(both: tuple[Tensor, Tensor], k: int) -> None:
    ours, theirs = both
    known = top(theirs, k)
    leaf = ours.clone().requires_grad_()
    log_p = leaf.log_softmax(-1)
    inside = torch.zeros_like(ours, dtype=torch.bool).scatter_(-1, known.ids, True)
    log_tail = log_p.masked_fill(inside, -torch.inf).logsumexp(-1)
    log_p = log_p.gather(-1, known.ids)
    value = (torch.xlogy(known.p, known.p) - known.p * log_p).sum()
    value = value + (torch.xlogy(known.tail, known.tail) - known.tail * log_tail).sum()
    value.backward()
    q, found = from_top(ours, known)
    torch.testing.assert_close(found, value.detach())
    torch.testing.assert_close(ours.softmax(-1) - q, leaf.grad, rtol=1e-6, atol=1e-12)


def test_the_tail_matters() -> None:
    """Ranks as those of words, and a model that has moved away from the likeliest ones."""
    torch.manual_seed(0)
    theirs = -1.2 * torch.arange(1, 4001).float().log() + 0.5 * torch.randn(64, 4000)
    ours = theirs + 0.3 * torch.randn(64, 4000)
    ours[:, 32:] += 1
    exact = bias_kl(ours, theirs).sum()
    known = top(theirs, 32)
    _, found = from_top(ours, known)
    q = known.p / known.p.sum(-1, keepdim=True)
    without = (q * (q.log() - ours.gather(-1, known.ids).log_softmax(-1))).sum()
    assert 0.8 * exact < found <= exact
    assert without < 0.5 * exact


def test_what_is_kept_is_what_the_model_says() -> None:
    model = build("llama", VOCABULARY)
    rows = plan()
    cache = CachedReference.of(model, rows, purposes=[Purpose.REPLAY], top_k=32, limit=1e9)
    for side in ("right", "left"):
        batch = Collator(0, side)(rows[:6])
        at, columns = (batch["purposes"][:, 1:] == Purpose.REPLAY).nonzero(as_tuple=True)
        shuffled = torch.randperm(len(at))
        at, columns = at[shuffled], columns[shuffled]
        found = cache.at(batch, at, columns)
        del batch["purposes"]
        with torch.no_grad():
            logits = selected_logits(model, model.lm_head, batch, at, columns)
        p = logits.softmax(-1)
        # Half precision; the largest bears what rounding the tail costs.
        torch.testing.assert_close(
            found.p[:, 1:], p.gather(-1, found.ids)[:, 1:], rtol=1e-3, atol=1e-7
        )
        torch.testing.assert_close(found.p, p.gather(-1, found.ids), rtol=1e-3, atol=3e-4)
        torch.testing.assert_close(found.p.sum(-1) + found.tail, torch.ones(len(at)))
        assert (found.p[:, -1] >= p.topk(32)[0][:, -1] - 1e-4).all()


def test_a_token_takes_192_bytes() -> None:
    rows = plan()
    model = build("llama", VOCABULARY)
    kept = {tuple(row.input_ids): sum(p == Purpose.REPLAY for p in row.purposes) for row in rows}
    limit = 192 * sum(kept.values())
    purposes = [Purpose.REPLAY]
    cache = CachedReference.of(model, rows, purposes=purposes, top_k=32, limit=limit)
    assert cache.size == limit
    with pytest.raises(RepairError, match=r"positions x 192 bytes = .* reference_cache_mb"):
        CachedReference.of(model, rows, purposes=purposes, top_k=32, limit=limit - 1)


def config(folder: Path, **changes: Any) -> RepairConfig:
    chosen = {
        "output_dir": str(folder),
        "use_cpu": True,
        "learning_rate": 1e-2,
        "per_device_train_batch_size": 8,
        "disable_tqdm": True,
        "optim": "sgd",
        **changes,
    }
    return RepairConfig(**chosen)


@pytest.mark.parametrize("bias_rows", ["replay", "both"])
@pytest.mark.parametrize("lora", [False, True])
def test_a_cached_reference_trains_like_a_live_one(
    bias_rows: str, lora: bool, tmp_path: Path
) -> None:
    found = []
    for reference in ("live", "cached"):
        model = build("gemma2", VOCABULARY)
        chosen = config(
            tmp_path,
            reference=reference,
            reference_top_k=VOCABULARY,
            bias_rows=bias_rows,
            bias_weight=3.0,
            lora=lora,
        )
        given = None if lora else build("gemma2", VOCABULARY, seed=1)
        trained = with_adapters(model, chosen) if lora else model
        RepairTrainer(
            trained, chosen, plan(), reference_model=given, data_collator=Collator(0, "left")
        ).train()
        found.append(torch.cat([p.detach().flatten() for p in trained.parameters()]))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=2e-5)


def test_rows_that_were_not_seen_are_refused(tmp_path: Path) -> None:
    rows = plan()
    trainer = RepairTrainer(
        build("llama", VOCABULARY), config(tmp_path, reference="cached"), rows[:4]
    )
    with pytest.raises(RepairError, match="reference = 'live'"):
        trainer.compute_loss(trainer.model, Collator(0)(rows[4:8]))


def test_a_loss_that_compares_forgotten_tokens_needs_a_live_reference() -> None:
    with pytest.raises(RepairError, match="npo compares forgotten tokens"):
        RepairConfig(loss="npo", reference="cached", use_cpu=True)
