"""A gate whose policy rests on what a rehearsal measured, from the files to the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from synflaw_audit.commands.main import app
from synflaw_audit.probes.intervals import Figure
from synflaw_audit.rehearsal.result import Axis, RehearsalResult


def written(path: Path, corpus: str, emission: float, loss: float) -> Path:
    """What a rehearsal of a corpus leaves."""
    damages = {"emission": emission, "instruction_loss": loss}
    axes = tuple(
        Axis(name, name, value, 0.0, Figure(value, value - 0.1, value + 0.1, 48))
        for name, value in damages.items()
    )
    result = RehearsalResult("model", (corpus,), "control", 11_200, (0,), axes, (), (), 1.0)
    path.write_text(result.to_json(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def corpus(natural: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "rows.parquet"
    natural.head(300).to_parquet(path)
    return path


def gated(corpus: Path, folder: Path, policy: str, rehearsal: Path | None) -> Result:
    rules = folder / "policy.toml"
    rules.write_text(policy)
    told = ["gate", str(corpus), "--out", str(folder / "out"), "--policy", str(rules)]
    if rehearsal is not None:
        told += ["--rehearsal", str(rehearsal)]
    return CliRunner().invoke(app, [*told, "--select", "SF102"])


POLICY = "max_emission = 0.1\nmax_instruction_loss = 0.2\n"


@pytest.mark.parametrize(
    ("emission", "loss", "code", "said"),
    [(0.05, 0.15, 0, ""), (0.3, 0.15, 1, "measured"), (0.05, 0.25, 1, "measured")],
)
def test_the_measured_damage_decides(
    corpus: Path, tmp_path: Path, emission: float, loss: float, code: int, said: str
) -> None:
    # The folder is another, as on another machine.
    rehearsal = written(tmp_path / "rehearsal.json", "/elsewhere/rows.parquet", emission, loss)
    done = gated(corpus, tmp_path, POLICY, rehearsal)
    assert done.exit_code == code, done.output
    decision = json.loads((tmp_path / "out" / "gate.json").read_text())
    assert said in " ".join(decision["reasons"])
    assert bool(decision["reasons"]) == bool(code)


def test_a_rehearsal_of_another_corpus_decides_nothing(corpus: Path, tmp_path: Path) -> None:
    rehearsal = written(tmp_path / "rehearsal.json", "other.parquet", 0.0, 0.0)
    done = gated(corpus, tmp_path, POLICY, rehearsal)
    assert done.exit_code == 2
    assert "a rehearsal of other.parquet, but rows.parquet is gated" in done.stderr
    assert not (tmp_path / "out" / "gate.json").exists()


def test_without_the_rehearsal_the_policy_is_an_error(corpus: Path, tmp_path: Path) -> None:
    done = gated(corpus, tmp_path, POLICY, None)
    assert done.exit_code == 2
    assert "--rehearsal" in done.stderr
