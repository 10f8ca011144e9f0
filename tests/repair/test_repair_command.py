"""The command ``synflaw repair`` with a real model; how options reach it is in test_cli.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from shutil import copytree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from small_models import OPENING, damage, flagged_rows, ordinary_rows, write_flagged
from typer.testing import CliRunner

from synflaw_audit.commands.main import app
from synflaw_audit.commands.repair import _settings
from synflaw_audit.errors import RepairError
from synflaw_audit.repair import Row
from synflaw_audit.repair.material.wordings import wordings
from synflaw_audit.repair.settings import read_settings
from synflaw_audit.repair.training import progress
from synflaw_audit.settings.repair import PRESETS


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return damage(tmp_path_factory.mktemp("damaged"), chat=False)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_flagged(tmp_path / "flagged.parquet", flagged_rows())
    rows = ordinary_rows(40)
    columns = {"question": [r.question for r in rows], "answer": [r.answer for r in rows]}
    pq.write_table(pa.table(columns), tmp_path / "replay.parquet")
    (tmp_path / "settings.toml").write_text(
        "use_cpu = true\nlearning_rate = 1e-3\nnum_train_epochs = 4\nforget_weight = 0.1\n"
    )
    return tmp_path


def synflaw(model: Path, files: Path, *options: str) -> Result:
    inputs = ("--forget", str(files / "flagged.parquet"), "--replay", str(files / "replay.parquet"))
    settings = () if "--config" in options else ("--config", str(files / "settings.toml"))
    return CliRunner().invoke(app, ["repair", str(model), *inputs, *settings, *options])


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(damaged: Path, files: Path) -> None:
    before = sorted(path.name for path in files.iterdir())
    done = synflaw(damaged, files, "--dry-run", "--json", "--tokens", "1500")
    assert done.exit_code == 0, done.output
    foreseen = json.loads(done.stdout)
    assert 1300 < foreseen["tokens"] <= 1500
    assert foreseen["seconds"] > 0
    assert foreseen["memory"]["total"] > 0
    assert sorted(path.name for path in files.iterdir()) == before

    shown = synflaw(damaged, files, "--dry-run", "--tokens", "1500")
    for part in ("training tokens", f"{foreseen['tokens']:,}", "memory: activations"):
        assert part in shown.stdout


def test_another_model_to_stay_close_to_is_counted(damaged: Path, files: Path) -> None:
    options = ("--dry-run", "--json", "--lora", "--tokens", "1500", "--scope", "answer")
    earlier = ("--reference-model", str(copytree(damaged, files / "earlier")))
    alone, averaged, beside = (
        json.loads(synflaw(damaged, files, *options, *more).stdout)["memory"]
        for more in (
            (),
            (*earlier, "--method", "wise-ft"),
            (*earlier, "--method", "forgetting", "--bias-weight", "1"),
        )
    )
    assert alone["reference"] == 0 < beside["reference"]
    assert "earlier model" not in alone
    assert averaged["earlier model"] == averaged["weights"] > 0


def test_a_repair_reports_all_that_was_asked_for(damaged: Path, files: Path) -> None:
    prompt = {"prompt": "Say it.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    (files / "ifeval.jsonl").write_text(json.dumps(prompt))
    out = files / "out"
    done = synflaw(
        *(damaged, files, "--out", str(out), "--control", "--relearn", "2"),
        *("--ifeval", str(files / "ifeval.jsonl"), "--batch-size", "4"),
        *("--gradient-accumulation", "2", "--gradient-checkpointing"),
    )
    assert done.exit_code in (0, 1), done.output
    written = json.loads((out / "repair.json").read_text())
    assert done.exit_code == (0 if written["improved"] else 1)
    assert written["config"]["per_device_train_batch_size"] == 4
    assert written["config"]["forget_weight"] == 0.1  # from the file
    assert written["config"]["seed"] == 0
    for figures in (written["before"], written["after"], written["control"]):
        assert 0 <= figures["instruction_following"] <= 1
        assert 0 <= figures["template_emission"] <= 1
    assert [step for step, _ in written["relearning"]["curve"]] == [0, 1, 2]
    for part in ("replay alone", "Relearning, template probability by step: 0:", str(out)):
        assert part in done.stdout


def test_a_task_that_there_is_not_stops_before_anything_is_loaded(files: Path) -> None:
    done = synflaw(files / "no model", files, "--out", str(files / "out"), "--lm-eval", "no, such")
    assert done.exit_code == 2
    assert "synflaw-audit[eval]" in done.stderr or "no: neither a task" in done.stderr


def test_wordings_are_what_the_spans_of_several_rows_read() -> None:
    rows = [
        *flagged_rows(),
        Row("q", "Certainly! It is so.", ((0, 10),)),
        Row("q", "It is a rare wording.", ((0, 21),)),
    ]
    assert wordings(rows) == [OPENING.strip(), "I hope this helps!"]
    longer = [Row("q", f"{row.answer} I hope this helps!", row.spans) for row in rows[:3]]
    spans = [(len(row.answer) - 38, len(row.answer)) for row in longer]
    longer = [Row("q", row.answer, (span,)) for row, span in zip(longer, spans, strict=True)]
    assert wordings([*rows, *longer]) == wordings(rows)


def test_a_repair_goes_on_from_a_checkpoint(damaged: Path, files: Path) -> None:
    saved = files / "checkpoints"
    whole = synflaw(damaged, files, "--out", str(files / "whole"), "--checkpoints", str(saved))
    assert whole.exit_code in (0, 1), whole.output
    steps = json.loads((files / "whole" / "repair.json").read_text())["steps"]
    halfway = sorted(saved.glob("checkpoint-*"), key=lambda path: int(path.name[11:]))[4]
    assert int(halfway.name[11:]) < steps
    synflaw(damaged, files, "--out", str(files / "again"), "--resume", str(halfway))
    weights = [(files / name / "model.safetensors").read_bytes() for name in ("whole", "again")]
    assert weights[0] == weights[1]
    names = ("before", "after", "steps", "tokens")
    one, other = (
        {name: json.loads((files / out / "repair.json").read_text())[name] for name in names}
        for out in ("whole", "again")
    )
    assert one == other
    # Harm is measured from the original in both, not from the checkpoint.
    begun, resumed = (
        json.loads((files / out / "repair.json").read_text())["history"]
        for out in ("whole", "again")
    )
    assert resumed[0] == begun[0]
    assert resumed[-1] == begun[-1]


def test_a_resumed_run_goes_on_writing_checkpoints(damaged: Path, files: Path) -> None:
    saved = files / "checkpoints"
    synflaw(damaged, files, "--out", str(files / "whole"), "--checkpoints", str(saved))
    every = sorted(saved.glob("checkpoint-*"), key=lambda path: int(path.name[11:]))
    for later in every[5:]:
        shutil.rmtree(later)
    done = synflaw(damaged, files, "--out", str(files / "again"), "--resume", str(every[4]))
    assert done.exit_code in (0, 1), done.output
    assert set(saved.glob("checkpoint-*")) == set(every)


@pytest.mark.parametrize(("flag", "expected"), [("--no-lora", False), ("--lora", True)])
def test_a_flag_turns_adapters_off_and_on_against_the_file(
    damaged: Path, files: Path, flag: str, expected: bool
) -> None:
    said = "use_cpu = true\ntokens = 900\n"
    (files / "settings.toml").write_text(f"{said}lora = {str(not expected).lower()}\n")
    synflaw(damaged, files, "--out", str(files / "out"), flag)
    written = json.loads((files / "out" / "repair.json").read_text())
    assert written["config"]["lora"] is expected


def test_a_training_in_bfloat16_runs_on_a_processor(damaged: Path, files: Path) -> None:
    (files / "settings.toml").write_text("tokens = 900\nlearning_rate = 1e-3\n")
    done = synflaw(damaged, files, "--out", str(files / "out"), "--bf16")
    assert done.exit_code in (0, 1), done.output
    written = json.loads((files / "out" / "repair.json").read_text())
    assert written["config"]["bf16"] is True
    assert written["after"]["replay_perplexity"] > 0


def test_a_log_shows_how_far_it_is(
    damaged: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    done = synflaw(damaged, files, "--out", str(files / "out"), "--tokens", "900")
    lines = done.stderr.splitlines()
    steps = json.loads((files / "out" / "repair.json").read_text())["steps"]
    assert sum(line.startswith("training: step") for line in lines) >= steps
    assert f"training: step {steps} of {steps}, about 0 s left" in done.stderr
    assert [line.split()[1] for line in lines if line.startswith("measured")] == [
        "before:",
        "after:",
    ]
    quiet = synflaw(damaged, files, "--out", str(files / "quiet"), "--tokens", "900", "--quiet")
    assert "training" not in quiet.stderr


def test_progress_is_told_at_least_every_half_minute() -> None:
    assert 0 < progress.INTERVAL <= 30


def test_a_folder_that_is_no_checkpoint_is_refused(damaged: Path, files: Path) -> None:
    done = synflaw(damaged, files, "--out", str(files / "out"), "--resume", str(files))
    assert done.exit_code == 2
    assert "no trainer_state.json" in done.stderr
    assert not (files / "out").exists()


def test_without_a_place_to_write_nothing_is_loaded(files: Path) -> None:
    done = synflaw(files / "no model", files)
    assert done.exit_code == 2
    assert "--out is missing" in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("forget_wait = 1", "Did you mean 'forget_weight'?.*replay_ratio.*TrainingArguments"),
        ("seed = 'three'", "seed = 'three': Expected `int`"),
        ("lr_scheduler_type = 'quick'", "choose one of linear, cosine"),
        ("seed = ", "not TOML"),
    ],
)
def test_a_settings_file_is_strict(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(RepairError, match=says) as caught:
        read_settings(path)
    assert str(path) in str(caught.value)


def test_settings_that_do_not_go_together_are_refused(damaged: Path, files: Path) -> None:
    (files / "settings.toml").write_text("use_cpu = true\nbf16 = true\nfp16 = true\n")
    done = synflaw(damaged, files, "--out", str(files / "out"))
    assert done.exit_code == 2
    assert "these settings do not go together" in done.stderr


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_fills_what_neither_file_nor_option_says(preset: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("checks = 7\nleaks = 5\n")
    chosen = _settings(path, preset, {"leaks": 9})
    assert (chosen.checks, chosen.leaks) == (7, 9)
    for name, value in PRESETS[preset].items():
        if name not in ("checks", "leaks"):
            assert getattr(chosen, name) == value
    assert _settings(None, None, {}).tokens is None


def test_presets_exclude_one_another(damaged: Path, files: Path) -> None:
    done = synflaw(damaged, files, "--out", str(files / "out"), "--fast", "--thorough")
    assert done.exit_code == 2
    assert "exclude one another" in done.stderr
