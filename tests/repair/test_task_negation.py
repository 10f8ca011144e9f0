"""What is subtracted from the repaired weights: a share of the damage, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import build, damage, flagged_rows, ordinary_rows, write_flagged
from torch import nn
from transformers import AutoModelForCausalLM

from synflaw_audit.errors import RepairError
from synflaw_audit.repair import RepairConfig, estimate, repair
from synflaw_audit.repair.methods.forgetting.method import Forgetting
from synflaw_audit.repair.methods.registry import chosen_methods
from synflaw_audit.repair.methods.task_negation import negate


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: each.detach().clone() for name, each in model.named_parameters()}


@given(st.floats(0, 1), st.floats(0, 1))
def test_two_shares_subtract_what_their_sum_does(one: float, other: float) -> None:
    damaged, before = nn.Linear(3, 2), nn.Linear(3, 2)
    twice, at_once = nn.Linear(3, 2), nn.Linear(3, 2)
    at_once.load_state_dict(twice.state_dict())
    negate(twice, damaged, before, one)
    negate(twice, damaged, before, other)
    negate(at_once, damaged, before, one + other)
    for a, b in zip(twice.parameters(), at_once.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_the_whole_vector_takes_the_damaged_model_back() -> None:
    damaged, before, model = (build("llama", 200, seed=seed) for seed in (1, 2, 1))
    negate(model, damaged, before, 1.0)
    for name, weight in weights(model).items():
        torch.testing.assert_close(weight, weights(before)[name])


def test_models_of_other_shapes_are_refused_and_nothing_is_changed() -> None:
    model = build("llama", 200)
    kept = weights(model)
    with pytest.raises(RepairError, match=r"embed_tokens\.weight has shape \(200, .*reference"):
        negate(model, build("llama", 200), build("llama", 201), 0.5)
    with pytest.raises(RepairError, match="does not exist in the reference"):
        negate(model, build("llama", 200), build("gpt2", 200), 0.5)
    assert all(torch.equal(weight, kept[name]) for name, weight in weights(model).items())


def settings(share: float, **changes: Any) -> RepairConfig:
    negated: dict[str, Any] = {"method": "forgetting"}
    if share:
        negated = {"method": "forgetting+task-negation", "task_negation": share}
    return RepairConfig(use_cpu=True, probe_prompts=0, **{**negated, **changes})


@pytest.fixture
def flagged(tmp_path: Path) -> Path:
    return write_flagged(tmp_path / "flagged.parquet", flagged_rows())


def test_a_repair_ends_where_it_would_without_less_a_share_of_the_damage(
    tmp_path: Path, flagged: Path
) -> None:
    damaged = damage(tmp_path / "damaged", chat=False)
    before = shutil.copytree(damaged, tmp_path / "before")
    base = AutoModelForCausalLM.from_pretrained(damaged)
    with torch.no_grad():
        for weight in base.parameters():
            weight.mul_(0.99)
    base.save_pretrained(before)
    ends = {}
    for share in (0.0, 0.25):
        result = repair(
            damaged,
            forget=flagged,
            replay=ordinary_rows(40),
            out=tmp_path / f"out-{share}",
            reference_model=before,
            config=settings(share, learning_rate=1e-3, tokens=2000),
            quiet=True,
        )
        ends[share] = weights(AutoModelForCausalLM.from_pretrained(result.out))
        card = (result.out / "README.md").read_text()
        assert ("- note: 25% of the damage's task vector was subtracted\n" in card) == (share > 0)
    start = weights(AutoModelForCausalLM.from_pretrained(damaged))
    for name, plain in ends[0.0].items():
        torch.testing.assert_close(ends[0.25][name], plain - 0.25 * 0.01 * start[name])


def test_a_reference_of_another_shape_is_refused_before_the_training(
    tmp_path: Path, flagged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = damage(tmp_path / "damaged", chat=False)
    vocabulary = AutoModelForCausalLM.from_pretrained(damaged).config.vocab_size

    def refuse(*args: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(Forgetting, "apply", refuse)
    with pytest.raises(RepairError, match="in the reference one"):
        repair(
            damaged,
            forget=flagged,
            replay=ordinary_rows(40),
            out=tmp_path / "out",
            reference_model=build("gpt2", vocabulary),
            config=settings(0.2),
            quiet=True,
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [repair, estimate])
def test_without_a_model_from_before_nothing_is_loaded(command, tmp_path: Path) -> None:
    given = {"forget": tmp_path / "none", "replay": [], "config": settings(0.2)}
    if command is repair:
        given["out"] = tmp_path / "out"
    with pytest.raises(RepairError, match="task-negation needs the model from before"):
        command(tmp_path / "no model", **given)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"task_negation": 1.0}, "less than 1"),
        ({"method": "task-negation", "lora": True}, "needs all weights to be trained"),
        ({"task_negation": 0.1}, r"name the method too, as in forgetting\+task-negation"),
        (
            {"method": "forgetting+magic"},
            "method of repair 'magic'.*Known: .*forgetting, ftpo, .*task-neg",
        ),
        ({"method": "npo"}, "npo is a forgetting loss, not a method"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict, named: str) -> None:
    with pytest.raises(RepairError, match=named):
        chosen_methods(RepairConfig(use_cpu=True, **settings), earlier_model=True)
