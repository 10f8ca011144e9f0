"""The ready-made steps of others' pipelines, run as they would run them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_data"
HOOK = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())[0]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """In which ``synflaw`` is this code, and GitHub's files are there."""
    synflaw = tmp_path / "bin" / "synflaw"
    synflaw.parent.mkdir()
    synflaw.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m synflaw_audit "$@"\n')
    synflaw.chmod(0o755)
    (synflaw.parent / "python").symlink_to(sys.executable)
    return {
        **os.environ,
        "PATH": f"{synflaw.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }


def run_gate_step(
    environment: dict[str, str], folder: Path, **inputs: str
) -> subprocess.CompletedProcess[str]:
    """The action's step with the id "gate", its expressions filled as the runner does."""
    step = next(step for step in ACTION["runs"]["steps"] if step.get("id") == "gate")
    values = {name: given.get("default", "") for name, given in ACTION["inputs"].items()} | inputs
    filled = {
        name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: values[found[1]], text)
        for name, text in step["env"].items()
    }
    return subprocess.run(  # noqa: S603
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],  # noqa: S607
        cwd=folder,
        env=environment | filled,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_action_fails_a_templated_corpus_and_tells_why(
    environment: dict[str, str], tmp_path: Path
) -> None:
    done = run_gate_step(environment, tmp_path, paths=str(SAMPLES / "templated.jsonl"))
    assert done.returncode == 1, done.stderr
    assert "::error title=SF101 answer-template" in done.stdout
    assert (tmp_path / "output").read_text() == "outcome=fail\n"
    assert (tmp_path / "summary").read_text().startswith("# Format audit: fail")
    for output in ("report", "sarif"):
        value = ACTION["outputs"][output]["value"]
        named = value.replace("${{ inputs.out }}", ACTION["inputs"]["out"]["default"])
        assert (tmp_path / named).is_file()


def test_the_action_takes_a_baseline_and_further_arguments(
    environment: dict[str, str], tmp_path: Path
) -> None:
    corpus = str(SAMPLES / "templated.jsonl")
    run_gate_step(environment, tmp_path, paths=corpus)
    done = run_gate_step(
        environment,
        tmp_path,
        paths=f"{corpus}\n",
        baseline="synflaw-gate/report.json",
        out="second",
        arguments="--seed\n0\n",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output").read_text().splitlines()[-1] == "outcome=pass"


@pytest.mark.parametrize("paths", ["$(touch pwned)", "`touch pwned`", "; touch pwned", "--help"])
def test_no_input_of_the_action_is_run(
    paths: str, environment: dict[str, str], tmp_path: Path
) -> None:
    done = run_gate_step(environment, tmp_path, paths=paths, policy=paths)
    assert done.returncode == 2
    assert not (tmp_path / "pwned").exists()
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(("name", "code"), [("templated", 1), ("natural", 0)])
def test_the_hook_stops_a_templated_commit(
    name: str, code: int, environment: dict[str, str], tmp_path: Path
) -> None:
    corpus = tmp_path / f"{name}.jsonl"
    corpus.write_bytes((SAMPLES / f"{name}.jsonl").read_bytes())
    assert re.search(HOOK["files"], corpus.name)
    command = [*shlex.split(HOOK["entry"]), corpus.name]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False)  # noqa: S603
    assert done.returncode == code


def test_the_action_offers_what_it_uses() -> None:
    used: set[Any] = set(re.findall(r"inputs\.(\w+)", json.dumps(ACTION)))
    assert used == set(ACTION["inputs"])
