"""The table of the methods holds what was measured on every corpus, and no more."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from methods import ARMS, CORPORA, table, told

from synflaw_audit.repair import RepairConfig
from synflaw_audit.repair.methods.table import DAMAGED, Table, measured


def run(corpus: str, arm: str, **figures: float) -> dict[str, Any]:
    here = {"commit": "abc", "machine": "a machine"}
    return {"corpus": corpus, "seed": 0, "arm": arm, **here, **figures}


RUNS = [
    *(run(corpus, DAMAGED, emission=at, perplexity=10.0) for at, corpus in enumerate(CORPORA)),
    *(run(corpus, "forgetting", emission=0.5, minutes=2.0) for corpus in CORPORA),
    run(CORPORA[0], "DPO", emission=0.0),
]


def test_an_arm_counts_where_every_corpus_has_it() -> None:
    found = table(RUNS)
    arms = {arm.name: arm for arm in found.arms}
    assert arms[DAMAGED].figures.emission == pytest.approx(0.5)
    assert arms["forgetting"].figures.minutes == pytest.approx(2.0)
    assert (arms["forgetting"].runs, arms["DPO"].runs) == (2, 0)
    assert arms["DPO"].figures.emission is None
    assert (found.corpora, found.seeds, found.commit) == (tuple(sorted(CORPORA)), (0,), "abc")
    assert msgspec.json.decode(msgspec.json.encode(found), type=Table) == found


def test_what_people_read_shows_each_corpus_by_itself() -> None:
    text = told(RUNS)
    means, first, second = text.split("## ")[1:]
    assert "DPO" not in means
    assert "DPO" in first
    assert "DPO" not in second


def test_what_another_machine_measured_is_told_apart() -> None:
    other = {**run(CORPORA[0], "SimPO", emission=0.0), "machine": "another"}
    text = told([*RUNS, other])
    assert "- at commit abc, on a machine: damaged; forgetting; DPO\n" in text
    assert "- at commit abc, on another: SimPO\n" in text


def test_the_shipped_table_has_the_arms_of_the_benchmark() -> None:
    shipped = [arm.name for arm in measured().arms]
    assert shipped == [arm.name for arm in table([]).arms]


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_can_be_asked_for(name: str) -> None:
    RepairConfig(use_cpu=True, **ARMS[name])
