from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import great_expectations as gx
import pytest
from gx_helpers import checkpoint_over, pandas_batch, template_share
from typer.testing import CliRunner

from synflaw_audit import expectations as synflaw
from synflaw_audit.commands import gx as gx_cli
from synflaw_audit.expectations import project as projects
from synflaw_audit.expectations import store
from synflaw_audit.expectations.doctor import diagnose
from synflaw_audit.expectations.errors import ProjectError

COMMENT = "# where the suites of team blue are"


def with_comment(root: Path) -> Path:
    config = root / projects.CONFIG
    text = config.read_text()
    marked = text.replace("  expectations_store:\n", f"  {COMMENT}\n  expectations_store:\n", 1)
    assert marked != text
    config.write_text(marked)
    return config


def write_plainly(context: Any, name: str) -> Path:
    """A suite of ours as a process without the hook would have stored it."""
    expectations = [{"type": template_type(), "kwargs": {"max_score": 0.2}, "meta": {}}]
    path = Path(context.root_directory, "expectations", f"{name}.json")
    path.write_text(json.dumps({"name": name, "expectations": expectations, "meta": {}}))
    return path


def template_type() -> str:
    kind: str = synflaw.ExpectSynflawAnswerTemplateScoreToBeAtMost.expectation_type
    return kind


def test_init_adds_only_the_hook_and_keeps_comments(unhooked: Any) -> None:
    root = Path(unhooked.root_directory)
    config = with_comment(root)
    before = config.read_text().splitlines()
    assert [change.path for change in projects.init(root)] == [config]
    after = config.read_text().splitlines()
    added = [line for line in after if line not in before]
    assert added == [f"    module_name: {projects.MODULE}"]
    assert [line for line in after if line not in added] == before
    assert f"  {COMMENT}" in after


def test_init_again_changes_nothing(unhooked: Any) -> None:
    root = Path(unhooked.root_directory)
    projects.init(root)
    text = (root / projects.CONFIG).read_text()
    assert projects.init(root.parent) == []
    assert (root / projects.CONFIG).read_text() == text


def test_init_seals_what_was_stored_before(unhooked: Any) -> None:
    path = write_plainly(unhooked, "old")
    changes = projects.init(Path(unhooked.root_directory))
    assert path in [change.path for change in changes]
    assert json.loads(path.read_text())[store.SEAL] == {"expectations": 1}
    context = gx.get_context(mode="file", context_root_dir=unhooked.root_directory)
    assert len(context.suites.get("old").expectations) == 1


def test_the_hook_survives_what_great_expectations_writes(project: Any) -> None:
    config = with_comment(Path(project.root_directory))
    context = gx.get_context(mode="file", context_root_dir=project.root_directory)
    pandas_batch(context)
    assert projects.MODULE in config.read_text()
    assert diagnose(Path(project.root_directory)).hooked


def test_init_refuses_what_it_would_have_to_replace(unhooked: Any) -> None:
    root = Path(unhooked.root_directory)
    config = root / projects.CONFIG
    text = config.read_text().replace("class_name: ExpectationsStore", "class_name: TheirStore", 1)
    config.write_text(text)
    with pytest.raises(ProjectError, match="TheirStore"):
        projects.init(root)
    assert config.read_text() == text


@pytest.mark.parametrize(
    ("content", "message"),
    [("a: [1", "YAML"), ("stores: {}", "expectations_store"), ("7", "not a")],
)
def test_a_broken_configuration_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / projects.CONFIG).write_text(content)
    with pytest.raises(ProjectError, match=message):
        projects.init(tmp_path)


def test_no_project_names_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"gx/great_expectations\.yml"):
        diagnose(tmp_path)


def test_a_store_derived_from_ours_is_a_hook(
    unhooked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "our_hook_of_this_test.py"
    module.write_text(f"from {projects.MODULE} import ExpectationsStore\n")
    monkeypatch.syspath_prepend(tmp_path)
    root = Path(unhooked.root_directory)
    projects.init(root)
    config = root / projects.CONFIG
    config.write_text(config.read_text().replace(projects.MODULE, module.stem))
    assert diagnose(root).hooked
    assert projects.init(root) == []


def test_doctor_finds_a_healthy_project_healthy(project: Any) -> None:
    action = synflaw.WriteFlaggedSubsetAction(name="flagged")
    checkpoint_over(project, pandas_batch(project), [template_share()], actions=[action])
    diagnosis = diagnose(Path(project.root_directory))
    assert diagnosis.healthy
    assert diagnosis.problems == ()
    assert diagnosis.guarded_checkpoints == ("made",)
    assert [(s.name, s.expectations, s.ours, s.sealed) for s in diagnosis.suites] == [
        ("made", 1, 1, 1)
    ]


def test_doctor_finds_every_way_to_pass_by_accident(project: Any) -> None:
    root = Path(project.root_directory)
    two = [template_share(), synflaw.ExpectSynflawAnswerOpeningScoreToBeAtMost(max_score=0.3)]
    project.suites.add(gx.ExpectationSuite(name="lost", expectations=two))
    lost = root / "expectations" / "lost.json"
    suite = json.loads(lost.read_text())
    lost.write_text(json.dumps({**suite, "expectations": suite["expectations"][:1]}))
    renamed = write_plainly(project, "unknown")
    renamed.write_text(renamed.read_text().replace("answer_template", "answer_of_next_year"))
    config = root / projects.CONFIG
    config.write_text(config.read_text().replace(f"module_name: {projects.MODULE}", ""))
    found = {(p.level, p.where, p.what.split(",")[0]) for p in diagnose(root).problems}
    wheres = {(level, where) for level, where, _ in found}
    assert ("error", projects.CONFIG) in wheres
    assert ("error", "suite 'lost'") in wheres
    assert ("error", "suite 'unknown'") in wheres
    assert any("holds 1 of the 2" in what for _, _, what in found)
    assert any("answer_of_next_year" in what for _, _, what in found)
    assert any("carries no seal" in what for _, _, what in found)
    assert ("warning", "checkpoints") in wheres


def test_the_commands_say_what_they_did(unhooked: Any) -> None:
    run = CliRunner().invoke
    root = str(unhooked.root_directory)
    assert run(gx_cli.app, ["doctor", root]).exit_code == 1
    first = run(gx_cli.app, ["init", root])
    assert (first.exit_code, projects.MODULE in first.output) == (0, True)
    assert "nothing to do" in run(gx_cli.app, ["init", root]).output
    healthy = run(gx_cli.app, ["doctor", root])
    assert (healthy.exit_code, "no problem found" in healthy.output) == (0, True)
    as_json = run(gx_cli.app, ["doctor", root, "--json"])
    assert json.loads(as_json.output)["healthy"] is True


def test_the_list_and_the_skill(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert "ExpectSynflawAnswerTemplateScoreToBeAtMost" in run(gx_cli.app, ["list"]).output
    catalogue = json.loads(run(gx_cli.app, ["list", "--json"]).output)
    assert template_type() in catalogue["expectations"]
    assert run(gx_cli.app, ["skill", str(tmp_path)]).exit_code == 0
    for folder in (".agents", ".claude"):
        skill = tmp_path / folder / "skills" / "synflaw-configure-expectations"
        assert (skill / "SKILL.md").read_text().startswith("---\nname: synflaw-configure")
        assert json.loads((skill / "catalogue.json").read_text()) == catalogue


def test_the_doctor_finds_validations_of_which_one_result_is_lost(
    project: Any, templated: Any, tmp_path: Path
) -> None:
    for name in "ab":
        templated.to_json(tmp_path / f"{name}.jsonl", orient="records", lines=True)
    files = project.data_sources.add_pandas_filesystem("files", base_directory=tmp_path)
    asset = files.add_json_asset("rows", lines=True, orient="records")
    suite = project.suites.add(gx.ExpectationSuite(name="s", expectations=[template_share()]))
    definitions = [
        project.validation_definitions.add(
            gx.ValidationDefinition(
                name=name,
                data=asset.add_batch_definition_path(name, path=f"{name}.jsonl"),
                suite=suite,
            )
        )
        for name in "ab"
    ]
    project.checkpoints.add(gx.Checkpoint(name="both", validation_definitions=definitions))
    root = Path(project.root_directory)
    problems = [p for p in diagnose(root).problems if p.level == "error"]
    assert [problem.where for problem in problems] == ["checkpoint 'both'"]
    assert "2 validations of suite 's' are of asset 'rows' of 'files'" in problems[0].what


def test_the_newest_rows_are_named_on_the_command_line(
    project: Any, templated: Any, tmp_path: Path
) -> None:
    action = synflaw.WriteFlaggedSubsetAction(name="flagged", directory=str(tmp_path / "out"))
    batch = pandas_batch(project)
    checkpoint = checkpoint_over(project, batch, [template_share()], actions=[action])
    for _ in range(2):
        checkpoint.run(batch_parameters={"dataframe": templated})
    said = CliRunner().invoke(gx_cli.app, ["latest", str(tmp_path / "out")])
    newest = max((tmp_path / "out").rglob("flagged.parquet"), key=lambda path: path.parent.name)
    assert (said.exit_code, said.stdout.split()) == (0, [str(newest)])
    (newest.parent / "manifest.json").unlink()
    said = CliRunner().invoke(gx_cli.app, ["latest", str(tmp_path / "out")])
    assert "is not there or not whole" in str(said.exception)
    said = CliRunner().invoke(gx_cli.app, ["latest", str(tmp_path / "nowhere")])
    assert "no validation with synflaw expectations" in str(said.exception)
