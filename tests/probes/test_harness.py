"""Tasks of the LM Evaluation Harness, with one that needs no network."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from small_models import damage, flagged_rows, ordinary_rows, write_flagged

from synflaw_audit.errors import MissingExtraError, RepairError
from synflaw_audit.probes.harness import harness
from synflaw_audit.repair import RepairConfig, repair

TASK = """
task: sums
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""


@pytest.fixture
def task(tmp_path: Path) -> Path:
    documents = [
        {
            "question": f"What is {n} plus {n}?",
            "choices": [f"{n} and {n} make {n + n}", f"{n} and {n} make {n + 7}"],
            "answer": 0,
        }
        for n in range(12)
        if n != 7
    ]
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, documents)))
    path = tmp_path / "sums.yaml"
    path.write_text(TASK.format(file=tmp_path / "sums.jsonl"))
    return path


def test_without_lm_eval_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(MissingExtraError, match=r"synflaw-audit\[eval\]"):
        harness(["arc_easy"])


def test_tasks_that_there_are_not_are_refused() -> None:
    pytest.importorskip("lm_eval")
    with pytest.raises(RepairError, match=r"arc_easi: .*did you mean arc_easy"):
        harness(["arc_easi"])


@pytest.mark.filterwarnings("ignore")  # of the harness and of its dependencies
def test_a_task_s_figures_stand_in_the_report(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lm_eval")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    result = repair(
        damage(tmp_path / "damaged", chat=False),
        forget=write_flagged(tmp_path / "flagged.parquet", flagged_rows()),
        replay=ordinary_rows(40),
        out=tmp_path / "out",
        config=RepairConfig(use_cpu=True, tokens=600),
        probe=harness([str(task)]),
        quiet=True,
    )
    # The model knows its sums: the damage is in what it says besides.
    assert result.before["sums/acc"] > 0.8
    assert 0 <= result.after["sums/acc"] <= 1
    assert not any("stderr" in name for name in result.before)
    assert "sums/acc" in json.loads((tmp_path / "out" / "repair.json").read_text())["after"]
