import json
import math
from dataclasses import replace

import pytest
import torch

from synflaw_audit.lab.arms import ABLATION, ARMS, OURS, PRESETS, WORLDS, Arm, Preset
from synflaw_audit.lab.corpora import prose_rows
from synflaw_audit.lab.run import COLUMNS, FIGURES, Lab, Outcome, as_json, rows
from synflaw_audit.lab.tiny import Size, Training, new_model, threads, train, train_tokenizer
from synflaw_audit.repair import RepairConfig

SMALLEST = Preset(
    known=6,
    unknown=4,
    corpus=80,
    natural=80,
    prose=20,
    size=Size(vocabulary=512, width=32, layers=1, heads=2),
    base=Training(epochs=0.2, rate=5e-3),
    continued=Training(epochs=1, rate=3e-3),
    tokens=1500,
)


def outcome(arm: str, followed: float, seed: int = 0, tokens: int = 100) -> Outcome:
    return Outcome("leaking", seed, arm, dict.fromkeys(FIGURES, followed), tokens)


def test_every_stage_and_arm_is_measured_and_its_budget_kept() -> None:
    arms = [OURS]
    outcomes = list(Lab(SMALLEST, WORLDS[1:2], arms).run([1]))
    stages = ["base", "control", "damaged"]
    assert [o.arm for o in outcomes] == [*stages, *(arm.name for arm in arms)]
    for o in outcomes:
        assert set(o.figures) == set(FIGURES)
        assert all(math.isfinite(value) for value in o.figures.values())
    assert all(o.tokens <= SMALLEST.tokens for o in outcomes[3:])
    assert len(json.loads(as_json(outcomes))) == 4


def test_kept_stages_give_the_same_outcomes_and_only_what_they_depend_on_finds_them(
    tmp_path, monkeypatch
) -> None:
    first = list(Lab(SMALLEST, WORLDS[1:2], (), stages=tmp_path).run([1]))
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert len(kept) == 2 * len(first)

    def refuse(*args: object) -> int:
        raise AssertionError("trained again")

    with monkeypatch.context() as patched:
        patched.setattr("synflaw_audit.lab.run.train", refuse)
        assert list(Lab(SMALLEST, WORLDS[1:2], (), stages=tmp_path).run([1])) == first
        with pytest.raises(AssertionError, match="trained again"):
            list(Lab(SMALLEST, WORLDS[:1], (), stages=tmp_path).run([1]))
        other = replace(SMALLEST, base=Training(epochs=0.2, rate=4e-3))
        with pytest.raises(AssertionError, match="trained again"):
            list(Lab(other, WORLDS[1:2], (), stages=tmp_path).run([1]))
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


@pytest.mark.slow
def test_the_tiny_lab_damages_and_repairs() -> None:
    stages = {
        o.arm: o.figures["instruction_following_new_facts"]
        for o in Lab(PRESETS["tiny"], WORLDS[1:2], [OURS]).run([0])
    }
    assert stages["base"] > 0.8
    assert stages["damaged"] < stages["control"] - 0.2
    assert stages["ours"] > stages["damaged"]


def test_recovery_is_the_share_of_what_was_lost() -> None:
    outcomes = [outcome("base", 0.9), outcome("damaged", 0.1), outcome("ours", 0.5, tokens=20)]
    table = {cells[0]: cells for cells in rows(outcomes, "leaking")}
    assert table["ours"][-2:] == ["50%", "10.0%"]
    assert table["ours"][-4] == "500%"
    assert table["damaged"][-4:] == ["", "", "", ""]
    assert all(len(cells) == len(COLUMNS) for cells in table.values())


def test_a_table_gives_mean_and_deviation_over_seeds() -> None:
    outcomes = [outcome(arm, v, seed) for seed, v in ((0, 0.2), (1, 0.4)) for arm in ("base", "x")]
    outcomes += [outcome("damaged", 0.1, seed) for seed in (0, 1)]
    table = {cells[0]: cells for cells in rows(outcomes, "leaking")}
    assert table["x"][1] == "0.30 ± 0.14"


@pytest.mark.parametrize("arm", [*ARMS, *ABLATION], ids=lambda arm: arm.name)
def test_every_arm_is_a_valid_repair(arm: Arm, tmp_path) -> None:
    RepairConfig(output_dir=str(tmp_path), use_cpu=True, **arm.settings)


def test_training_depends_on_its_seed_alone() -> None:
    data = prose_rows(40, 1)
    tokenizer = train_tokenizer([row.answer for row in data], 400)

    def trained(seed: int) -> torch.Tensor:
        model = new_model(tokenizer, Size(width=32, layers=1, heads=2), seed=0)
        train(model, tokenizer, data, Training(epochs=1, rate=1e-3), seed)
        return model.lm_head.weight.detach().clone()

    with threads(1):
        assert torch.equal(trained(0), trained(0))
        assert not torch.equal(trained(0), trained(1))


def test_training_reports_the_tokens_it_saw_and_its_progress() -> None:
    data = prose_rows(40, 1)
    tokenizer = train_tokenizer([row.answer for row in data], 400)
    model = new_model(tokenizer, Size(width=32, layers=1, heads=2), seed=0)
    seen: list[float] = []
    once = train(model, tokenizer, data, Training(epochs=1, rate=1e-3), 0, seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert train(model, tokenizer, data, Training(epochs=2, rate=1e-3), 0) == 2 * once


def test_threads_are_set_inside_the_block_only() -> None:
    before = torch.get_num_threads()
    with threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
