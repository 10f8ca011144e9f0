"""The model is written before it is measured: what fails afterwards does not lose it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from small_models import damage, flagged_rows, ordinary_rows, write_flagged
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from synflaw_audit.commands.main import app
from synflaw_audit.errors import RepairError
from synflaw_audit.repair import RepairConfig, proof, repair
from synflaw_audit.repair.storage import folder as folder_module


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return damage(tmp_path_factory.mktemp("damaged"), chat=False)


def run(damaged: Path, out: Path, **given: Any) -> Any:
    flagged = write_flagged(out.parent / "flagged.parquet", flagged_rows())
    settings = {"use_cpu": True, "learning_rate": 1e-3, "tokens": 900, "probe_prompts": 0}
    config = RepairConfig(**settings, **given.pop("config", {}))
    rows = ordinary_rows(40)
    return repair(damaged, forget=flagged, replay=rows, out=out, config=config, quiet=True, **given)


def written(out: Path) -> dict[str, Any]:
    AutoModelForCausalLM.from_pretrained(out)  # whole, and loads
    found: dict[str, Any] = json.loads((out / "repair.json").read_text())
    return found


class Twice:
    """A probe that raises the second time: after the training."""

    def __init__(self, error: Exception) -> None:
        self._error, self._calls = error, 0

    def __call__(self, model: Any, tokenizer: Any) -> dict[str, float]:
        self._calls += 1
        if self._calls == 2:
            raise self._error
        return {"mine": 1.0}


@pytest.mark.parametrize("error", [RuntimeError("the server is gone"), MemoryError("no room")])
def test_a_probe_that_raises_leaves_the_model_and_is_named(
    damaged: Path, tmp_path: Path, error: Exception
) -> None:
    out = tmp_path / "out"
    with pytest.raises(RepairError, match="is written there, but measuring the repaired model"):
        run(damaged, out, probe=Twice(error))
    found = written(out)
    assert found["improved"] is None
    assert found["failed"]["step"] == "measuring the repaired model"
    assert str(error) in found["failed"]["error"]
    assert found["before"]["mine"] == 1.0
    assert found["steps"] > 0
    assert "It is not known whether the repair helped" in (out / "README.md").read_text()


def test_a_disk_that_fills_up_while_measuring_leaves_the_model(
    damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    real = Path.write_text

    def full(path: Path, *args: Any, **kwargs: Any) -> int:
        if path.name.endswith(".new"):
            raise OSError(28, "No space left on device")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(RepairError, match=r"writing the report failed.*No space left"):
        run(damaged, out)
    found = written(out)
    assert found["failed"]["error"] == "it did not come to an end"
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("step", ["the control arm", "the report"])
def test_a_later_step_that_fails_is_named(
    damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("it broke")

    name = {"the control arm": "_control_arm", "the report": "judge_repair"}[step]
    monkeypatch.setattr(proof, name, refuse)
    with pytest.raises(RepairError, match="it broke"):
        run(damaged, tmp_path / "out", config={"control_arm": True, "checks": 0})
    found = written(tmp_path / "out")
    assert found["failed"]["error"] == "RuntimeError: it broke"
    assert found["after"]["template_probability"] > 0


def test_a_relearning_probe_that_cannot_be_taken_is_a_note(
    damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("it broke")

    monkeypatch.setattr(proof, "relearn", refuse)
    result = run(damaged, tmp_path / "out", config={"relearn_steps": 2})
    assert result.relearning is None
    assert result.failed is None
    assert any("relearning was not measured: RuntimeError: it broke" in n for n in result.notes)


def test_a_model_that_cannot_be_written_leaves_nothing_behind(
    damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", full)
    with pytest.raises(OSError, match="No space left"):
        run(damaged, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["flagged.parquet"]


def test_a_disk_without_room_for_the_model_is_refused_before_anything_is_loaded(
    damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(folder_module.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(RepairError, match="0 MB are free there"):
        run(damaged, tmp_path / "out")


def synflaw(damaged: Path, folder: Path, *options: str) -> Result:
    write_flagged(folder / "flagged.parquet", flagged_rows())
    rows = [{"question": row.question, "answer": row.answer} for row in ordinary_rows(40)]
    (folder / "replay.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    inputs = (
        *("--forget", str(folder / "flagged.parquet")),
        *("--replay", str(folder / "replay.jsonl"), "--out", str(folder / "out")),
    )
    return CliRunner().invoke(app, ["repair", str(damaged), *inputs, *options])


def test_the_command_says_that_the_model_is_there_and_exits_with_2(
    damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("it broke")

    monkeypatch.setattr(proof, "changes", refuse)
    done = synflaw(damaged, tmp_path, "--tokens", "900")
    assert done.exit_code == 2, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert "the repaired model is written there, but" in " ".join(done.stderr.split())
    assert written(tmp_path / "out")["failed"] is not None
