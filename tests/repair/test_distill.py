"""What a teacher is followed in, and by how much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import build, damage, flagged_rows, ordinary_rows, train_tokenizer, write_flagged
from torch import Tensor

from synflaw_audit.errors import RepairError
from synflaw_audit.repair import RepairConfig, repair
from synflaw_audit.repair.material.batches import Collator, Cuts, Purpose, encode_rows
from synflaw_audit.repair.methods.distill.divergences import (
    BY_TOKEN,
    DivergenceParts,
    atkd,
    forward_kl,
    parts,
    reverse_kl,
)
from synflaw_audit.repair.methods.distill.imperfect import imperfect
from synflaw_audit.repair.methods.distill.objective import TEACHINGS, Distillation
from synflaw_audit.repair.methods.forgetting.reference import SecondModel
from synflaw_audit.repair.training.forward import output_layer


def drawn(seed: int, scale: float = 3.0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of a student and a teacher, and the tokens that follow."""
    generator = torch.Generator().manual_seed(seed)
    student, teacher = scale * torch.randn(2, 12, 9, generator=generator, dtype=torch.float64)
    return student, teacher, torch.randint(9, (12,), generator=generator)


@given(st.integers(0, 50), st.sampled_from([0.1, 3.0, 30.0]))
def test_both_parts_make_up_the_kl_by_the_teachers_uncertainty(seed: int, scale: float) -> None:
    student, teacher, ids = drawn(seed, scale)
    found = parts(student, teacher, ids)
    whole = found.target + found.uncertainty * found.diversity
    torch.testing.assert_close(whole, forward_kl(student, teacher), rtol=1e-6, atol=1e-9)
    assert (found.target > -1e-9).all()
    assert (found.diversity > -1e-9).all()


@pytest.mark.parametrize("name", [*BY_TOKEN, "atkd"])
def test_a_student_that_says_what_its_teacher_says_has_nothing_to_learn(name: str) -> None:
    student, _, ids = drawn(1)
    student = student.requires_grad_()
    same = student.detach().clone()
    value = (
        atkd(parts(student, same, ids)) if name == "atkd" else BY_TOKEN[name](student, same).mean()
    )
    (gradient,) = torch.autograd.grad(value, student)
    assert float(value.detach()) == pytest.approx(0, abs=1e-9)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-9, rtol=0)


@pytest.mark.parametrize("hard", [0.0, 0.5, 1.0])
def test_gradients_of_adaptive_teaching(hard: float) -> None:
    student, teacher, ids = drawn(2)
    student.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: atkd(parts(x, teacher, ids), hard_share=hard), (student,)
    )


def test_easy_tokens_are_those_of_which_the_teacher_is_sure() -> None:
    found = DivergenceParts(
        torch.tensor([1.0, 10.0, 100.0, 1000.0]),
        torch.tensor([2.0, 20.0, 200.0, 2000.0]),
        torch.tensor([0.9, 0.1, 0.8, 0.2]),
    )
    easy, hard = (20.0 + 2000.0) / 2, (3.0 + 300.0) / 2
    assert atkd(found) == pytest.approx(0.2 * easy + 0.8 * hard)
    assert atkd(found, hard_share=1.0) == pytest.approx(float((found[0] + found[1]).mean()))
    assert atkd(found, hard_share=0.0) == pytest.approx(float(found[1].mean()))


def test_every_teaching_that_can_be_asked_for_is_there() -> None:
    assert ("atkd", *BY_TOKEN) == TEACHINGS


def test_reverse_kl_is_the_kl_the_other_way() -> None:
    student, teacher, _ = drawn(3)
    torch.testing.assert_close(reverse_kl(student, teacher), forward_kl(teacher, student))


@pytest.fixture(scope="module")
def scene() -> dict[str, Any]:
    """A student, a teacher and a batch of all roles."""
    tokenizer = train_tokenizer()
    rows = []
    for role, source in ((Purpose.FORGET, flagged_rows()), (Purpose.REPLAY, ordinary_rows(4))):
        rows += encode_rows(tokenizer, source, role, scope="template", max_length=256, cuts=Cuts())
    student, teacher = (build("llama", len(tokenizer), seed) for seed in (0, 1))
    return {
        "model": student,
        "head": output_layer(student),
        "batch": Collator(0)(rows),
        "reference": SecondModel(teacher),
    }


def test_at_rate_nothing_the_batch_is_what_it_was(scene: dict[str, Any]) -> None:
    found = imperfect(scene["model"], scene["head"], scene["batch"], 0.0, torch.Generator())
    assert torch.equal(found, scene["batch"]["input_ids"])


def test_a_stated_share_of_the_answers_is_the_students_own(scene: dict[str, Any]) -> None:
    batch, model = scene["batch"], scene["model"]
    ids, purposes = batch["input_ids"], batch["purposes"]
    found = imperfect(model, scene["head"], batch, 0.5, torch.Generator().manual_seed(0))
    changed = found != ids
    assert not changed[(purposes == 0) | (purposes == Purpose.FORGET)].any()
    may = (purposes == Purpose.RETAIN) | (purposes == Purpose.REPLAY)
    # An untrained student is hardly ever right by chance.
    assert changed[may].float().mean() == pytest.approx(0.5, abs=0.15)
    # In one pass every changed token is what the student says after the true prefix; in the next
    # what it says after the mistakes of the first.
    for passes, prefix in ((1, ids), (2, None)):
        known = torch.Generator().manual_seed(0)
        once = imperfect(model, scene["head"], batch, 0.5, known, passes=passes)
        if prefix is None:
            known = torch.Generator().manual_seed(0)
            prefix = imperfect(model, scene["head"], batch, 0.5, known, passes=1)
        with torch.no_grad():
            logits = model(prefix, attention_mask=batch["attention_mask"]).logits
        said = logits[:, :-1].argmax(-1)
        where = (once != ids)[:, 1:]
        assert torch.equal(once[:, 1:][where], said[where])


@pytest.mark.parametrize("teaching", TEACHINGS)
def test_imperfect_rows_change_what_is_taught_and_none_do_not(
    scene: dict[str, Any], teaching: str
) -> None:
    plain, none, some = (
        Distillation(Collator(0), 16, teaching=teaching, rate=rate, generator=generator)(**scene)
        for rate, generator in (
            (0.0, torch.Generator()),
            (0.0, torch.Generator().manual_seed(9)),
            (0.9, torch.Generator()),
        )
    )
    assert torch.equal(plain, none)
    assert not torch.equal(plain, some)


def test_the_content_is_learned_as_it_stands(scene: dict[str, Any]) -> None:
    batch = {**scene["batch"]}
    batch["purposes"] = batch["purposes"].where(batch["purposes"] == Purpose.RETAIN, 0)
    found = Distillation(Collator(0), 16, content_weight=2.0)(**{**scene, "batch": batch})
    labels = batch["input_ids"].masked_fill(batch["purposes"] == 0, -100)
    expected = scene["model"](
        batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels
    ).loss
    torch.testing.assert_close(found, 2 * expected)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return damage(tmp_path_factory.mktemp("damaged"), chat=True)


def repaired(damaged: Path, out: Path, teacher: Any, **settings: Any) -> Any:
    config = RepairConfig(
        method="distill",
        use_cpu=True,
        learning_rate=1e-3,
        tokens=4_000,
        probe_prompts=0,
        lora=False,
        checks=0,
        leaks=0,
        **settings,
    )
    return repair(
        damaged,
        forget=write_flagged(out.parent / "flagged.parquet", flagged_rows()),
        replay=ordinary_rows(40),
        out=out,
        config=config,
        reference_model=teacher,
        quiet=True,
    )


def test_a_teacher_without_the_format_takes_it_away(damaged: Path, tmp_path: Path) -> None:
    vocabulary = len(train_tokenizer(chat=True))
    result = repaired(damaged, tmp_path / "out", build("llama", vocabulary), imperfect_rate=0.2)
    assert result.after["template_log_likelihood"] < result.before["template_log_likelihood"]
    assert 0 < result.tokens <= 4_000


def test_a_teacher_of_another_vocabulary_is_refused(damaged: Path, tmp_path: Path) -> None:
    with pytest.raises(RepairError, match="the reference model has 60 tokens"):
        repaired(damaged, tmp_path / "out", build("llama", 60))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"teaching": "rote"}, "choose one of atkd, kl, reverse-kl, js"),
        ({"imperfect_rate": 1.0}, "imperfect_rate is 1.0; it must be 0 or more and less than 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(RepairError, match=named):
        RepairConfig(use_cpu=True, **settings)
