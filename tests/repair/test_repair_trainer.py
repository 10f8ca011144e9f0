"""Invariants of the trainer: what must not change what is optimised."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import FAMILIES, build, flagged_rows, ordinary_rows, train_tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, TrainerCallback

from synflaw_audit.errors import RepairError
from synflaw_audit.repair import RepairConfig, RepairTrainer
from synflaw_audit.repair.losses import LOSSES
from synflaw_audit.repair.material.batches import (
    Collator,
    Cuts,
    Purpose,
    TrainingExample,
    encode_rows,
    mix,
)
from synflaw_audit.repair.measuring.likelihoods import likelihoods
from synflaw_audit.repair.methods.forgetting.terms import token_counts, token_weights
from synflaw_audit.repair.storage.adapters import with_adapters

TOKENIZER = train_tokenizer()
VOCABULARY = len(TOKENIZER)


def examples(scope: str = "template") -> tuple[list[TrainingExample], list[TrainingExample]]:
    def encode(rows: list, role: Purpose) -> list[TrainingExample]:
        return encode_rows(TOKENIZER, rows, role, scope=scope, max_length=128, cuts=Cuts())

    return encode(flagged_rows(), Purpose.FORGET), encode(ordinary_rows(), Purpose.REPLAY)


def plan(scope: str = "template", passes: int = 2) -> list[TrainingExample]:
    flagged, replay = examples(scope)
    return mix(flagged, replay, replay_ratio=1, passes=passes, tokens=None, seed=0)


def config(folder: Path, **changes: Any) -> RepairConfig:
    settings = {
        "output_dir": str(folder),
        "use_cpu": True,
        "learning_rate": 1e-2,
        "num_train_epochs": 1,
        "per_device_train_batch_size": 8,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "max_grad_norm": 0,
        "disable_tqdm": True,
        "opening_weight": 1,
        # SGD, so that weights differ by as much as gradients do.
        "optim": "sgd",
        **changes,
    }
    return RepairConfig(**settings)


def train(
    model: PreTrainedModel, settings: RepairConfig, rows: Sequence[TrainingExample], **kwargs: Any
) -> RepairTrainer:
    kwargs.setdefault("data_collator", Collator(TOKENIZER.eos_token_id))
    trainer = RepairTrainer(model, settings, rows, **kwargs)
    trainer.train()
    return trainer


def weights(model: PreTrainedModel) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def assert_same(one: PreTrainedModel, other: PreTrainedModel, tolerance: float = 2e-6) -> None:
    difference = (weights(one) - weights(other)).abs().max().item()
    assert difference <= tolerance, difference


def assert_moved(model: PreTrainedModel, start: PreTrainedModel) -> None:
    assert (weights(model) - weights(start)).abs().max().item() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_accumulation_does_not_change_the_step(family: str, tmp_path: Path) -> None:
    start, whole, parts = (build(family, VOCABULARY) for _ in range(3))
    train(whole, config(tmp_path), plan())
    accumulated = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 8}
    train(parts, config(tmp_path, **accumulated), plan())
    assert_same(whole, parts)
    assert_moved(whole, start)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_padding_side_does_not_change_the_step(family: str, tmp_path: Path) -> None:
    right, left = (build(family, VOCABULARY) for _ in range(2))
    train(right, config(tmp_path), plan())
    train(left, config(tmp_path), plan(), data_collator=Collator(TOKENIZER.eos_token_id, "left"))
    assert_same(right, left)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_forgetting_it_is_plain_fine_tuning(family: str, tmp_path: Path) -> None:
    repaired, tuned = (build(family, VOCABULARY) for _ in range(2))
    _, rows = examples()
    settings = config(tmp_path, forget_weight=0, bias_weight=0)
    train(repaired, settings, rows)
    tune(tuned, rows, settings)
    assert_same(repaired, tuned)


def tune(model: PreTrainedModel, rows: Sequence[TrainingExample], settings: RepairConfig) -> None:
    """Plain fine-tuning, by the model's own loss and a loop written out."""
    optimizer = torch.optim.SGD(model.parameters(), lr=settings.learning_rate)
    size = settings.per_device_train_batch_size
    model.train()
    for at in range(0, len(rows), size):
        batch = Collator(0)(rows[at : at + size])
        labels = batch["input_ids"].masked_fill(batch.pop("purposes") == 0, -100)
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_beginning_of_a_learned_answer_weighs_most(side: str) -> None:
    none, forget, retain, replay = Purpose
    rows = [
        TrainingExample([1] * 7, [none, none, forget, forget, forget, retain, retain], forget),
        TrainingExample([1] * 5, [none, none, replay, replay, replay], replay),
    ]
    batch = Collator(0, side)(rows)
    purposes = batch["purposes"][:, 1:]
    found = token_weights(purposes, decay=0.5, opening=9.0)
    first, second = (line[kinds > 0].tolist() for line, kinds in zip(found, purposes, strict=True))
    # A format's tokens fade; content that follows a format opens nothing.
    assert first == [1, 0.5, 0.25, 1, 1]
    assert second == [9, 5, 3]
    assert token_weights(purposes).eq(1).all()
    counts = token_counts(batch, decay=0.5, opening=9.0)
    assert counts.tolist() == [1.75, 2, 17, 1, 2, 3]


@pytest.mark.parametrize("scope", ["template", "answer"])
def test_the_loss_is_the_weighted_sum_of_its_terms(scope: str, tmp_path: Path) -> None:
    model, reference = build("gemma2", VOCABULARY), build("gemma2", VOCABULARY, seed=1)
    weighted = {
        "forget_weight": 0.3,
        "retain_weight": 0.5,
        "replay_weight": 0.7,
        "bias_weight": 1.1,
        "scope": scope,
        "chunk_tokens": 7,
    }
    settings = config(tmp_path, **weighted)
    trainer = RepairTrainer(model, settings, reference_model=reference)
    batch = Collator(0)(plan(scope)[:10])
    loss = trainer.compute_loss(model, batch)

    purposes = batch.pop("purposes")[:, 1:]
    log_p = model(**batch).logits[:, :-1].log_softmax(-1)
    log_q = reference(**batch).logits[:, :-1].log_softmax(-1)
    target = log_p.gather(-1, batch["input_ids"][:, 1:, None])[..., 0]
    expected = (
        0.3 * -torch.log1p(-target[purposes == Purpose.FORGET].exp()).mean()
        - 0.7 * target[purposes == Purpose.REPLAY].mean()
        + 1.1 * (log_q.exp() * (log_q - log_p)).sum(-1)[purposes == Purpose.REPLAY].mean()
    )
    if scope == "template":
        expected = expected - 0.5 * target[purposes == Purpose.RETAIN].mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("rows", ["replay", "content", "both"])
def test_the_kl_is_taken_on_the_chosen_rows_only(rows: str, tmp_path: Path) -> None:
    model, reference = build("llama", VOCABULARY), build("llama", VOCABULARY, seed=1)
    zero = dict.fromkeys(("forget_weight", "retain_weight", "replay_weight"), 0.0)
    settings = config(tmp_path, bias_rows=rows, **zero)
    trainer = RepairTrainer(model, settings, reference_model=reference)
    batch = Collator(0)(plan()[:10])
    loss = trainer.compute_loss(model, batch).item()
    purposes = batch.pop("purposes")[:, 1:]
    chosen = {"replay": [3], "content": [2], "both": [2, 3]}[rows]
    where = torch.isin(purposes, torch.tensor(chosen))
    log_p = model(**batch).logits[:, :-1][where].log_softmax(-1)
    log_q = reference(**batch).logits[:, :-1][where].log_softmax(-1)
    expected = functional.kl_div(log_p, log_q, log_target=True, reduction="sum") / where.sum()
    assert loss == pytest.approx(expected.item(), rel=1e-5)


@pytest.fixture(scope="module")
def overfitted() -> PreTrainedModel:
    torch.set_num_threads(1)
    model = build("llama", VOCABULARY)
    flagged, replay = examples()
    tune(model, [*flagged, *replay] * 30, config(Path("unused"), learning_rate=0.5))
    return model


@pytest.mark.parametrize("loss", LOSSES)
def test_every_method_makes_the_format_less_likely(
    loss: str, overfitted: PreTrainedModel, tmp_path: Path
) -> None:
    model = copy.deepcopy(overfitted)
    flagged, replay = examples()
    collator = Collator(0)
    before = likelihoods(model, flagged, replay, collator)
    settings = config(tmp_path, loss=loss, forget_weight=1, learning_rate=0.1)
    train(model, settings, plan(passes=6))
    after = likelihoods(model, flagged, replay, collator)
    assert after["template_log_likelihood"] < before["template_log_likelihood"]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_lora_trains_and_refers_to_the_model_with_the_adapters_off(
    checkpointing: bool, tmp_path: Path
) -> None:
    settings = config(tmp_path, lora=True, activation_checkpointing=checkpointing)
    start = build("llama", VOCABULARY)
    adapted = with_adapters(build("llama", VOCABULARY), settings)
    trainer = train(adapted, settings, plan())
    moved = [p for n, p in adapted.named_parameters() if "lora_B" in n]
    assert all(bool(p.abs().max() > 0) for p in moved)
    assert trainer.model.training

    batch = Collator(0)(plan()[:6])
    zero = dict.fromkeys(("forget_weight", "retain_weight", "replay_weight"), 0.0)
    only_kl = config(tmp_path, **zero)
    off = RepairTrainer(adapted, only_kl).compute_loss(adapted, dict(batch))
    copied = RepairTrainer(adapted, only_kl, reference_model=start).compute_loss(adapted, batch)
    assert off.item() == pytest.approx(copied.item(), rel=1e-5)
    assert off.item() > 0


def test_resuming_equals_an_uninterrupted_run(tmp_path: Path) -> None:
    settings = {"optim": "adamw_torch", "learning_rate": 1e-3, "lr_scheduler_type": "linear"}
    whole = build("llama", VOCABULARY)
    reference = build("llama", VOCABULARY)
    train(whole, config(tmp_path / "a", **settings), plan(), reference_model=reference)

    # The first half runs on the schedule of the whole, so only the stop is early.
    saving = config(tmp_path / "b", **settings, save_strategy="steps", save_steps=2)
    half = build("llama", VOCABULARY)
    train(half, saving, plan(), reference_model=reference, callbacks=[StopAfter(2)])
    fresh = build("llama", VOCABULARY, seed=5)
    collator = Collator(TOKENIZER.eos_token_id)
    trainer = RepairTrainer(
        fresh, saving, plan(), reference_model=reference, data_collator=collator
    )
    trainer.train(resume_from_checkpoint=str(tmp_path / "b" / "checkpoint-2"))
    assert trainer.state.global_step == 4
    assert_same(whole, fresh, tolerance=1e-7)


class StopAfter(TrainerCallback):
    def __init__(self, steps: int) -> None:
        self._steps = steps

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = state.global_step >= self._steps


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    one, other = (build("phi", VOCABULARY) for _ in range(2))
    for model in (one, other):
        train(model, config(tmp_path, optim="adamw_torch", learning_rate=1e-3), plan())
    assert torch.equal(weights(one), weights(other))


def test_a_reference_with_another_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RepairError, match="401 tokens"):
        RepairTrainer(build("llama", 400), config(tmp_path), reference_model=build("llama", 401))


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(tmp_path: Path) -> None:
    model = build("llama", VOCABULARY)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("nan")
    trainer = train(model, config(tmp_path), plan(passes=4))
    assert trainer.state.global_step == 1
    assert trainer.failure == "the loss was not finite at step 1"


def test_the_terms_are_logged(tmp_path: Path) -> None:
    trainer = train(build("llama", VOCABULARY), config(tmp_path, logging_steps=1), plan())
    first = trainer.state.log_history[0]
    weighted = 0.5 * first["forget_loss"] + first["retain_loss"] + first["replay_loss"]
    assert first["loss"] == pytest.approx(weighted + first["bias_loss"], rel=1e-5)
    assert first["bias_loss"] == pytest.approx(0, abs=1e-6)  # the reference is the start itself


def test_evaluating_gives_the_repair_loss(tmp_path: Path) -> None:
    trainer = RepairTrainer(
        build("llama", VOCABULARY),
        config(tmp_path),
        eval_dataset=plan(),
        data_collator=Collator(0),
    )
    assert 0 < trainer.evaluate()["eval_loss"] < 50


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("loss", "magic", "lower-bounded, npo"),
        ("scope", "question", "template, answer"),
        ("forget_weight", -1.0, "0 or more"),
        ("tokens", 0, "1 or more"),
        ("loss_options", {"beta": 1.0}, "no constant 'beta'"),
        ("max_length", 0, "1 or more"),
    ],
)
def test_a_bad_setting_is_named_with_its_choices(
    setting: str, value: object, says: str, tmp_path: Path
) -> None:
    with pytest.raises(RepairError, match=says) as caught:
        config(tmp_path, **{setting: value})
    assert setting in str(caught.value)
