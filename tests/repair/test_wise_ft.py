"""What is averaged: the repaired weights with those from before the damage, and nothing else."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import build, damage, flagged_rows, ordinary_rows, write_flagged
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from synflaw_audit.errors import RepairError
from synflaw_audit.repair import RepairConfig, RepairResult, estimate, repair
from synflaw_audit.repair.methods.registry import chosen_methods
from synflaw_audit.repair.methods.task_negation import negate
from synflaw_audit.repair.methods.wise_ft import ALPHAS, ensemble, ensemble_within


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: each.detach().clone() for name, each in model.named_parameters()}


@given(st.floats(0, 1))
def test_the_average_lies_between_the_two(alpha: float) -> None:
    model, before = nn.Linear(3, 2), nn.Linear(3, 2)
    after = weights(model)
    ensemble(model, before, alpha)
    for name, weight in weights(model).items():
        expected = (1 - alpha) * weights(before)[name] + alpha * after[name]
        torch.testing.assert_close(weight, expected)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_at_its_ends_it_is_either_model(alpha: float) -> None:
    model, before = build("llama", 200, seed=1), build("llama", 200, seed=2)
    expected = weights(model if alpha else before)
    ensemble(model, before, alpha)
    for name, weight in weights(model).items():
        torch.testing.assert_close(weight, expected[name])


def test_of_the_damaged_model_itself_it_is_task_negation() -> None:
    """Of a model that nothing repaired, the average and the negation of a share are one thing."""
    averaged, negated, damaged = (build("llama", 200, seed=1) for _ in range(3))
    before = build("llama", 200, seed=2)
    ensemble(averaged, before, 0.7)
    negate(negated, damaged, before, 0.3)
    for name, weight in weights(averaged).items():
        torch.testing.assert_close(weight, weights(negated)[name], rtol=1e-4, atol=1e-6)


def test_half_precision_is_averaged_in_whole() -> None:
    model, before = nn.Linear(2, 2).bfloat16(), nn.Linear(2, 2).bfloat16()
    expected = (0.5 * before.weight.float() + 0.5 * model.weight.float()).bfloat16()
    ensemble(model, before, 0.5)
    assert torch.equal(model.weight, expected)


def test_models_of_other_shapes_are_refused_and_nothing_is_changed() -> None:
    model = build("llama", 200)
    kept = weights(model)
    with pytest.raises(RepairError, match=r"embed_tokens\.weight has shape \(200, .*reference"):
        ensemble(model, build("llama", 201), 0.5)
    assert all(torch.equal(weight, kept[name]) for name, weight in weights(model).items())


@pytest.mark.parametrize("combine", [ensemble, lambda a, b, share: negate(a, a, b, share)])
def test_weights_that_are_tied_on_one_side_alone(combine: Any) -> None:
    """Two weights meet the one of a tied model; one weight cannot meet two that differ."""
    tied, untied = build("qwen2", 200, seed=1), build("qwen2", 200, seed=2)
    untied.config.tie_word_embeddings = False
    untied.lm_head.weight = nn.Parameter(untied.lm_head.weight.detach().clone())
    combine(copy.deepcopy(tied), untied, 0.5)  # not tied, but alike
    combine(copy.deepcopy(untied), tied, 0.5)
    with torch.no_grad():
        untied.lm_head.weight.add_(1)
    kept = weights(tied)
    with pytest.raises(RepairError, match=r"embed_tokens\.weight and lm_head\.weight are one"):
        combine(tied, untied, 0.5)
    assert all(torch.equal(weight, kept[name]) for name, weight in weights(tied).items())


def test_each_of_two_weights_is_averaged_with_the_one_that_they_were() -> None:
    tied, untied = build("qwen2", 200, seed=1), build("qwen2", 200, seed=2)
    untied.lm_head.weight = nn.Parameter(torch.zeros_like(untied.lm_head.weight))
    ensemble(untied, tied, 0.25)
    torch.testing.assert_close(untied.lm_head.weight, 0.75 * tied.lm_head.weight)


@given(st.floats(0, 1))
def test_the_smallest_share_that_keeps_what_is_to_be_kept_is_taken(least: float) -> None:
    model, before = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
        before.weight.fill_(0.0)  # so that the weight is the share
    found = ensemble_within(model, before, lambda: model.weight.item() >= least - 1e-6)
    assert found == min((alpha for alpha in ALPHAS if alpha >= least - 1e-6), default=1.0)
    torch.testing.assert_close(model.weight.item(), found)


def test_where_nothing_keeps_it_the_model_is_left_as_it_is() -> None:
    model, before = build("llama", 200, seed=1).bfloat16(), build("llama", 200, seed=2)
    kept = weights(model)
    assert ensemble_within(model, before, lambda: False) == 1.0
    assert all(torch.equal(weight, kept[name]) for name, weight in weights(model).items())


@pytest.mark.parametrize(
    ("like", "said"),
    [
        (0.999, "the weights are 30% the repaired model's"),
        (-1.0, "was not averaged with: even 15%"),
    ],
)
def test_where_no_share_is_set_the_content_decides(tmp_path: Path, like: float, said: str) -> None:
    """A model from before that tells the content too is averaged with, one that undoes it not."""
    damaged = damage(tmp_path / "damaged", chat=False)
    base = AutoModelForCausalLM.from_pretrained(damaged)
    with torch.no_grad():
        for weight in base.parameters():
            weight.mul_(like)
    result = repair(
        damaged,
        forget=write_flagged(tmp_path / "flagged.parquet", flagged_rows()),
        replay=ordinary_rows(40),
        out=tmp_path / "out",
        reference_model=base,
        config=settings(tokens=2000, checks=0),
        quiet=True,
    )
    assert said in " ".join(result.notes)
    assert result.config["method"] == "forgetting+wise-ft"


@pytest.mark.parametrize("lora", [False, True])
def test_a_repair_ends_between_what_it_would_be_and_the_model_from_before(
    tmp_path: Path, lora: bool
) -> None:
    damaged = damage(tmp_path / "damaged", chat=False)
    base = AutoModelForCausalLM.from_pretrained(damaged)
    with torch.no_grad():
        for weight in base.parameters():
            weight.mul_(0.99)
    ends: dict[str, dict[str, torch.Tensor]] = {}
    for method, share in (("forgetting", {}), ("forgetting+wise-ft", {"wise_ft_alpha": 0.5})):
        result = repair(
            damaged,
            forget=write_flagged(tmp_path / "flagged.parquet", flagged_rows()),
            replay=ordinary_rows(40),
            out=tmp_path / method,
            reference_model=base,
            config=settings(method=method, lora=lora, tokens=2000, checks=0, **share),
            quiet=True,
        )
        ends[method] = weights(AutoModelForCausalLM.from_pretrained(result.out))
    card = (tmp_path / "forgetting+wise-ft" / "README.md").read_text()
    assert "- note: the weights are 50% the repaired model's, the rest those from before\n" in card
    for name, plain in ends["forgetting"].items():
        half = (plain + weights(base)[name]) / 2
        torch.testing.assert_close(ends["forgetting+wise-ft"][name], half, rtol=1e-4, atol=1e-5)


def repaired(folder: Path, model: Path, reference: Any, **changes: Any) -> RepairResult:
    """What a short repair of the small damaged model comes to."""
    usual = {"tokens": 1000, "checks": 2, "leaks": 0}
    return repair(
        model,
        forget=write_flagged(folder / "flagged.parquet", flagged_rows()),
        replay=ordinary_rows(40),
        out=folder / "out",
        reference_model=reference,
        config=settings(**{**usual, **changes}),
        quiet=True,
    )


@pytest.mark.parametrize("lora", [False, True])
def test_what_follows_the_average_is_trained(tmp_path: Path, lora: bool) -> None:
    """Merging leaves frozen weights behind; the next method must not train nothing."""
    damaged = damage(tmp_path / "damaged", chat=False)
    trained = {"lora": lora, "learning_rate": 1e-3, "checks": 0, "wise_ft_alpha": 0.9}
    result = repaired(
        tmp_path, damaged, damaged_less(damaged), method="wise-ft+forgetting", **trained
    )
    model = AutoModelForCausalLM.from_pretrained(damaged)
    ensemble(model, damaged_less(damaged), 0.9)
    averaged, written = weights(model), weights(AutoModelForCausalLM.from_pretrained(result.out))
    moved = [name for name in averaged if not torch.allclose(averaged[name], written[name])]
    assert len(moved) >= 14  # every linear layer of both blocks


def damaged_less(damaged: Path) -> PreTrainedModel:
    """A model that might be from before the damage."""
    base: PreTrainedModel = AutoModelForCausalLM.from_pretrained(damaged)
    with torch.no_grad():
        for weight in base.parameters():
            weight.mul_(0.99)
    return base


@pytest.mark.parametrize("method", [None, "distill", "forgetting"])
@pytest.mark.parametrize("training", [False, True])
def test_a_model_in_memory_is_left_as_it_is(
    tmp_path: Path, method: str | None, training: bool
) -> None:
    damaged = damage(tmp_path / "damaged", chat=False)
    base = damaged_less(damaged).train(training)
    base.lm_head.requires_grad_(False)
    kept = weights(base)
    learns = {name: weight.requires_grad for name, weight in base.named_parameters()}
    repaired(tmp_path, damaged, base, method=method, bias_weight=1.0)
    assert all(torch.equal(weight, kept[name]) for name, weight in weights(base).items())
    assert base.training == training
    assert {name: weight.requires_grad for name, weight in base.named_parameters()} == learns


def test_the_model_itself_is_none_from_before(tmp_path: Path) -> None:
    damaged = damage(tmp_path / "damaged", chat=False)
    (tmp_path / "link").symlink_to(damaged)
    for method in (None, "distill", "forgetting+task-negation"):
        with pytest.raises(RepairError, match="is the model to repair itself"):
            repaired(tmp_path, damaged, tmp_path / "link", method=method)
    assert repaired(tmp_path, damaged, damaged, method="forgetting").reference_model == "damaged"


def test_the_card_tells_what_was_averaged_with_and_no_more(tmp_path: Path) -> None:
    damaged = damage(tmp_path / "damaged", chat=False)
    base = tmp_path / "base"
    damaged_less(damaged).save_pretrained(base)
    result = repaired(tmp_path, damaged, base, method="wise-ft", wise_ft_alpha=0.125)
    card = (result.out / "README.md").read_text()
    assert "- method `wise-ft`: wise_ft_alpha 0.125\n" in card
    assert "- the model from before the damage is base\n" in card
    assert "the weights are 12.5% the repaired model's" in card
    assert "KL" not in card
    assert "None" not in card


def test_of_a_run_that_was_given_up_nothing_is_averaged_and_the_card_says_so(
    tmp_path: Path,
) -> None:
    damaged = damage(tmp_path / "damaged", chat=False)
    result = repaired(tmp_path, damaged, damaged_less(damaged), learning_rate=5.0)
    note = "wise-ft was not done, since forgetting was given up"
    assert note in result.notes
    assert note in (result.out / "README.md").read_text()
    before, after = (
        weights(AutoModelForCausalLM.from_pretrained(folder)) for folder in (damaged, result.out)
    )
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_dry_run_counts_the_method_that_takes_most(tmp_path: Path) -> None:
    """One comes after the other, so that the average needs no room beside the training's."""
    damaged = damage(tmp_path / "damaged", chat=False)
    totals = {}
    for method in ("forgetting", "wise-ft", "forgetting+wise-ft"):
        found = estimate(
            damaged,
            forget=write_flagged(tmp_path / "flagged.parquet", flagged_rows()),
            replay=ordinary_rows(40),
            reference_model=damaged_less(damaged),
            config=settings(method=method, tokens=1000),
            quiet=True,
        )
        totals[method] = found.memory["total"] - found.memory["process"]
    assert totals["forgetting+wise-ft"] == max(totals["forgetting"], totals["wise-ft"])


def settings(**changes: Any) -> RepairConfig:
    return RepairConfig(**{"use_cpu": True, "probe_prompts": 0, **changes})


@pytest.mark.parametrize("command", [repair, estimate])
def test_without_a_model_from_before_nothing_is_loaded(command: Any, tmp_path: Path) -> None:
    given: dict[str, Any] = {"forget": tmp_path / "none", "replay": []}
    given["config"] = settings(method="forgetting+wise-ft")
    if command is repair:
        given["out"] = tmp_path / "out"
    with pytest.raises(RepairError, match="wise-ft needs the model from before"):
        command(tmp_path / "no model", **given)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"wise_ft_alpha": 1.0}, "less than 1"),
        ({"wise_ft_alpha": 0.3}, r"name the method too, as in forgetting\+wise-ft"),
        ({"method": "forgetting+wise-ft", "lora_merge": False}, "needs whole weights"),
        ({"method": "forgetting+wise-ft", "load_in": "4bit"}, "needs whole weights"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(RepairError, match=named):
        chosen_methods(settings(**changes), earlier_model=True)
