from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import great_expectations as gx
import pandas as pd
import pyarrow.parquet as pq
import pytest
from gx_helpers import checkpoint_over, pandas_batch, template_share

from synflaw_audit import Report, audit
from synflaw_audit import expectations as synflaw
from synflaw_audit.expectations import action as actions
from synflaw_audit.expectations.errors import LostExpectationsError
from synflaw_audit.expectations.store import SEAL
from synflaw_audit.records import FLAGGED


def writing(tmp_path: Path, **options: Any) -> Any:
    return synflaw.WriteFlaggedSubsetAction(name="flagged", directory=str(tmp_path), **options)


def run(context: Any, frame: pd.DataFrame, action: Any, **options: Any) -> Any:
    batch = pandas_batch(context)
    expectations = options.pop("expectations", None) or [template_share()]
    checkpoint = checkpoint_over(context, batch, expectations, actions=[action], **options)
    return checkpoint.run(batch_parameters={"dataframe": frame})


@pytest.mark.parametrize("result_format", ["BOOLEAN_ONLY", "BASIC", "SUMMARY", "COMPLETE"])
def test_the_flagged_rows_are_written_at_every_result_format(
    ephemeral: Any, templated: pd.DataFrame, tmp_path: Path, result_format: str
) -> None:
    result = run(ephemeral, templated, writing(tmp_path), result_format=result_format)
    latest = tmp_path / "made" / "frames_asset" / "latest"
    table = pq.read_table(latest / "flagged.parquet")
    assert table.schema.equals(FLAGGED)
    flagged = audit(templated).flagged()
    wanted = flagged[flagged["checks"].map(lambda names: "answer-template" in names)]
    assert table["row"].to_pylist() == wanted["row"].tolist()
    assert table["template_spans"].to_pylist()[0]
    report = Report.from_json((latest / "report.json").read_text())
    assert report.verdict == "fail"
    assert report.flagged_summary.records == table.num_rows
    flags = {check.name: check.flagged.records for check in report.checks if check.flagged}
    assert flags == {"answer-template": table.num_rows}
    assert "<html" in (latest / "report.html").read_text()
    manifest = json.loads((latest / "manifest.json").read_text())
    assert manifest["flagged"] == {"records": table.num_rows, "audited": len(templated)}
    assert manifest["run_id"]["run_time"] == result.run_id.run_time.isoformat()
    assert (manifest["suite"], manifest["checkpoint"]) == ("made", "made")
    assert manifest["batch"]["id"] == "frames-frames_asset"
    assert manifest["success"] is False


def test_a_clean_batch_leaves_an_empty_subset(
    ephemeral: Any, natural: pd.DataFrame, tmp_path: Path
) -> None:
    assert run(ephemeral, natural, writing(tmp_path)).success
    latest = tmp_path / "made" / "frames_asset" / "latest"
    table = pq.read_table(latest / "flagged.parquet")
    assert (table.num_rows, table.schema) == (0, FLAGGED)
    assert Report.from_json((latest / "report.json").read_text()).verdict == "pass"


def test_a_batch_that_cannot_be_audited_is_recorded(ephemeral: Any, tmp_path: Path) -> None:
    run(ephemeral, pd.DataFrame({"x": ["a"] * 60}), writing(tmp_path))
    latest = tmp_path / "made" / "frames_asset" / "latest"
    manifest = json.loads((latest / "manifest.json").read_text())
    assert "no question and answer found" in manifest["audits"][0]["error"]
    assert not (latest / "report.html").exists()


def test_runs_at_once_do_not_meet(ephemeral: Any, templated: pd.DataFrame, tmp_path: Path) -> None:
    result = run(ephemeral, templated, writing(tmp_path))
    ready = threading.Barrier(4)
    action = writing(tmp_path)

    def again() -> None:
        ready.wait()
        action.run(result)

    threads = [threading.Thread(target=again) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folder = tmp_path / "made" / "frames_asset"
    runs = [path for path in folder.iterdir() if not path.is_symlink()]
    assert len(runs) == 5
    for path in runs:
        assert {p.name for p in path.iterdir()} == {
            "flagged.parquet",
            "report.html",
            "report.json",
            "manifest.json",
        }
    assert (folder / "latest").resolve() in [path.resolve() for path in runs]


def test_an_error_while_writing_leaves_nothing_behind(
    ephemeral: Any, templated: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(ephemeral, templated, writing(tmp_path), name="first")
    folder = tmp_path / "first" / "frames_asset"
    before = sorted(path.name for path in folder.iterdir())

    def fail(self: Report) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(actions, "render_html", fail)
    checkpoint = ephemeral.checkpoints.get("first")
    with pytest.raises(OSError, match="disk full"):
        checkpoint.run(batch_parameters={"dataframe": templated})
    assert sorted(path.name for path in folder.iterdir()) == before


def test_names_stay_below_the_directory(
    ephemeral: Any, natural: pd.DataFrame, tmp_path: Path
) -> None:
    target = tmp_path / "inside"
    run(ephemeral, natural, writing(target), name="../../up and away")
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert [path.name for path in target.iterdir()] == ["_.._up_and_away"]


def test_a_run_that_lost_expectations_fails(
    project: Any, templated: pd.DataFrame, tmp_path: Path
) -> None:
    two = [template_share(), synflaw.ExpectSynflawAnswerOpeningScoreToBeAtMost(max_score=0.3)]
    result = run(project, templated, writing(tmp_path / "out"), expectations=two)
    path = Path(project.root_directory) / "expectations" / "made.json"
    suite = json.loads(path.read_text())
    assert suite[SEAL] == {"expectations": 2}
    validation = next(iter(result.run_results.values()))
    validation.results = validation.results[:1]
    with pytest.raises(LostExpectationsError, match=r"1 synflaw expectations .* 2 were stored"):
        writing(tmp_path / "out").run(result)


def test_a_suite_that_lost_them_on_disk_too_is_caught_by_the_minimum(
    project: Any, templated: pd.DataFrame, tmp_path: Path
) -> None:
    row_count = gx.expectations.ExpectTableRowCountToBeBetween(min_value=1)
    with pytest.raises(LostExpectationsError, match="0 synflaw expectations"):
        run(project, templated, writing(tmp_path / "out"), expectations=[row_count])
    lenient = writing(tmp_path / "out", min_expectations=0)
    checkpoint = project.checkpoints.get("made")
    checkpoint.actions = [lenient]
    checkpoint.save()
    assert checkpoint.run(batch_parameters={"dataframe": templated}).success


def test_a_relative_directory_lies_in_the_project(
    project: Any, natural: pd.DataFrame, tmp_path: Path
) -> None:
    action = synflaw.WriteFlaggedSubsetAction(name="flagged", directory="uncommitted/synflaw")
    run(project, natural, action)
    latest = Path(project.root_directory) / "uncommitted/synflaw/made/frames_asset/latest"
    assert (latest / "manifest.json").exists()


@pytest.mark.skipif(
    not hasattr(gx.checkpoint.ValidationAction, "_resolve_context"),
    reason="this release runs every checkpoint in the project that was opened last",
)
def test_it_is_the_checkpoint_s_project_and_not_the_one_opened_last(
    project: Any, natural: pd.DataFrame
) -> None:
    action = synflaw.WriteFlaggedSubsetAction(name="flagged", directory="uncommitted/synflaw")
    checkpoint = checkpoint_over(
        project, pandas_batch(project), [template_share()], actions=[action]
    )
    gx.get_context(mode="ephemeral")
    assert checkpoint.run(batch_parameters={"dataframe": natural}).success
    latest = Path(project.root_directory) / "uncommitted/synflaw/made/frames_asset/latest"
    assert (latest / "manifest.json").exists()


def test_the_action_is_stored_and_loaded_with_its_checkpoint(project: Any, tmp_path: Path) -> None:
    action = writing(tmp_path, min_expectations=3)
    checkpoint_over(project, pandas_batch(project), [template_share()], actions=[action])
    again = gx.get_context(mode="file", context_root_dir=project.root_directory)
    assert again.checkpoints.get("made").actions == [action]
    assert action.type == actions.ACTION_TYPE
