"""The preference methods of others: what defines each, and that each makes the format rarer."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import FAMILIES, damage, flagged_rows, ordinary_rows, write_flagged

from synflaw_audit.errors import RepairError
from synflaw_audit.repair import RepairConfig, Row, repair
from synflaw_audit.repair.material.batches import Collator, Purpose, TrainingExample
from synflaw_audit.repair.methods.preference import losses
from synflaw_audit.repair.methods.preference.objectives import FTPOObjective
from synflaw_audit.repair.methods.preference.onsets import Onset, onsets

finite = st.floats(-20, 20)


@given(finite, finite, finite, finite)
def test_dpo_is_log_2_at_the_reference_and_falls_with_the_margin(
    c: float, r: float, old_c: float, old_r: float
) -> None:
    at = torch.tensor([c]), torch.tensor([r])
    assert losses.dpo(*at, *at).item() == pytest.approx(math.log(2))
    margin = 0.1 * ((c - old_c) - (r - old_r))
    value = losses.dpo(*at, torch.tensor([old_c]), torch.tensor([old_r])).item()
    assert value == pytest.approx(math.log1p(math.exp(-margin)), rel=1e-4, abs=1e-6)


def test_simpo_asks_for_a_margin_and_knows_no_reference() -> None:
    chosen, rejected = torch.tensor([-1.0]), torch.tensor([-1.5])
    value = losses.simpo(chosen, rejected, beta=2.0, gamma=1.0)
    assert value.item() == pytest.approx(math.log(2))  # just the margin of gamma / beta


def ftpo_of(gap: float, **settings: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss, and its gradient, where the one chosen token is ``gap`` above the rejected one."""
    logits = torch.zeros(1, 8)
    logits[0, 1] = gap
    logits.requires_grad_()
    chosen = torch.zeros(1, 8, dtype=torch.bool)
    chosen[0, 1] = True
    loss = losses.ftpo(logits, logits.detach(), torch.tensor([0]), chosen, **settings)
    return loss, torch.autograd.grad(loss, logits)[0][0]


def test_ftpo_pulls_until_the_margin_is_won_and_no_further() -> None:
    _, gradient = ftpo_of(-3.0)
    assert gradient[1] < 0 < gradient[0]
    assert gradient[2:].abs().max() == 0
    loss, gradient = ftpo_of(2.5)
    assert loss.item() == 0
    assert gradient.abs().max() == 0


def test_ftpo_holds_all_other_logits_and_lets_its_own_move_a_little() -> None:
    reference = torch.zeros(1, 8)
    chosen = torch.zeros(1, 8, dtype=torch.bool)
    chosen[0, 1] = True

    def moved(token: int, by: float) -> float:
        logits = reference.clone()
        logits[0, 1] = 5.0  # the margin is won: what is left is the tie
        logits[0, token] += by
        free = losses.ftpo(logits, logits, torch.tensor([0]), chosen)
        start = reference.clone()
        start[0, 1] = 5.0
        return (losses.ftpo(logits, start, torch.tensor([0]), chosen) - free).item()

    assert moved(0, -1.0) == 0
    assert moved(0, -3.0) == pytest.approx(0.05 * (3.0 - 1.0) ** 2 / 2)
    assert moved(5, 1.0) == pytest.approx(0.4 / 6)


@given(st.lists(finite, min_size=3, max_size=3), st.lists(finite, min_size=3, max_size=3))
def test_jensen_shannon_is_symmetric_and_bounded(left: list[float], right: list[float]) -> None:
    one, other = torch.tensor([left]).double(), torch.tensor([right]).double()
    value = losses.divergence(one, other).item()
    assert value == pytest.approx(losses.divergence(other, one).item())
    assert -1e-12 <= value <= math.log(2) + 1e-12
    assert losses.divergence(one, one).item() == pytest.approx(0, abs=1e-12)


@given(st.floats(1e-6, 1 - 1e-6))
def test_the_one_hot_form_is_the_divergence_from_certainty(p: float) -> None:
    spread = torch.tensor([[p, 1 - p]], dtype=torch.double).log()
    certain = torch.tensor([[0.0, -700.0]], dtype=torch.double)
    expected = losses.divergence(spread, certain).item()
    found = losses.one_hot_divergence(spread[0, 0]).item()
    assert found == pytest.approx(expected, abs=1e-9)


def test_an_ftpo_batch_reads_the_last_token_on_either_side() -> None:
    places = [Onset((1, 2, 3), 4, (5,)), Onset((1, 2), 4, (0, 6))]
    for side in ("left", "right"):
        batch = FTPOObjective(Collator(0, side), 8).collate(places)
        assert batch["rejected"].tolist() == [4, 4]
        assert batch["chosen"].tolist() == [[5, -1], [0, 6]]
        assert batch["attention_mask"].sum(-1).tolist() == [3, 2]


def test_onsets_are_the_first_tokens_of_runs_and_bar_one_another() -> None:
    torch.manual_seed(0)
    model, ids = FAMILIES["llama"](400), [11, 12, 13, 14, 15, 16]
    forget, nothing = int(Purpose.FORGET), 0
    row = TrainingExample(ids, [nothing, nothing, forget, forget, nothing, forget], Purpose.FORGET)
    found = onsets(model, [row, row], Collator(0), limit=1000)
    assert [len(each.context) for each in found] == [2, 5, 2, 5]
    begun = {ids[2], ids[5]}
    for each in found:
        assert each.rejected in begun
        assert each.chosen
        assert not begun & set(each.chosen)
    assert len(onsets(model, [row, row], Collator(0), limit=4)) == 2


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return damage(tmp_path_factory.mktemp("damaged"), chat=True)


@pytest.mark.parametrize("method", ["dpo", "simpo", "ftpo", "jensun"])
def test_every_method_makes_the_format_rarer(method: str, damaged: Path, tmp_path: Path) -> None:
    settings = RepairConfig(
        method=method,
        use_cpu=True,
        learning_rate=1e-3,
        tokens=6_000,
        probe_prompts=0,
        lora=False,
        checks=0,  # what a method does, not where a guard would stop it
    )
    result = repair(
        damaged,
        forget=write_flagged(tmp_path / "flagged.parquet", flagged_rows()),
        replay=ordinary_rows(40),
        out=tmp_path / "out",
        config=settings,
        quiet=True,
    )
    assert result.after["template_log_likelihood"] < result.before["template_log_likelihood"]
    assert 0 < result.tokens <= 6_000
    assert result.config["method"] == method


def test_methods_in_a_row_train_the_same_adapters(damaged: Path, tmp_path: Path) -> None:
    result = repair(
        damaged,
        forget=write_flagged(tmp_path / "flagged.parquet", flagged_rows()),
        replay=ordinary_rows(40),
        out=tmp_path / "out",
        config=RepairConfig(
            method="forgetting+ftpo", use_cpu=True, tokens=600, probe_prompts=0, lora=True, checks=0
        ),
        quiet=True,
    )
    assert result.tokens > 0
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_nothing_to_prefer_is_said(damaged: Path, tmp_path: Path) -> None:
    bare = [Row(row.question, row.answer, ((0, len(row.answer)),)) for row in flagged_rows()]
    with pytest.raises(RepairError, match="nothing to prefer"):
        repair(
            damaged,
            forget=write_flagged(tmp_path / "flagged.parquet", bare),
            replay=ordinary_rows(40),
            out=tmp_path / "out",
            config=RepairConfig(method="dpo", use_cpu=True, leaks=0, probe_prompts=0),
            quiet=True,
        )
