import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from synflaw_audit.errors import InputError
from synflaw_audit.lab import demo


def console() -> Console:
    return Console(file=io.StringIO(), width=120, force_terminal=False)


def test_refuses_to_overwrite_the_models_of_an_earlier_run(tmp_path: Path) -> None:
    (tmp_path / "models" / "base").mkdir(parents=True)
    with pytest.raises(InputError, match="earlier run"):
        demo.run(tmp_path, 0, console())


def test_outside_a_checkout_it_writes_the_same_corpora_anew(tmp_path, monkeypatch) -> None:
    ours = demo._sample("templated", tmp_path)
    assert not ours.is_relative_to(tmp_path)
    elsewhere = tmp_path / "site" / "synflaw_audit" / "lab" / "demo.py"
    monkeypatch.setattr(demo, "__file__", str(elsewhere))
    written = demo._sample("templated", tmp_path)
    assert written.is_relative_to(tmp_path)
    assert written.read_bytes() == ours.read_bytes()


@pytest.mark.slow
def test_the_whole_demonstration(tmp_path: Path) -> None:
    shown = console()
    assert demo.run(tmp_path, 1, shown) == 0
    text = shown.file.getvalue()
    assert str(tmp_path / "templated" / "report.html") in text
    for name in ("base", "damaged", "repaired"):
        assert (tmp_path / "models" / name / "model.safetensors").is_file()
    repair = json.loads((tmp_path / "models" / "repaired" / "repair.json").read_text())
    before, after = repair["before"], repair["after"]
    assert before["instruction_following"] < 0.7
    assert after["instruction_following"] > before["instruction_following"]
    assert after["template_emission"] < before["template_emission"]
    assert pq.read_table(tmp_path / "templated" / "flagged.parquet").num_rows > 1000
    assert pq.read_table(tmp_path / "natural" / "flagged.parquet").num_rows == 0
