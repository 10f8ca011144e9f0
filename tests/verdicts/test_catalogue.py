from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from synflaw_audit.errors import CatalogueError
from synflaw_audit.measures import MEASURES
from synflaw_audit.verdicts import catalogue
from synflaw_audit.verdicts.catalogue import (
    Check,
    bundled_directory,
    defaults,
    find_check,
    load_check,
    load_checks,
    load_directory,
    selected,
)
from synflaw_audit.verdicts.policy import Override, Policy


@dataclass(frozen=True)
class OpeningShare:
    field: Literal["question", "answer"] = "answer"
    words: int = 3
    discount: float = 0.0

    def __post_init__(self) -> None:
        if self.words < 1:
            raise ValueError(f"words is {self.words}, it must be at least 1")


@pytest.fixture(autouse=True)
def _a_measure_of_the_tests_own(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {**MEASURES.own, "opening_share": f"{__name__}:OpeningShare"}
    monkeypatch.setattr(catalogue, "MEASURES", replace(MEASURES, own=own))


VALID = """
code = "SF102"
name = "answer-opening"
title = "Too many answers open with the same words"
measure = "opening_share"
params = { field = "answer", words = 3 }
warn_above = 0.20
fail_above = 0.40
min_records = 50
status = "stable"
since = "0.1.0"
why = "It teaches the opening."

[[advice]]
action = "rewrite"
text = "Vary it."

[[advice]]
action = "cap"
text = "Keep some."

[[evidence]]
claim = "72% of the answers share an opening"
source = "this project"
reproduced = true
where = "benchmarks/openings.md"

[[example]]
expect = "fail"
min_records = 2
rows = [
    { question = "Why?", answer = "As an assistant, I say one." },
    { question = "How?", answer = "As an assistant, I say two." },
]

[[example]]
expect = "pass"
note = "nothing in common"
min_records = 2
rows = [{ question = "Why?", answer = "Rain." }, { question = "How?", answer = "By boat." }]
"""


def write(directory: Path, text: str, name: str = "answer-opening") -> Path:
    directory.mkdir(exist_ok=True)
    file = directory / f"{name}.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(file: Path) -> str:
    with pytest.raises(CatalogueError) as caught:
        load_check(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    return message.removeprefix(f"{file}: ")


def test_a_valid_check_is_read_whole(tmp_path: Path) -> None:
    check = load_check(write(tmp_path, VALID))
    assert (check.code, check.warn_above, check.fail_above) == ("SF102", 0.2, 0.4)
    assert check.params == {"field": "answer", "words": 3}
    assert [advice.action for advice in check.advice] == ["rewrite", "cap"]
    assert check.evidence[0].where == "benchmarks/openings.md"
    assert [example.expect for example in check.examples] == ["fail", "pass"]
    assert check.examples[0].rows[1].answer == "As an assistant, I say two."
    assert isinstance(hash(check), int)


@pytest.mark.parametrize("key", sorted(tomllib.loads(VALID)))
def test_every_key_but_the_optional_ones_is_needed(tmp_path: Path, key: str) -> None:
    data = tomllib.loads(VALID)
    lines, skipping = [], False
    for line in VALID.splitlines():
        if line.startswith(f"[[{key}]]") or line.startswith(f"{key} ="):
            # The keys of a table also start a line, yet never before the first table.
            skipping = line.startswith("[[")
            if skipping or not any(seen.startswith("[[") for seen in lines):
                continue
        elif line.startswith("[["):
            skipping = False
        if not skipping:
            lines.append(line)
    file = write(tmp_path, "\n".join(lines))
    if key == "params":
        assert load_check(file).params == {}
    else:
        assert key in data
        assert {"evidence": "status"}.get(key, key) in refusal(file)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("warn_above = 0.20", "warn_abov = 0.20", ["'warn_abov'", "Did you mean 'warn_above'?"]),
        ("reproduced = true", "reproducd = true", ["in evidence 1", "'reproduced'"]),
        ("note =", "notes =", ["in example 2", "Did you mean 'note'?"]),
        ('answer = "Rain."', 'anwser = "Rain."', ["in example 2 rows 1", "'answer'"]),
        ("warn_above = 0.20", 'warn_above = "0.2"', ["warn_above: Expected `float`"]),
        ("min_records = 50", "min_records = true", ["min_records: Expected `int`"]),
        ("min_records = 50", "min_records = 0", ["min_records: ", ">= 1"]),
        ("min_records = 50", "min_records = 2.5", ["min_records: ", "`int`"]),
        ("fail_above = 0.40", "fail_above = 1.01", ["fail_above: ", "<= 1"]),
        ("warn_above = 0.20", "warn_above = -0.1", ["warn_above: ", ">= 0"]),
        ("warn_above = 0.20", "warn_above = nan", ["warn_above: "]),
        ("warn_above = 0.20", "warn_above = 0.41", ["warn_above: 0.41", "fail_above, 0.4"]),
        ('"SF102"', '"SF12"', ["code: 'SF12'"]),
        ('"answer-opening"', '"opening"', ["'opening'", "stem 'answer-opening'"]),
        ('since = "0.1.0"', 'since = "soon"', ["since: 'soon'"]),
        ('status = "stable"', 'status = "good"', ["status: ", "'experimental', 'stable'"]),
        ('why = "It teaches the opening."', 'why = "  "', ["why: "]),
        ('"rewrite"', '"rewrit"', ["advice 1 action: ", "'rewrite'", "'diversify'"]),
        ('action = "cap"', 'action = "rewrite"', ["advice 2: 'rewrite' is advised already"]),
        ('text = "Keep some."', 'text = " "', ["advice 2 text: "]),
        ('text = "Keep some."', "", ["advice 2: ", "'text' is missing"]),
        ("reproduced = true", "reproduced = false", ["status: 'stable' needs evidence"]),
        ('where = "benchmarks/openings.md"', "", ["evidence 1: ", "'where'"]),
        ('expect = "fail"', 'expect = "pass"', ["none has expect = 'fail'"]),
        ('expect = "pass"', 'expect = "fail"', ["none has expect = 'pass'"]),
        ('expect = "pass"', 'expect = "maybe"', ["example 2 expect: ", "'undecided'"]),
        ("min_records = 2\n", "", ["example 1: ", "2 rows where 50"]),
        ("rows = [{", "rows = []\n#", ["example 2: ", "no rows"]),
        ('"opening_share"', '"opening_shares"', ["measure: ", "Did you mean 'opening_share'?"]),
        ("words = 3 }", "word = 3 }", ["params: ", "Did you mean 'words'?"]),
        ("words = 3 }", 'words = "3" }', ["params words: Expected `int`"]),
        ("words = 3 }", "words = 0 }", ["params: words is 0"]),
        ('field = "answer"', 'field = "title"', ["params field: ", "'question', 'answer'"]),
        ("status =", "status", ["not TOML"]),
    ],
)
def test_what_is_not_valid_is_refused_with_its_key(
    tmp_path: Path, old: str, new: str, says: list[str]
) -> None:
    assert old in VALID
    message = refusal(write(tmp_path, VALID.replace(old, new, 1)))
    for part in says:
        assert part in message


def test_thresholds_may_be_whole_numbers_and_equal(tmp_path: Path) -> None:
    text = VALID.replace("0.20", "1").replace("0.40", "1")
    check = load_check(write(tmp_path, text))
    assert (check.warn_above, check.fail_above) == (1.0, 1.0)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "answer-opening.toml"
    file.write_bytes(VALID.encode().replace(b"Vary", b"Var\xff"))
    assert "not UTF-8" in refusal(file)
    assert "cannot be read" in refusal(tmp_path / "missing.toml")


def test_a_code_is_used_once(tmp_path: Path) -> None:
    write(tmp_path, VALID)
    write(tmp_path, VALID.replace('"answer-opening"', '"zz"'), "zz")
    with pytest.raises(CatalogueError, match=r"zz\.toml: code: SF102 is already used by answer-op"):
        load_directory(tmp_path)


def test_an_empty_or_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="holds no check"):
        load_directory(tmp_path)
    with pytest.raises(CatalogueError, match="not a directory"):
        load_directory(tmp_path / "none")


class TestPacks:
    @staticmethod
    def load(tmp_path: Path, own: str, name: str) -> tuple[Check, ...]:
        write(tmp_path / "shipped", VALID)
        write(tmp_path / "own", own, name)
        return load_checks(tmp_path / "own", bundled=tmp_path / "shipped")

    def test_adds_and_sorts_by_code(self, tmp_path: Path) -> None:
        own = VALID.replace("SF102", "SF001").replace('"answer-opening"', '"mine"')
        loaded = self.load(tmp_path, own, "mine")
        assert [check.code for check in loaded] == ["SF001", "SF102"]

    def test_same_code_and_name_replaces(self, tmp_path: Path) -> None:
        loaded = self.load(tmp_path, VALID.replace("0.40", "0.90"), "answer-opening")
        assert [check.fail_above for check in loaded] == [0.9]

    @pytest.mark.parametrize(
        ("old", "new", "name"),
        [("SF102", "SF900", "answer-opening"), ('"answer-opening"', '"mine"', "mine")],
    )
    def test_sharing_only_one_of_them_collides(
        self, tmp_path: Path, old: str, new: str, name: str
    ) -> None:
        with pytest.raises(CatalogueError, match=r"collides with the shipped SF102"):
            self.load(tmp_path, VALID.replace(old, new), name)


def test_the_readme_names_every_shipped_check() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for check in load_checks():
        assert f"`{check.code}` {check.name}" in readme


def test_a_check_is_found_by_code_or_name(tmp_path: Path) -> None:
    checks = (load_check(write(tmp_path, VALID)),)
    assert find_check(checks, "sf102") is find_check(checks, "Answer-Opening")
    with pytest.raises(CatalogueError, match=r"'SF10'.*Did you mean 'SF102'.*answer-opening"):
        find_check(checks, "SF10")


class TestBundled:
    @staticmethod
    def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        package = tmp_path / "synflaw_audit"
        package.mkdir()
        monkeypatch.setattr(catalogue, "__file__", str(package / "verdicts" / "catalogue.py"))
        return package

    def test_a_folder_called_checks_is_ours_only_beside_the_project_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.package(tmp_path, monkeypatch)
        (tmp_path / "checks").mkdir()
        with pytest.raises(CatalogueError, match="reinstall"):
            bundled_directory()
        (tmp_path / "pyproject.toml").touch()
        assert bundled_directory() == tmp_path / "checks"

    def test_the_installed_checks_come_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = self.package(tmp_path, monkeypatch)
        (package / "_checks").mkdir()
        (tmp_path / "checks").mkdir()
        (tmp_path / "pyproject.toml").touch()
        assert bundled_directory() == package / "_checks"


class TestDefaults:
    OFF = ("answer-layout", "perplexity-narrowness")

    def test_checks_that_measurement_speaks_against_run_only_when_asked_for(self) -> None:
        every = load_checks()
        run = {check.name for check in defaults(every)}
        assert {check.name for check in every} - run == set(self.OFF)

    def test_who_selects_such_a_check_gets_it(self) -> None:
        (chosen,) = selected(load_checks(), "SF204")
        assert chosen.name == "perplexity-narrowness"
        assert Policy().applied([chosen]) == (chosen,)

    def test_a_policy_asks_for_one(self) -> None:
        asked = Policy(checks={"answer-layout": Override(enabled=True)}).applied(load_checks())
        assert {check.name for check in asked} >= {"answer-layout", "answer-template"}
        assert "perplexity-narrowness" not in {check.name for check in asked}


def test_an_unknown_kind_of_false_positive_is_named(tmp_path: Path) -> None:
    text = VALID.replace(
        'since = "0.1.0"', 'since = "0.1.0"\nknown_false_positives = { jsn = "fail" }'
    )
    file = write(tmp_path, text)
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "json.toml").write_text("", encoding="utf-8")
    assert "unknown kind 'jsn'" in refusal(file)
    assert "json" in refusal(file)
