"""``--method auto`` and ``--method list``: what is at hand and what was measured decide."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from synflaw_audit.commands.main import app
from synflaw_audit.errors import RepairError
from synflaw_audit.repair import RepairConfig
from synflaw_audit.repair.methods.choice import chosen
from synflaw_audit.repair.methods.described import ways
from synflaw_audit.repair.methods.registry import METHODS, chosen_methods
from synflaw_audit.repair.methods.table import (
    BASE,
    COLUMNS,
    DAMAGED,
    Figures,
    MeasuredMethod,
    Table,
    cells,
    measured,
)


def arm(name: str, settings: dict[str, Any], **figures: float) -> MeasuredMethod:
    usual = {"emission": 0.5, "instructions": 0.5, "content": -1.0, "perplexity": 20.0}
    return MeasuredMethod(name, settings, Figures(**{**usual, **figures}), runs=2)


TABLE = Table(
    "a model",
    ("one", "other"),
    (0,),
    1000,
    "abc",
    "here",
    40,
    20,
    (
        arm(BASE, {}, emission=0.0, instructions=1.0),
        arm(DAMAGED, {}, emission=1.0, instructions=0.2),
        arm("forgetting", {"method": "forgetting"}, emission=0.08, instructions=0.6),
        arm("distill", {"method": "distill", "teaching": "kl"}, emission=0.1, instructions=0.9),
        arm("merge", {"method": "merge"}, emission=0.04, instructions=0.5),
        arm("left it", {"method": "task-negation"}, emission=0.4, instructions=1.0),
        arm("destroyed", {"method": "dpo"}, emission=0.0, instructions=0.9, perplexity=90.0),
        arm("amnesia", {"method": "simpo"}, emission=0.0, instructions=0.9, content=-4.0),
        MeasuredMethod("unknown", {"method": "ftpo"}),
    ),
)


def config(**settings: Any) -> RepairConfig:
    return RepairConfig(use_cpu=True, **{"method": "auto", **settings})


def test_what_the_chosen_way_left_of_the_format_is_said() -> None:
    (told, *_) = chosen(config(), earlier_model=False, base=False, table=TABLE).because
    assert told.endswith("the format was left in 8% of ordinary answers")


def test_what_is_at_hand_decides() -> None:
    alone = chosen(config(), earlier_model=False, base=False, table=TABLE)
    assert alone.config.method == "forgetting"
    assert any("distill: it needs the model from before" in each for each in alone.because)
    helped = chosen(config(), earlier_model=True, base=False, table=TABLE)
    assert (helped.config.method, helped.config.teaching) == ("distill", "kl")
    assert helped.because[0].startswith("method auto: distill")
    assert "+1.60" in helped.because[0]
    others = config(merge_with=["another"], tokens=500)
    short = chosen(others, earlier_model=True, base=True, table=TABLE)
    assert short.config.method == "merge"
    assert any("500 tokens are too few to train on" in each for each in short.because)


def test_of_what_cannot_be_told_apart_the_plainest_is_taken() -> None:
    """A gain that is less than a standard error ahead does not pay for a further setting."""
    by_chance = arm(
        "sharp", {"method": "forgetting", "optimizer": "fsam"}, emission=0.06, instructions=0.62
    )
    ahead = replace(by_chance, figures=replace(by_chance.figures, instructions=0.8))
    for more, expected in ((by_chance, "plain"), (ahead, "fsam")):
        table = replace(TABLE, arms=(*TABLE.arms, more))
        found = chosen(config(), earlier_model=False, base=False, table=table)
        assert found.config.optimizer == expected
    assert "which did most of 2" in found.because[0]
    # Of few answers nothing can be told.
    few = replace(TABLE, arms=(*TABLE.arms, ahead), prompts=2, requests=2)
    found = chosen(config(), earlier_model=False, base=False, table=few)
    assert found.config.optimizer == "plain"
    assert "of 2 that cannot be told apart the usual or plainest" in found.because[0]


@pytest.mark.parametrize("earlier_model", [False, True])
def test_among_equals_it_is_what_is_done_where_nothing_is_said(earlier_model: bool) -> None:
    averaged = arm("averaged", {"method": "forgetting+wise-ft"}, emission=0.08, instructions=0.6)
    quick = arm("quick", {"method": "ftpo"}, emission=0.08, instructions=0.6, minutes=0.1)
    table = replace(TABLE, arms=(*TABLE.arms[:3], averaged, quick))
    asked, silent = (
        chosen(config(method=method), earlier_model=earlier_model, base=False, table=table)
        for method in ("auto", None)
    )
    assert asked.config.method == silent.config.method


@pytest.mark.parametrize(
    ("settings", "earlier_model", "method", "said"),
    [
        ({}, False, "forgetting", ""),
        ({}, True, "forgetting+wise-ft", ""),
        ({"lora": True}, True, "forgetting+wise-ft", ""),
        ({"lora_merge": False}, True, "forgetting", "needs whole weights"),
        ({"load_in": "4bit"}, True, "forgetting", "needs whole weights"),
    ],
)
def test_without_a_method_the_usual_one_is_taken(
    settings: dict[str, Any], earlier_model: bool, method: str, said: str
) -> None:
    found = chosen(config(method=None, **settings), earlier_model=earlier_model, base=False)
    assert found.config.method == method
    assert said in " ".join(found.because)
    assert chosen_methods(found.config, earlier_model=earlier_model)


@pytest.mark.parametrize(
    ("earlier_model", "settings", "lacks"),
    [
        (False, {}, r"wise-ft needs the model from before the damage \(reference_model\)"),
        (True, {"lora_merge": False}, "wise-ft needs whole weights to be written"),
    ],
)
def test_whoever_gives_a_share_to_average_by_is_told_what_is_missing(
    earlier_model: bool, settings: dict[str, Any], lacks: str
) -> None:
    given = config(method=None, wise_ft_alpha=0.3, **settings)
    found = chosen(given, earlier_model=earlier_model, base=False).config
    assert found.method == "forgetting+wise-ft"
    with pytest.raises(RepairError, match=lacks):
        chosen_methods(found, earlier_model=earlier_model)


def test_what_harmed_is_not_taken() -> None:
    told = " ".join(chosen(config(), earlier_model=True, base=True, table=TABLE).because)
    assert "destroyed: it raised the perplexity of ordinary rows by 350%" in told
    assert "amnesia: it took 3.00 nats a token of the content" in told
    assert "left it: it left the format in 40% of ordinary answers" in told
    assert "unknown" not in told


def test_nothing_measured_leaves_the_usual_method_and_says_so() -> None:
    bare = replace(TABLE, arms=tuple(replace(each, runs=0) for each in TABLE.arms))
    found = chosen(config(), earlier_model=True, base=True, table=bare)
    assert found.config.method == "forgetting"
    assert "no way to repair that was measured" in found.because[0]


def test_a_method_that_is_named_is_kept() -> None:
    asked = config(method="dpo")
    found = chosen(asked, earlier_model=True, base=True, table=TABLE)
    assert found.config is asked
    assert found.because == ()


@pytest.mark.parametrize("earlier_model", [False, True])
def test_what_the_shipped_table_chooses_can_be_taken(earlier_model: bool) -> None:
    found = chosen(config(), earlier_model=earlier_model, base=earlier_model)
    assert chosen_methods(found.config, earlier_model=earlier_model, base=earlier_model)


def test_every_method_of_ours_and_every_arm_has_its_page() -> None:
    found = {way.name: way for way in ways()}
    assert set(METHODS.own) <= set(found)
    assert {"kid", "self-evolution", "fsam", "pats"} <= set(found)
    shown_arms = {each.name for way in found.values() for each in way.arms}
    assert {each.name for each in measured().arms} - {BASE, DAMAGED} <= shown_arms
    for way in found.values():
        assert way.description.does.endswith(".")
        assert way.description.source


def test_the_command_lists_every_method_without_a_model() -> None:
    done = CliRunner().invoke(app, ["repair", "--method", "list"])
    assert done.exit_code == 0, done.output
    for way in ways():
        assert f"{way.name}  {way.asked}" in done.output
    said = json.loads(CliRunner().invoke(app, ["repair", "--method", "list", "--json"]).output)
    assert {each["name"] for each in said["methods"]} == {way.name for way in ways()}


def test_a_figure_that_was_not_taken_says_so() -> None:
    row = cells(Figures(emission=0.25))
    assert len(row) == len(COLUMNS)
    assert row[0] == "25%"
    assert set(row[1:]) == {"not measured"}
