"""What a process that does not import the plugin makes of a stored suite: never a success."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from gx_helpers import checkpoint_over, pandas_batch, template_share

from synflaw_audit import expectations as synflaw
from synflaw_audit.expectations import project as projects
from synflaw_audit.expectations import store

# One interpreter for all of it, because importing Great Expectations takes seconds.
PROBE = """
import json, sys
import great_expectations as gx
import pandas as pd

def attempt(do):
    try:
        return do()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def run(name):
    result = context.checkpoints.get(name).run(batch_parameters={"dataframe": frame})
    return [result.success, sum(len(v.results) for v in result.run_results.values())]

def edit():
    rows = gx.expectations.ExpectTableRowCountToBeBetween(min_value=1)
    suite = context.suites.get("plain")
    suite.add_expectation(rows)
    return len(suite.expectations)

context = gx.get_context(mode="file", context_root_dir=sys.argv[1])
context.variables.progress_bars = {"globally": False}
frame = pd.read_parquet(sys.argv[2])
steps = {"plain": lambda: run("plain"), "guarded": lambda: run("guarded"), "edit": edit}
print(json.dumps({name: attempt(step) for name, step in steps.items()}))
"""


def probe(root: Path, data: Path) -> dict[str, Any]:
    assert "synflaw" not in PROBE
    done = subprocess.run(  # noqa: S603 - this very interpreter and the code above
        [sys.executable, "-c", PROBE, str(root), str(data)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "GX_ANALYTICS_ENABLED": "false"},
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def stored(project: Any, templated: pd.DataFrame, tmp_path: Path) -> tuple[Path, Path]:
    """A project with two checkpoints that must fail, one with our action, and their data."""
    batch = pandas_batch(project)
    checkpoint_over(project, batch, [template_share()], name="plain")
    action = synflaw.WriteFlaggedSubsetAction(name="flagged")
    checkpoint_over(project, batch, [template_share()], actions=[action], name="guarded")
    data = tmp_path / "rows.parquet"
    templated.to_parquet(data)
    return Path(project.root_directory), data


def unhook(root: Path) -> None:
    config = root / projects.CONFIG
    config.write_text(config.read_text().replace(f"module_name: {projects.MODULE}", ""))


def unseal(suite: Path) -> None:
    plain = json.loads(suite.read_text())
    del plain[store.SEAL]
    suite.write_text(json.dumps(plain))


def test_with_the_hook_the_expectations_are_evaluated_and_kept(stored: tuple[Path, Path]) -> None:
    assert probe(*stored) == {"plain": [False, 1], "guarded": [False, 1], "edit": 2}
    suite = json.loads((stored[0] / "expectations" / "plain.json").read_text())
    assert (len(suite["expectations"]), suite[store.SEAL]) == (2, {"expectations": 1})


def test_without_the_hook_nothing_runs_and_nothing_is_erased(stored: tuple[Path, Path]) -> None:
    suite = stored[0] / "expectations" / "plain.json"
    before = suite.read_text()
    unhook(stored[0])
    found = probe(*stored)
    for step in ("plain", "guarded", "edit"):
        assert "run_synflaw_gx_init" in found[step]
    assert suite.read_text() == before


def test_what_great_expectations_does_by_itself(stored: tuple[Path, Path]) -> None:
    """The trap: no hook and no seal. If this fails, the hook has become needless."""
    suite = stored[0] / "expectations" / "plain.json"
    for name in ("plain", "guarded"):
        unseal(stored[0] / "expectations" / f"{name}.json")
    unhook(stored[0])
    found = probe(*stored)
    assert found["plain"] == [True, 0]
    assert "synflaw_write_flagged_subset" in found["guarded"]
    assert found["edit"] == 1
    assert store.count_ours(json.loads(suite.read_text())) == 0
