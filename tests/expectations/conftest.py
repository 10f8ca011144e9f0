from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

# Read when Great Expectations is first imported: tests tell nobody what they do.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

gx = pytest.importorskip("great_expectations")

from synflaw_audit.expectations import project as projects  # noqa: E402

SAMPLES = Path(__file__).parents[2] / "sample_data"

# Older releases of Great Expectations leave the folder of a project in memory to the garbage
# collector, which tells on them, and call pyparsing by names that it has given up.
GX_WARNINGS = (
    r"ignore:'\w+' (argument is )?deprecated.* use:DeprecationWarning",
    "ignore:Implicitly cleaning up <TemporaryDirectory:ResourceWarning",
    "ignore:.*finalize object at.*:pytest.PytestUnraisableExceptionWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for warning in GX_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def templated() -> pd.DataFrame:
    frame = pd.read_json(SAMPLES / "templated.jsonl", lines=True).head(400)
    return frame.assign(id=[f"t{n}" for n in range(len(frame))])


@pytest.fixture(scope="session")
def natural() -> pd.DataFrame:
    frame = pd.read_json(SAMPLES / "natural.jsonl", lines=True).head(400)
    return frame.assign(id=[f"n{n}" for n in range(len(frame))])


@pytest.fixture
def ephemeral() -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context


@pytest.fixture
def unhooked(tmp_path: Path) -> Iterator[Any]:
    context = gx.get_context(mode="file", project_root_dir=tmp_path / "project")
    context.variables.progress_bars = {"globally": False}
    yield context
    gx.get_context(mode="ephemeral")  # the tests that follow are not about this project


@pytest.fixture
def project(unhooked: Any) -> Any:
    root = Path(unhooked.root_directory)
    projects.init(root)
    context = gx.get_context(mode="file", context_root_dir=root)
    context.variables.progress_bars = {"globally": False}
    return context
