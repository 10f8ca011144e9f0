"""Gradients beside the weights: nothing asked is the optimiser alone, everything asked is SAM."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import build, flagged_rows, ordinary_rows, train_tokenizer
from torch import Tensor, nn

from synflaw_audit.errors import RepairError
from synflaw_audit.repair import RepairConfig, RepairTrainer
from synflaw_audit.repair.material.batches import Cuts, Purpose, encode_rows
from synflaw_audit.repair.perturbed import (
    FSAM,
    OPTIMIZERS,
    PATS,
    PLAIN,
    Perturbation,
    make_perturbation,
)
from synflaw_audit.settings.repair import OptimizerName


def problem(seed: int = 0) -> tuple[nn.Module, Callable[[], Tensor]]:
    """A small network, and what takes its gradient."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    x, y = torch.randn(7, 4).double(), torch.randn(7, 1).double()

    def take() -> Tensor:
        loss = (model(x) - y).square().mean()
        loss.backward()
        return loss.detach()

    return model, take


def gradients(model: nn.Module) -> list[Tensor]:
    return [weight.grad.clone() for weight in model.parameters()]


def taken(found: Perturbation | None, seed: int = 0) -> list[Tensor]:
    model, take = problem(seed)
    weights = list(model.parameters())
    if found is None:
        take()
    else:
        found.gradient(weights, take)
    return gradients(model)


@pytest.mark.parametrize("nothing", [FSAM(share=0.0), FSAM(rho=0.0), PATS(noise=0.0)])
def test_nothing_asked_is_the_optimiser_alone(nothing: Perturbation) -> None:
    assert all(map(torch.equal, taken(nothing), taken(None)))


@given(st.floats(0.01, 1.0), st.integers(0, 5))
def test_a_mask_of_all_weights_is_sharpness_aware_minimisation(rho: float, seed: int) -> None:
    model, take = problem(seed)
    take()
    at = gradients(model)
    norm = torch.cat([each.flatten() for each in at]).norm()
    with torch.no_grad():
        for weight, slope in zip(model.parameters(), at, strict=True):
            weight.add_(rho * slope / norm)
    model.zero_grad()
    take()
    for mine, theirs in zip(taken(FSAM(rho, share=1.0), seed), gradients(model), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_only_the_weights_that_matter_most_are_moved() -> None:
    model, take = problem()
    weights = list(model.parameters())
    start = [each.detach().clone() for each in weights]
    seen: list[list[Tensor]] = []

    def watched() -> Tensor:
        seen.append([each.detach().clone() for each in weights])
        return take()

    take()
    fisher = torch.cat([each.square().flatten() for each in gradients(model)])
    model.zero_grad()
    FSAM(rho=0.5, share=0.25).gradient(weights, watched)
    moved = torch.cat([(a != b).flatten() for a, b in zip(seen[1], start, strict=True)])
    assert moved.sum() == round(0.25 * len(moved))
    assert fisher[moved].min() >= fisher[~moved].max()


@pytest.mark.parametrize("found", [FSAM(rho=0.5), PATS(noise=0.5)])
def test_weights_come_back_exactly_and_earlier_gradients_are_kept(found: Perturbation) -> None:
    model, take = problem()
    weights = list(model.parameters())
    start = [each.detach().clone() for each in weights]
    for _ in range(3):  # accumulated
        found.gradient(weights, take)
    assert all(map(torch.equal, start, weights))
    whole = gradients(model)
    model.zero_grad()
    again = FSAM(rho=0.5) if isinstance(found, FSAM) else PATS(noise=0.5)
    parts = []
    for _ in range(3):
        again.gradient(weights, take)
        parts.append(gradients(model))
        model.zero_grad()
    for total, each in zip(whole, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(total, sum(each))


def test_noise_is_the_smaller_the_more_depends_on_a_weight() -> None:
    weight = torch.randn(100)
    sensitivity = torch.linspace(0, 5, 100)
    found = PATS(noise=0.1).deviations(weight, sensitivity)
    assert found[0] == pytest.approx(0.1 * float(weight.std()))
    assert (found.diff() < 0).all()


def test_noise_begins_once_something_is_known_and_repeats_itself() -> None:
    found, again = PATS(noise=0.3, seed=4), PATS(noise=0.3, seed=4)
    assert all(map(torch.equal, taken(found), taken(None)))
    second = taken(found)
    assert not all(map(torch.equal, second, taken(None)))
    taken(again)
    assert all(map(torch.equal, second, taken(again)))


def test_every_optimizer_that_can_be_asked_for_is_there() -> None:
    assert get_args(OptimizerName) == (PLAIN, *OPTIMIZERS)


def trained(tmp_path: Path, **settings: Any) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """A few steps of the repair's own trainer, with accumulation."""
    tokenizer = train_tokenizer()
    rows = []
    for role, source in ((Purpose.FORGET, flagged_rows()), (Purpose.REPLAY, ordinary_rows(8))):
        rows += encode_rows(tokenizer, source, role, scope="template", max_length=256, cuts=Cuts())
    model = build("llama", len(tokenizer))
    config = RepairConfig(
        output_dir=str(tmp_path),
        use_cpu=True,
        lora=False,
        bias_weight=0.0,
        learning_rate=1e-2,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        logging_steps=1,
        disable_tqdm=True,
        **settings,
    )
    trainer = RepairTrainer(model, config, rows)
    trainer.train()
    log = [line for line in trainer.state.log_history if "forget_loss" in line]
    return {name: each.detach() for name, each in model.named_parameters()}, log


@pytest.mark.parametrize(
    ("nothing", "something"),
    [
        ({"optimizer": "fsam", "optimizer_options": {"share": 0.0}}, {"optimizer": "fsam"}),
        ({"optimizer": "pats", "optimizer_options": {"noise": 0.0}}, {"optimizer": "pats"}),
    ],
)
def test_a_repair_takes_its_steps_by_it(
    tmp_path: Path, nothing: dict[str, Any], something: dict[str, Any]
) -> None:
    plain, log = trained(tmp_path)
    same, _ = trained(tmp_path, **nothing)
    other, again = trained(tmp_path, **something)
    assert all(torch.equal(plain[name], same[name]) for name in plain)
    assert not all(torch.equal(plain[name], other[name]) for name in plain)
    # The first step's terms are counted once, and those at the weights or very near.
    assert again[0]["forget_loss"] == pytest.approx(log[0]["forget_loss"], rel=1e-3)
    assert json.dumps(again)


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        ("sgd", {}, "Known: plain, fsam, pats"),
        ("plain", {"rho": 0.1}, "plain has no option 'rho'"),
        ("fsam", {"noise": 0.1}, "Known: rho, share, interval"),
        ("fsam", {"share": 1.5}, r"share is 1.5; it must be in \[0, 1\]"),
        ("pats", {"noise": -1.0}, "noise is -1.0; it must be 0 or more"),
    ],
)
def test_constants_that_cannot_be_are_refused(
    name: str, options: dict[str, float], named: str
) -> None:
    with pytest.raises(RepairError, match=named):
        make_perturbation(name, options)
    with pytest.raises(RepairError, match=named if name != "sgd" else "plain, fsam, pats"):
        RepairConfig(use_cpu=True, optimizer=name, optimizer_options=options)
