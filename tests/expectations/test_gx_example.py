"""The example project, end to end, and its flagged rows where the repair takes them up."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from pathlib import Path
from types import ModuleType

import pytest

from synflaw_audit.expectations import folders
from synflaw_audit.expectations.doctor import diagnose

EXAMPLE = Path(__file__).parents[2] / "examples" / "gx"


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("example") / "project"
    module("set_up").main(project)
    return project


@pytest.fixture(scope="module")
def checked(made: Path) -> tuple[int, str]:
    """The exit code of the checkpoints, and what was printed."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        code = module("check").main(made)
    return code, shown.getvalue()


def test_the_templated_corpus_fails_and_the_natural_one_passes(
    made: Path, checked: tuple[int, str]
) -> None:
    code, shown = checked
    assert code == 1
    assert "templated: FAILED" in shown
    assert "natural: passed" in shown
    assert "SF101 answer-template" in shown
    assert (made / "gx/uncommitted/data_docs/local_site/index.html").exists()


def test_the_project_is_healthy(made: Path) -> None:
    diagnosis = diagnose(made)
    assert diagnosis.problems == ()
    assert diagnosis.guarded_checkpoints == ("natural", "templated")


@pytest.mark.usefixtures("checked")
def test_the_repair_takes_the_flagged_rows_as_they_are(made: Path) -> None:
    pytest.importorskip("torch")
    from synflaw_audit.repair.material.flagged import read_flagged

    (latest,) = folders.latest(made / "gx/uncommitted/synflaw/templated")
    flagged = read_flagged(latest / "flagged.parquet", scope="template")
    assert len(flagged.rows) > 1000
