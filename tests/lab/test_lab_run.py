import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from synflaw_audit.lab.arms import (
    ABLATION,
    ARMS,
    METHODS,
    OURS,
    PRESETS,
    WORLDS,
    Preset,
    RepairArm,
)
from synflaw_audit.lab.corpora import prose_rows
from synflaw_audit.lab.run import RETRAINED, Lab
from synflaw_audit.lab.tables import (
    COLUMNS,
    FIGURES,
    ArmResult,
    as_json,
    read_outcomes,
    rows,
)
from synflaw_audit.lab.tiny import Hyperparameters, Size, new_model, threads, train, train_tokenizer
from synflaw_audit.repair import RepairConfig

SMALLEST = Preset(
    known=6,
    unknown=4,
    corpus=80,
    natural=80,
    prose=20,
    instructed=1,
    continued_prose=200,
    continued_plain=100,
    continued_instructed=40,
    size=Size(vocabulary=512, width=32, layers=1, heads=2),
    base=Hyperparameters(epochs=0.2, rate=5e-3),
    continued=Hyperparameters(epochs=1, rate=3e-3),
    tuning=40,
    share=0.1,
)


def outcome(
    arm: str, followed: float, seed: int = 0, tokens: int = 100, *, tuned: bool = False
) -> ArmResult:
    return ArmResult("leaking", seed, arm, dict.fromkeys(FIGURES, followed), tokens, tuned)


def test_every_stage_and_arm_is_measured_and_its_budget_kept() -> None:
    arms = [OURS]
    outcomes = list(Lab(SMALLEST, WORLDS[1:2], arms, retrained=True).run([1]))
    expected = ["base", "control", RETRAINED, "damaged", *(arm.name for arm in arms)]
    before, after = outcomes[::2], outcomes[1::2]
    assert [o.arm for o in before] == [o.arm for o in after] == expected
    assert not any(o.tuned for o in before)
    assert all(o.tuned for o in after)
    # The tuning changes every model, and is not counted as part of its repair.
    assert all(a.figures != b.figures for a, b in zip(before, after, strict=True))
    assert [a.tokens for a in before] == [b.tokens for b in after]
    for o in outcomes:
        assert set(o.figures) == set(FIGURES)
        assert all(math.isfinite(value) for value in o.figures.values())
    base, _, _, damaged, repaired = before
    assert 0 < repaired.tokens <= SMALLEST.share * (base.tokens + damaged.tokens)
    assert len(json.loads(as_json(outcomes))) == 10


def test_known_outcomes_are_given_and_nothing_is_measured_again(tmp_path, monkeypatch) -> None:
    path = tmp_path / "lab.json"
    assert read_outcomes(path) == []
    first = list(Lab(SMALLEST, WORLDS[1:2], (), stages=tmp_path, tuned=False).run([1]))
    assert [o.arm for o in first] == ["base", "control", "damaged"]
    path.write_text(as_json(first))
    known = read_outcomes(path)
    assert known == first

    def refuse(*args: object) -> dict[str, float]:
        raise AssertionError("measured again")

    monkeypatch.setattr("synflaw_audit.probes.suite.Suite.__call__", refuse)
    lab = Lab(SMALLEST, WORLDS[1:2], (), stages=tmp_path, tuned=False, known=known)
    assert list(lab.run([1])) == first
    with pytest.raises(AssertionError, match="measured again"):
        list(replace(lab, tuned=True).run([1]))


def test_kept_stages_give_the_same_outcomes_and_only_what_they_depend_on_finds_them(
    tmp_path, monkeypatch
) -> None:
    first = list(Lab(SMALLEST, WORLDS[1:2], (), stages=tmp_path).run([1]))
    kept = sorted(path.name for path in tmp_path.iterdir())
    # Two files for each stage, measured twice; the tuning is short and is not kept.
    assert len(kept) == len(first)

    def refuse(*args: object) -> int:
        raise AssertionError("trained again")

    def tuning_only(model: Any, tokenizer: Any, rows: Any, how: Hyperparameters, seed: int) -> int:
        return train(model, tokenizer, rows, how, seed) if how == SMALLEST.tuned else refuse()

    with monkeypatch.context() as patched:
        patched.setattr("synflaw_audit.lab.run.train", tuning_only)
        assert list(Lab(SMALLEST, WORLDS[1:2], (), stages=tmp_path).run([1])) == first
        with pytest.raises(AssertionError, match="trained again"):
            list(Lab(SMALLEST, WORLDS[:1], (), stages=tmp_path).run([1]))
        other = replace(SMALLEST, base=Hyperparameters(epochs=0.2, rate=4e-3))
        with pytest.raises(AssertionError, match="trained again"):
            list(Lab(other, WORLDS[1:2], (), stages=tmp_path).run([1]))
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


@pytest.mark.slow
def test_the_tiny_lab_damages_and_repairs() -> None:
    # The command's own rate for all weights is one for larger models, and moves this one hardly.
    faster = RepairArm("ours, faster", {"learning_rate": 1e-3, "checks": 0})
    stages = {
        o.arm: o.figures["instruction_following_new_facts"]
        for o in Lab(PRESETS["tiny"], WORLDS[1:2], [faster]).run([0])
        if not o.tuned
    }
    assert stages["base"] > 0.6
    assert stages["damaged"] < stages["control"] - 0.2
    assert stages[faster.name] > stages["damaged"] + 0.05


def test_recovery_is_the_share_of_what_was_lost() -> None:
    outcomes = [outcome("base", 0.9), outcome("damaged", 0.1), outcome("ours", 0.5, tokens=20)]
    outcomes += [outcome("base", 0.9, tuned=True), outcome("damaged", 0.7, tuned=True)]
    outcomes += [outcome("ours", 0.9, tokens=20, tuned=True)]
    table = {cells[0]: cells for cells in rows(outcomes, "leaking", tuned=False)}
    assert table["ours"][-3:] == ["50%", "50%", "10.0%"]
    tuned = {cells[0]: cells for cells in rows(outcomes, "leaking", tuned=True)}
    assert tuned["ours"][-3:] == ["100%", "100%", "10.0%"]
    assert table["ours"][-5] == "500%"
    assert table["damaged"][-5:] == [""] * 5
    assert all(len(cells) == len(COLUMNS) for cells in table.values())


def test_recovery_of_forms_that_the_repair_knows_is_told_apart_from_that_of_others() -> None:
    outcomes = [outcome("base", 1.0), outcome("damaged", 0.0), outcome("ours", 0.0)]
    known = {"instruction_following": 1.0, "instruction_following_new_facts": 0.5}
    outcomes[2] = replace(outcomes[2], figures={**outcomes[2].figures, **known})
    cells = rows(outcomes, "leaking", tuned=False)[-1]
    found = dict(zip(COLUMNS, cells, strict=True))
    assert found["recovered, known forms"] == "75%"
    assert found["recovered, unknown forms"] == "0%"


def test_a_table_gives_mean_and_deviation_over_seeds() -> None:
    outcomes = [outcome(arm, v, seed) for seed, v in ((0, 0.2), (1, 0.4)) for arm in ("base", "x")]
    outcomes += [outcome("damaged", 0.1, seed) for seed in (0, 1)]
    table = {cells[0]: cells for cells in rows(outcomes, "leaking", tuned=False)}
    assert table["x"][1] == "0.30 ± 0.14"


@pytest.mark.parametrize("arm", [*ARMS, *METHODS, *ABLATION], ids=lambda arm: arm.name)
def test_every_arm_and_what_is_tried_of_it_is_a_valid_repair(arm: RepairArm, tmp_path) -> None:
    for each in (arm, *arm.variants()):
        RepairConfig(output_dir=str(tmp_path), use_cpu=True, **each.settings)


def test_ours_is_the_default_command_and_is_not_tuned() -> None:
    defaults = [arm for arm in ARMS if arm.name.startswith("ours by default")]
    assert [arm.against_base for arm in defaults] == [False, True]
    assert OURS in defaults
    for arm in defaults:
        assert arm.settings == {}
        assert list(arm.variants()) == [arm]


def test_ours_swept_is_the_default_command_but_for_the_rate() -> None:
    swept = [arm for arm in ARMS if arm.name == "ours, rate swept"]
    assert [list(arm.settings) for arm in swept] == [["learning_rate"]]


def test_arms_are_set_to_what_was_tried_of_them() -> None:
    for arm in (*ARMS, *METHODS):
        for name, values in arm.tuned.items():
            assert arm.settings[name] in values


def test_usual_ways_replay_as_many_rows_and_requests_as_ours() -> None:
    ours = RepairConfig()
    for arm in ARMS:
        config = RepairConfig(**arm.settings)
        assert config.replay_ratio >= ours.replay_ratio
        assert config.replay_requests >= ours.replay_requests or arm.name == "replay only"


def test_training_depends_on_its_seed_alone() -> None:
    data = prose_rows(40, 1)
    tokenizer = train_tokenizer([row.answer for row in data], 400)

    def trained(seed: int) -> torch.Tensor:
        model = new_model(tokenizer, Size(width=32, layers=1, heads=2), seed=0)
        train(model, tokenizer, data, Hyperparameters(epochs=1, rate=1e-3), seed)
        return model.lm_head.weight.detach().clone()

    with threads(1):
        assert torch.equal(trained(0), trained(0))
        assert not torch.equal(trained(0), trained(1))


def test_training_reports_the_tokens_it_saw_and_its_progress() -> None:
    data = prose_rows(40, 1)
    tokenizer = train_tokenizer([row.answer for row in data], 400)
    model = new_model(tokenizer, Size(width=32, layers=1, heads=2), seed=0)
    seen: list[float] = []
    once = train(model, tokenizer, data, Hyperparameters(epochs=1, rate=1e-3), 0, seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert train(model, tokenizer, data, Hyperparameters(epochs=2, rate=1e-3), 0) == 2 * once


def test_threads_are_set_inside_the_block_only() -> None:
    before = torch.get_num_threads()
    with threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
