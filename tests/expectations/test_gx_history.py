"""What Data Docs shows of earlier runs, and where it says that the flagged rows are."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import great_expectations as gx
import pandas as pd
import pytest
from gx_helpers import checkpoint_over, pandas_batch, template_share
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from synflaw_audit import expectations as synflaw
from synflaw_audit.commands import gx as gx_cli
from synflaw_audit.expectations import evidence, folders
from synflaw_audit.expectations import history as histories
from synflaw_audit.expectations.history import History, PastScore, history


@pytest.fixture(autouse=True)
def forgetful() -> None:
    histories._history.cache_clear()


def checkpoint(context: Any, actions: list[Any] | None = None) -> Any:
    return checkpoint_over(
        context, pandas_batch(context), [template_share(0.5)], actions=actions or []
    )


def result_of(checkpoint: Any, frame: pd.DataFrame) -> Any:
    run = checkpoint.run(batch_parameters={"dataframe": frame})
    return next(iter(run.run_results.values())).results[0]


def test_the_scores_of_earlier_runs_come_from_the_stored_results(
    project: Any, templated: pd.DataFrame, natural: pd.DataFrame
) -> None:
    made = checkpoint(project)
    results = [result_of(made, frame.head(150)) for frame in (natural, templated, natural)]
    known = [history(result) for result in results]
    wanted = [(result.result["observed_value"], result.success) for result in results]
    for number, (found, result) in enumerate(zip(known, results, strict=True), 1):
        scores = found.scores[result.expectation_config.id]
        assert [(one.score, one.success) for one in scores] == wanted[:number]
        assert [one.time for one in scores] == sorted(one.time for one in scores)
    assert [success for _, success in wanted] == [True, False, True]


def test_other_partitions_of_an_asset_are_other_histories(
    project: Any, templated: pd.DataFrame, tmp_path: Path
) -> None:
    for name in "ab":
        templated.head(120).to_json(tmp_path / f"{name}.jsonl", orient="records", lines=True)
    files = project.data_sources.add_pandas_filesystem("files", base_directory=tmp_path)
    asset = files.add_json_asset("rows", lines=True, orient="records")
    suite = project.suites.add(gx.ExpectationSuite(name="s", expectations=[template_share()]))
    last = {}
    for name in "aab":
        batch = asset.add_batch_definition_path(f"{name}{len(last)}", path=f"{name}.jsonl")
        definition = gx.ValidationDefinition(name=batch.name, data=batch, suite=suite)
        last[name] = project.validation_definitions.add(definition).run().results[0]
    lengths = {
        name: len(history(result).scores[result.expectation_config.id])
        for name, result in last.items()
    }
    assert lengths == {"a": 2, "b": 1}


def test_the_folder_of_the_rows_is_the_one_that_the_action_writes_to(
    project: Any, templated: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = synflaw.WriteFlaggedSubsetAction(name="flagged", directory="uncommitted/the rows")
    result = result_of(checkpoint(project, [action]), templated.head(150))
    folder = history(result).folder
    assert folder is not None
    assert not folder.is_absolute()
    (written,) = folders.latest(Path(project.root_directory) / folder)
    assert written.parent == Path(project.root_directory) / folder
    html = evidence.fragment(result)
    assert html is not None
    told = re.search(r"<code>synflaw gx (latest [^<]*)</code>", html)
    assert told is not None
    monkeypatch.chdir(project.root_directory)
    found = CliRunner().invoke(gx_cli.app, shlex.split(unescape(told[1])))
    assert Path(found.stdout.strip()).resolve() == (written / "flagged.parquet").resolve()


def test_a_checkpoint_without_the_action_is_said_to_write_nothing(
    project: Any, templated: pd.DataFrame
) -> None:
    result = result_of(checkpoint(project), templated.head(150))
    assert (history(result).found, history(result).folder) == (True, None)
    assert "the checkpoint writes these rows nowhere" in str(evidence.fragment(result))


def test_a_store_that_cannot_be_read_costs_the_page_its_trend_alone(
    project: Any, templated: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = result_of(checkpoint(project), templated.head(150))

    def unreachable(*_: object) -> None:
        raise ConnectionError("no bucket")

    monkeypatch.setattr(histories, "_stored", unreachable)
    assert history(result) == History()
    assert "Template" in str(evidence.fragment(result))


def test_results_that_are_too_large_to_wait_for_are_not_read(
    project: Any, templated: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = checkpoint(project)
    for _ in range(2):
        result = result_of(made, templated.head(150))
    size = max(
        len(path.read_text())
        for path in (Path(project.root_directory) / "uncommitted/validations").rglob("*.json")
    )
    monkeypatch.setattr(histories, "BYTES", size + 100)
    assert len(history(result).scores[result.expectation_config.id]) == 1
    histories._history.cache_clear()
    monkeypatch.setattr(histories, "BYTES", 100)
    assert history(result) == History()


scores_of_runs = st.lists(
    st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=histories.RUNS
)


@given(scores_of_runs, st.none() | st.floats(0, 1))
def test_the_trend_lies_within_its_picture_and_is_upside_up(
    runs: list[tuple[float, bool]], limit: float | None
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    scores = [PastScore(start + timedelta(days=n), *run) for n, run in enumerate(runs)]
    drawn = evidence.trend(scores, limit)
    assert drawn is not None
    assert len(drawn.dots) == len(runs)
    assert [dot.x for dot in drawn.dots] == sorted(dot.x for dot in drawn.dots)
    for dot, (score, success) in zip(drawn.dots, runs, strict=True):
        assert 0 <= dot.x <= drawn.width
        assert 0 <= dot.y <= drawn.height
        assert dot.success is success
        if limit is not None and drawn.limit is not None and abs(score - limit) > 0.01:
            assert (dot.y < drawn.limit) == (score > limit)


def test_one_run_has_no_trend() -> None:
    assert evidence.trend([], 0.5) is None
    assert evidence.trend([PastScore(datetime(2026, 1, 1, tzinfo=UTC), 0.5, True)], 0.5) is None
