from __future__ import annotations

import copy
import gc
import json
import pickle
import shutil
import threading
import weakref
from pathlib import Path
from typing import Any, Literal

import great_expectations as gx
import pandas as pd
import pyarrow.parquet as pq
import pytest
import sqlalchemy
from great_expectations.compatibility import pydantic
from great_expectations.expectations.row_conditions import Column
from gx_helpers import checkpoint_over, pandas_batch, template_share

from synflaw_audit import Report, audit
from synflaw_audit import expectations as synflaw
from synflaw_audit.expectations import action as actions
from synflaw_audit.expectations import folders
from synflaw_audit.expectations.errors import (
    ActionError,
    LostExpectationsError,
    LostResultError,
    LostRowsError,
)
from synflaw_audit.expectations.runs import META
from synflaw_audit.expectations.store import SEAL
from synflaw_audit.records import FLAGGED


def writing(tmp_path: Path, **options: Any) -> Any:
    return synflaw.WriteFlaggedSubsetAction(name="flagged", directory=str(tmp_path), **options)


def run(context: Any, frame: pd.DataFrame, action: Any, **options: Any) -> Any:
    batch = pandas_batch(context)
    expectations = options.pop("expectations", None) or [template_share()]
    checkpoint = checkpoint_over(context, batch, expectations, actions=[action], **options)
    return checkpoint.run(batch_parameters={"dataframe": frame})


def latest(directory: Path) -> Path:
    """The only place's newest folder."""
    (folder,) = folders.latest(directory)
    return folder


@pytest.mark.parametrize("result_format", ["BOOLEAN_ONLY", "BASIC", "SUMMARY", "COMPLETE"])
def test_the_flagged_rows_are_written_at_every_result_format(
    ephemeral: Any, templated: pd.DataFrame, tmp_path: Path, result_format: str
) -> None:
    result = run(ephemeral, templated, writing(tmp_path), result_format=result_format)
    folder = latest(tmp_path)
    table = pq.read_table(folder / "flagged.parquet")
    assert table.schema.equals(FLAGGED)
    flagged = audit(templated).flagged()
    wanted = flagged[flagged["checks"].map(lambda names: "answer-template" in names)]
    assert table["row"].to_pylist() == wanted["row"].tolist()
    assert table["template_spans"].to_pylist()[0]
    report = Report.from_json((folder / "report.json").read_text())
    assert report.verdict == "fail"
    assert report.flagged_summary.records == table.num_rows
    flags = {check.name: check.flagged.records for check in report.checks if check.flagged}
    assert flags == {"answer-template": table.num_rows}
    assert "<html" in (folder / "report.html").read_text()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["flagged"] == {"records": table.num_rows, "audited": len(templated)}
    assert manifest["run_id"]["run_time"] == result.run_id.run_time.isoformat()
    assert (manifest["suite"], manifest["checkpoint"]) == ("made", "made")
    assert manifest["batch"]["id"] == "frames-frames_asset"
    assert manifest["success"] is False


def test_a_clean_batch_leaves_an_empty_subset(
    ephemeral: Any, natural: pd.DataFrame, tmp_path: Path
) -> None:
    assert run(ephemeral, natural, writing(tmp_path)).success
    folder = latest(tmp_path)
    table = pq.read_table(folder / "flagged.parquet")
    assert (table.num_rows, table.schema) == (0, FLAGGED)
    assert Report.from_json((folder / "report.json").read_text()).verdict == "pass"


def test_a_batch_that_cannot_be_audited_is_recorded(ephemeral: Any, tmp_path: Path) -> None:
    run(ephemeral, pd.DataFrame({"x": ["a"] * 60}), writing(tmp_path))
    folder = latest(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "no question and answer found" in manifest["audits"][0]["error"]
    assert not (folder / "report.html").exists()


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
    place = tmp_path / "made" / "frames" / "frames_asset" / "whole"
    runs = [path for path in place.iterdir() if path.is_dir()]
    assert len(runs) == 5
    for path in runs:
        assert {p.name for p in path.iterdir()} == {
            "flagged.parquet",
            "report.html",
            "report.json",
            "manifest.json",
        }
    assert latest(tmp_path) in runs


def test_an_error_while_writing_leaves_nothing_behind(
    ephemeral: Any, templated: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(ephemeral, templated, writing(tmp_path), name="first")
    folder = tmp_path / "first" / "frames" / "frames_asset" / "whole"
    before = sorted(path.name for path in folder.iterdir())

    def fail(self: Report) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(folders, "render_html", fail)
    checkpoint = ephemeral.checkpoints.get("first")
    with pytest.raises(ActionError, match="disk full"):
        checkpoint.run(batch_parameters={"dataframe": templated})
    assert sorted(path.name for path in folder.iterdir()) == before


def test_names_stay_below_the_directory(
    ephemeral: Any, natural: pd.DataFrame, tmp_path: Path
) -> None:
    target = tmp_path / "inside"
    run(ephemeral, natural, writing(target), name="../../up and away")
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert [path.name for path in target.iterdir()] == [folders.component("../../up and away")]


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
    with pytest.raises(LostExpectationsError, match="0 synflaw expectations were evaluated in the"):
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
    folder = latest(Path(project.root_directory) / "uncommitted/synflaw")
    assert (folder / "manifest.json").exists()


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
    folder = latest(Path(project.root_directory) / "uncommitted/synflaw")
    assert (folder / "manifest.json").exists()


def test_the_action_is_stored_and_loaded_with_its_checkpoint(project: Any, tmp_path: Path) -> None:
    action = writing(tmp_path, min_expectations=3)
    checkpoint_over(project, pandas_batch(project), [template_share()], actions=[action])
    again = gx.get_context(mode="file", context_root_dir=project.root_directory)
    assert again.checkpoints.get("made").actions == [action]
    assert action.type == actions.ACTION_TYPE


def validations(context: Any, frames: dict[str, pd.DataFrame], suite: Any) -> list[Any]:
    """A validation definition for each table of a database, of one suite."""
    url = f"sqlite:///{frames.pop('database')}"
    engine = sqlalchemy.create_engine(url)
    for name, frame in frames.items():
        frame.to_sql(name, engine, index=False)
    engine.dispose()
    source = context.data_sources.add_sqlite("sql", connection_string=url)
    return [
        context.validation_definitions.add(
            gx.ValidationDefinition(
                name=name,
                data=source.add_table_asset(name, table_name=name).add_batch_definition_whole_table(
                    "whole"
                ),
                suite=suite,
            )
        )
        for name in frames
    ]


@pytest.mark.parametrize("number", [5, pytest.param(36, marks=pytest.mark.slow)])
def test_no_flagged_row_vanishes_however_many_validations_a_checkpoint_has(
    ephemeral: Any, templated: pd.DataFrame, tmp_path: Path, number: int
) -> None:
    frames: dict[str, Any] = {f"t{n}": templated.head(60) for n in range(number)}
    suite = ephemeral.suites.add(gx.ExpectationSuite(name="s", expectations=[template_share()]))
    definitions = validations(ephemeral, {**frames, "database": tmp_path / "d.db"}, suite)
    checkpoint = ephemeral.checkpoints.add(
        gx.Checkpoint(
            name="c", validation_definitions=definitions, actions=[writing(tmp_path / "out")]
        )
    )
    results = checkpoint.run().run_results.values()
    said = {r.asset_name: r.results[0].result["unexpected_count"] for r in results}
    found = {}
    for folder in folders.latest(tmp_path / "out"):
        found[folder.parts[-3]] = pq.read_table(folder / "flagged.parquet").num_rows
    assert found == said
    assert len(said) == number
    assert min(said.values()) > 0


def test_an_audit_lives_as_long_as_the_results_that_name_it(
    ephemeral: Any, templated: pd.DataFrame, tmp_path: Path
) -> None:
    result = run(ephemeral, templated, writing(tmp_path))
    identity = next(iter(result.run_results.values())).results[0].meta[META]
    path, outcome = identity.outcome.subset.path, weakref.ref(identity.outcome)
    assert copy.deepcopy(identity) is identity
    assert type(pickle.loads(pickle.dumps(identity))) is str  # noqa: S301 - made just now
    assert path.exists()
    del result, identity
    gc.collect()
    assert outcome() is None
    assert not path.exists()


def test_an_action_that_finds_less_than_the_results_say_fails(
    ephemeral: Any, templated: pd.DataFrame, tmp_path: Path
) -> None:
    result = run(ephemeral, templated, writing(tmp_path / "out"))
    validation = next(iter(result.run_results.values()))
    stored = str(validation.results[0].meta[META])
    validation.results[0].meta[META] = stored  # as it is read back from a store
    with pytest.raises(LostRowsError, match="1 results name an audit, or flagged rows"):
        writing(tmp_path / "out").run(result)


def test_a_project_can_be_copied_as_plain_files(
    ephemeral: Any, templated: pd.DataFrame, tmp_path: Path
) -> None:
    run(ephemeral, templated, writing(tmp_path / "out"))
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_symlink()]
    shutil.copytree(tmp_path / "out", tmp_path / "copy")
    checkpoint = ephemeral.checkpoints.get("made")
    checkpoint.actions = [writing(tmp_path / "copy")]
    checkpoint.save()
    before = latest(tmp_path / "copy")
    checkpoint.run(batch_parameters={"dataframe": templated})
    assert latest(tmp_path / "copy") != before


def test_the_latest_rows_are_of_their_own_source_asset_and_partition(
    ephemeral: Any, templated: pd.DataFrame, natural: pd.DataFrame, tmp_path: Path
) -> None:
    suite = ephemeral.suites.add(gx.ExpectationSuite(name="s", expectations=[template_share()]))
    for source, frame in (("one", templated), ("two", natural)):
        folder = tmp_path / source
        folder.mkdir()
        frame.to_json(folder / "a.jsonl", orient="records", lines=True)
        frame.head(200).to_json(folder / "b.jsonl", orient="records", lines=True)
        files = ephemeral.data_sources.add_pandas_filesystem(source, base_directory=folder)
        asset = files.add_json_asset("rows", lines=True, orient="records")
        for name in "ab":
            batch = asset.add_batch_definition_path(name, path=f"{name}.jsonl")
            definition = ephemeral.validation_definitions.add(
                gx.ValidationDefinition(name=source + name, data=batch, suite=suite)
            )
            checkpoint = ephemeral.checkpoints.add(
                gx.Checkpoint(
                    name=source + name,
                    validation_definitions=[definition],
                    actions=[writing(tmp_path / "out")],
                )
            )
            checkpoint.run()
    newest = list(folders.latest(tmp_path / "out"))
    audited = {
        path.parts[-4:-1]: json.loads((path / "manifest.json").read_text())["flagged"]["audited"]
        for path in newest
    }
    assert audited == {
        ("one", "rows", "a.jsonl"): 400,
        ("one", "rows", "b.jsonl"): 200,
        ("two", "rows", "a.jsonl"): 400,
        ("two", "rows", "b.jsonl"): 200,
    }


def test_names_that_differ_stay_apart() -> None:
    names = ["a b", "a_b", "a/b", "..", "", "a.b", "ä"]
    assert len({folders.component(name) for name in names}) == len(names)
    assert not [name for name in map(folders.component, names) if name in ("", ".", "..")]


class Pager(gx.checkpoint.ValidationAction):  # type: ignore[misc]
    """Notes what it is told, as one that calls somebody would."""

    type: Literal["test_pager"] = "test_pager"  # type: ignore[assignment]
    called: list[Any] = pydantic.Field(default_factory=list)

    def run(self, checkpoint_result: Any, action_context: Any = None) -> dict[str, Any]:
        worst = [r.get_max_severity_failure() for r in checkpoint_result.run_results.values()]
        self.called.append((checkpoint_result.success, [str(s.value) for s in worst if s]))
        return {}


def test_what_our_action_raises_keeps_no_other_from_running(
    ephemeral: Any, natural: pd.DataFrame, tmp_path: Path
) -> None:
    before, after, last = Pager(name="before"), Pager(name="after"), Pager(name="last")
    ours = [writing(tmp_path, min_expectations=3), writing(tmp_path, min_expectations=4)]
    checkpoint = checkpoint_over(
        ephemeral,
        pandas_batch(ephemeral),
        [template_share()],
        actions=[before, ours[0], after, ours[1], last],
    )
    with pytest.raises(LostExpectationsError, match="min_expectations is 3") as raised:
        checkpoint.run(batch_parameters={"dataframe": natural})
    assert "min_expectations is 4" in str(raised.value)
    called = [action.called for action in checkpoint.actions if isinstance(action, Pager)]
    assert called[0] == [(True, [])]
    assert called[1] == [(False, ["critical"])]
    assert called[2] == [(False, ["critical"])]


def test_a_suite_without_ours_may_stand_in_the_same_checkpoint(
    project: Any, templated: pd.DataFrame, tmp_path: Path
) -> None:
    plain = project.suites.add(
        gx.ExpectationSuite(
            name="plain", expectations=[gx.expectations.ExpectTableRowCountToBeBetween(min_value=1)]
        )
    )
    ours = project.suites.add(gx.ExpectationSuite(name="ours", expectations=[template_share()]))
    batch = pandas_batch(project)
    checkpoint = project.checkpoints.add(
        gx.Checkpoint(
            name="both",
            validation_definitions=[
                project.validation_definitions.add(
                    gx.ValidationDefinition(name=suite.name, data=batch, suite=suite)
                )
                for suite in (plain, ours)
            ],
            actions=[writing(tmp_path / "out")],
        )
    )
    result = checkpoint.run(batch_parameters={"dataframe": templated})
    assert sorted(r.success for r in result.run_results.values()) == [False, True]
    assert latest(tmp_path / "out").parts[-5] == "ours"
    checkpoint.actions = [writing(tmp_path / "out", min_expectations={"ours": 2, "gone": 1})]
    checkpoint.save()
    with pytest.raises(LostExpectationsError, match="2 were stored or asked for") as raised:
        checkpoint.run(batch_parameters={"dataframe": templated})
    assert "names suite 'gone', which the checkpoint did not run" in str(raised.value)


def test_two_validations_of_one_asset_are_refused_where_one_result_is_lost(
    ephemeral: Any, templated: pd.DataFrame, natural: pd.DataFrame, tmp_path: Path
) -> None:
    for name, frame in (("a", templated), ("b", natural)):
        frame.to_json(tmp_path / f"{name}.jsonl", orient="records", lines=True)
    files = ephemeral.data_sources.add_pandas_filesystem("files", base_directory=tmp_path)
    asset = files.add_json_asset("rows", lines=True, orient="records")
    suite = ephemeral.suites.add(gx.ExpectationSuite(name="s", expectations=[template_share()]))
    definitions = [
        ephemeral.validation_definitions.add(
            gx.ValidationDefinition(
                name=name,
                data=asset.add_batch_definition_path(name, path=f"{name}.jsonl"),
                suite=suite,
            )
        )
        for name in "ab"
    ]
    checkpoint = ephemeral.checkpoints.add(
        gx.Checkpoint(
            name="c", validation_definitions=definitions, actions=[writing(tmp_path / "out")]
        )
    )
    with pytest.raises(LostResultError, match="2 validations of suite 's' are of the asset 'rows'"):
        checkpoint.run()


def test_rows_of_different_conditions_are_files_of_their_own_with_the_index_columns(
    ephemeral: Any, templated: pd.DataFrame, tmp_path: Path
) -> None:
    frame = templated.assign(half=[n % 2 for n in range(len(templated))], row=range(len(templated)))
    both = [
        template_share(row_condition=Column("half") == 1),
        template_share(),
        template_share(row_condition=Column("half") == 0),
    ]
    names = {"result_format": "COMPLETE", "unexpected_index_column_names": ["id", "half", "row"]}
    run(ephemeral, frame, writing(tmp_path), expectations=both, result_format=names)
    folder = latest(tmp_path)
    audits = json.loads((folder / "manifest.json").read_text())["audits"]
    assert [one["row_condition"] for one in audits] == [None, "half is 1", "half is 0"]
    for one in audits:
        table = pq.read_table(folder / one["flagged"]["file"]).to_pandas()
        assert list(table.columns) == [*FLAGGED.names, "id", "half", "index_row"]
        assert len(table) == one["flagged"]["records"] > 0
        whole = one["row_condition"] is None
        chosen = frame if whole else frame[frame["half"] == table["half"][0]]
        assert table["id"].tolist() == chosen["id"].iloc[table["row"]].tolist()
        assert table["index_row"].tolist() == chosen["row"].iloc[table["row"]].tolist()
