"""Options, settings files and dataclasses are one thing."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import pytest
import typer
from msgspec import Meta
from reports import report
from typer.testing import CliRunner, Result

from synflaw_audit.commands.main import app, loaded
from synflaw_audit.commands.options import with_settings
from synflaw_audit.findings.report import Report
from synflaw_audit.settings import AuditSettings
from synflaw_audit.settings.base import choices_of, metas_of
from synflaw_audit.settings.repair import RepairSettings


def synflaw(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the audit is told; the real one has its own tests."""
    seen: dict[str, Any] = {}

    def audit(source: object, settings: AuditSettings, **options: Any) -> Report:
        seen.update(dataclasses.asdict(settings))
        return report()

    monkeypatch.setattr("synflaw_audit.run.audit", audit)
    return seen


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text('question = "q"\nanswer = "a"\nseed = 5\nresume = true\n')
    return path


@pytest.mark.parametrize("command", ["audit", "gate"])
def test_every_setting_is_an_option(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    options = set(re.findall(r"--[a-z][a-z-]+", shown))
    settings = {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(AuditSettings)}
    assert settings | {"--config"} <= options


@pytest.mark.parametrize("command", ["audit", "gate"])
def test_a_file_sets_what_no_option_does(
    command: str, told: dict[str, Any], config: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "x.jsonl"
    corpus.write_text('{"q": "a", "b": "c"}\n')
    tables = ("--no-corpus",) if command == "gate" else ()  # the audit is not the real one
    out = ("--out", tmp_path / "o")
    done = synflaw(command, corpus, *out, "--config", config, "--answer", "b", *tables)
    assert not done.stderr, done.stderr
    chosen = {name: told[name] for name in ("question", "answer", "seed", "resume", "embedder")}
    assert chosen == {"question": "q", "answer": "b", "seed": 5, "resume": True, "embedder": "lsa"}


@pytest.mark.parametrize(
    ("option", "setting", "value"),
    [(["--no-resume"], "resume", False), (["--seed", 0], "seed", 0)],
)
def test_an_option_overrides_a_file_even_with_the_default(
    option: list[object], setting: str, value: object, told: dict[str, Any], config: Path
) -> None:
    synflaw("audit", "x.jsonl", "--out", config.parent / "o", "--config", config, *option)
    assert told[setting] == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sed = 1", "unknown key 'sed'. Did you mean 'seed'?"),
        ('seed = "1"', "seed: Expected `int`"),
        ("partitions = 0", "partitions: Expected `int` >= 1"),
        ("seed = ", "not TOML"),
    ],
)
def test_a_bad_file_is_named_with_the_offender(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    done = synflaw("audit", "x.jsonl", "--out", tmp_path / "o", "--config", path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"synflaw: {path}: ")
    assert says in done.stderr
    assert not (tmp_path / "o").exists()


def given(*arguments: str) -> dict[str, Any]:
    """What a command that takes part of its settings from options is told."""
    seen: dict[str, Any] = {}
    small = typer.Typer()

    @small.command()
    @with_settings
    def run(given: Annotated[dict[str, Any], RepairSettings], config: Path | None = None) -> None:
        seen.update(given)

    done = CliRunner().invoke(small, arguments)
    assert done.exit_code == 0, done.output
    return seen


def test_what_no_option_says_is_not_given() -> None:
    assert given() == {}


@pytest.mark.parametrize("field", dataclasses.fields(RepairSettings), ids=lambda each: each.name)
def test_every_setting_of_a_repair_is_an_option_even_with_its_default(
    field: dataclasses.Field[Any],
) -> None:
    (option,) = (each for each in repair_options() if each.name == field.name)
    if option.is_flag:
        assert given(option.opts[0]) == {field.name: True}
        assert given(option.secondary_opts[0]) == {field.name: False}
        return
    hint = get_type_hints(RepairSettings, include_extras=True)[field.name]
    least = next((m.ge for m in metas_of(hint) if isinstance(m, Meta) and m.ge is not None), 1)
    word = (*choices_of(hint), str(least if field.default is None else field.default))[0]
    ((name, value),) = given(option.opts[0], word).items()
    assert name == field.name
    assert str(value[0] if option.multiple else value).removesuffix(".0") == word.removesuffix(".0")


@cache
def repair_options() -> list[Any]:
    """Those of the command itself."""
    return list(loaded("repair").params)
