from __future__ import annotations

import dataclasses
import inspect
import io
import random
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jsonschema
import orjson
import pyarrow.parquet as pq
import pytest
from reports import report
from rich.console import Console
from typer.testing import CliRunner, Result

from synflaw_audit import __version__
from synflaw_audit.commands import console as terminal
from synflaw_audit.commands.main import app
from synflaw_audit.errors import MissingExtraError
from synflaw_audit.findings.report import Report, schema
from synflaw_audit.outputs.names import SPLIT_FILES, SPLIT_FOLDERS, WORK_FOLDER
from synflaw_audit.records import FLAGGED, RECORDS
from synflaw_audit.settings import AuditSettings
from synflaw_audit.verdicts.catalogue import bundled_directory, load_checks

OUTPUTS = [
    *("flagged.parquet", "rejected.jsonl", "report.html", "report.json", "report.md", "run.json"),
]
WORDS = sorted(set(re.findall(r"[a-z]+", Path(__file__).read_text(encoding="utf-8"))))


def synflaw(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write_corpus(path: Path, rows: int, opening: str = "", bad: int = 0) -> Path:
    """Questions and answers of random words; the answers after the same opening if one is given."""
    chance = random.Random(0)  # noqa: S311 - not for secrets
    lines = []
    for _ in range(rows):
        lengths = chance.randint(5, 15), round(chance.lognormvariate(3, 0.8)) + 2
        question, answer = (" ".join(chance.choices(WORDS, k=length)) for length in lengths)
        lines.append(orjson.dumps({"question": question, "answer": opening + answer}))
    lines[rows // 2 : rows // 2] = [b'{"question": "no end'] * bad
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


@pytest.fixture(scope="module")
def templated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    opening = "As a helpful assistant I can tell you the following about it: "
    return write_corpus(
        tmp_path_factory.mktemp("data") / "templated_file.jsonl", 300, opening, bad=2
    )


@pytest.fixture(scope="module")
def natural_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("data") / "natural_file.jsonl", 300)


class TestAudit:
    def test_writes_everything_and_exits_0_whatever_it_found(
        self, templated_file: Path, tmp_path: Path
    ) -> None:
        done = synflaw("audit", templated_file, "--out", tmp_path / "new" / "out")
        assert done.exit_code == 0, done.stderr
        out = tmp_path / "new" / "out"
        assert sorted(file.name for file in out.iterdir()) == OUTPUTS
        written = (out / "report.json").read_bytes()
        jsonschema.validate(orjson.loads(written), schema())
        read = Report.from_json(written)
        assert read.verdict in ("warn", "fail")
        assert (read.dataset.records, read.dataset.rejected) == (300, 2)
        assert len((out / "rejected.jsonl").read_bytes().splitlines()) == 2
        flagged = pq.read_table(out / "flagged.parquet")
        assert flagged.schema.equals(FLAGGED)
        assert flagged.num_rows == read.flagged_summary.records > 270
        assert "helpful assistant" in (out / "report.html").read_text(encoding="utf-8")
        assert "helpful assistant" in (out / "report.md").read_text(encoding="utf-8")
        assert "report.html" in done.stdout
        assert done.stderr == ""

    def test_json_prints_the_report_and_nothing_else(
        self, natural_file: Path, tmp_path: Path
    ) -> None:
        done = synflaw("audit", natural_file, "--out", tmp_path, "--json")
        assert done.stdout == (tmp_path / "report.json").read_text(encoding="utf-8")
        assert done.stderr == ""

    def test_quiet_prints_nothing(self, natural_file: Path, tmp_path: Path) -> None:
        done = synflaw("audit", natural_file, "--out", tmp_path, "--quiet")
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")

    def test_options_reach_the_audit(
        self, natural_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: dict[str, Any] = {}

        def audit(source: object, settings: AuditSettings, **options: Any) -> Report:
            seen.update(options, source=source, settings=settings)
            options["progress"]("reading", 5)
            return report()

        monkeypatch.setattr("synflaw_audit.run.audit", audit)
        done = synflaw(
            *("audit", natural_file, "more/*.csv", "--out", tmp_path, "--question", "q"),
            *("--answer", "a", "--reference", "ref.jsonl", "--embedder", "e", "--seed", "7"),
            *("--perplexity-model", "m"),
        )
        assert done.exit_code == 0, done.stderr
        assert seen["source"] == [str(natural_file), "more/*.csv"]
        assert seen["out"].path == tmp_path
        assert seen["settings"] == AuditSettings(
            question="q",
            answer="a",
            reference="ref.jsonl",
            embedder="e",
            perplexity_model="m",
            seed=7,
        )

    def test_a_pack_of_ones_own_is_judged_too(self, natural_file: Path, tmp_path: Path) -> None:
        pack = tmp_path / "pack"
        pack.mkdir()
        shipped = next(check for check in load_checks() if check.name == "answer-opening")
        text = (bundled_directory() / "answer-opening.toml").read_text(encoding="utf-8")
        own = text.replace(shipped.code, "SF999").replace('"answer-opening"', '"mine"')
        (pack / "mine.toml").write_text(own, encoding="utf-8")
        done = synflaw("audit", natural_file, "--out", tmp_path / "out", "--checks", pack, "--json")
        assert [c["code"] for c in orjson.loads(done.stdout)["checks"]][-1] == "SF999"


class TestGate:
    @staticmethod
    def rows(*files: Path) -> list[tuple[object, ...]]:
        tables = [pq.read_table(file).select(RECORDS.names) for file in files]
        return sorted(tuple(row.values()) for table in tables for row in table.to_pylist())

    @pytest.mark.parametrize("corpus", ["templated_file", "natural_file"])
    def test_splits_every_readable_record_once(
        self, corpus: str, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        path = request.getfixturevalue(corpus)
        done = synflaw("gate", path, "--out", tmp_path)
        assert done.exit_code in (0, 1), done.stderr
        clean, quarantined = tmp_path / "clean.parquet", tmp_path / "quarantined.parquet"
        assert [row[1] for row in self.rows(clean, quarantined)] == [
            row for row, line in enumerate(path.read_bytes().splitlines()) if b"no end" not in line
        ]
        assert self.rows(quarantined) == self.rows(tmp_path / "flagged.parquet")
        assert pq.read_schema(clean).equals(RECORDS)
        assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
            [*OUTPUTS, *SPLIT_FILES, *SPLIT_FOLDERS, "gate.json"]
        )

    def test_a_natural_corpus_passes_and_a_templated_one_does_not_when_strict(
        self, natural_file: Path, templated_file: Path, tmp_path: Path
    ) -> None:
        passed = synflaw("gate", natural_file, "--out", tmp_path / "n", "--strict")
        assert (passed.exit_code, "Gate: pass" in passed.stdout) == (0, True)
        failed = synflaw("gate", templated_file, "--out", tmp_path / "t", "--strict")
        assert (failed.exit_code, "Gate: fail" in failed.stdout) == (1, True)
        decision = orjson.loads((tmp_path / "t" / "gate.json").read_bytes())
        assert "answer-template" in decision["reasons"][0]

    def test_a_policy_decides(self, templated_file: Path, tmp_path: Path) -> None:
        policy = tmp_path / "policy.toml"
        policy.write_text("max_flagged_share = 0.5\n[checks.SF201]\nenabled = false\n")
        done = synflaw(
            "gate", templated_file, "--out", tmp_path / "o", "--policy", policy, "--json"
        )
        assert done.exit_code == 1
        assert "SF201" not in [check["code"] for check in orjson.loads(done.stdout)["checks"]]
        assert "flagged share" in (tmp_path / "o" / "gate.json").read_text()
        others = [check.name for check in load_checks() if check.name != "answer-duplicate"]
        policy.write_text("\n".join(f"[checks.{name}]\nenabled = false" for name in others))
        done = synflaw("gate", templated_file, "--out", tmp_path / "p", "--policy", policy)
        assert done.exit_code == 0

    def test_a_bad_policy_stops_before_anything_is_read(self, tmp_path: Path) -> None:
        policy = tmp_path / "policy.toml"
        policy.write_text("max_flaged_share = 0.5\n")
        done = synflaw("gate", "missing.jsonl", "--out", tmp_path / "o", "--policy", policy)
        assert done.exit_code == 2
        assert "Did you mean 'max_flagged_share'?" in done.stderr
        assert not (tmp_path / "o").exists()

    @pytest.mark.parametrize(
        "wrong",
        [
            ("none.jsonl",),
            ("{corpus}", "--policy", "none.toml"),
            ("{corpus}", "--checks", "none"),
            ("{corpus}", "--select", "none"),
            ("{corpus}", "--answer", "none"),
            ("{corpus}", "--reference", "none.jsonl"),
            ("{corpus}", "--memory-limit", "none"),
        ],
        ids=lambda wrong: wrong[-2] if len(wrong) > 1 else "input",
    )
    def test_after_an_error_nothing_can_be_taken_for_its_result(
        self, wrong: tuple[str, ...], natural_file: Path, tmp_path: Path
    ) -> None:
        synflaw("gate", natural_file, "--out", tmp_path, "-q")
        before = (tmp_path / "clean.parquet").read_bytes()
        (tmp_path / "notes.txt").write_text("mine")
        filled = [each.format(corpus=natural_file) for each in wrong]
        assert synflaw("gate", *filled, "--out", tmp_path).exit_code == 2
        assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", WORK_FOLDER}
        assert (tmp_path / WORK_FOLDER / "previous" / "clean.parquet").read_bytes() == before
        assert synflaw("gate", natural_file, "--out", tmp_path, "-q").exit_code == 0
        assert not (tmp_path / WORK_FOLDER).exists()


class TestInputs:
    """Nothing that a command reads is written by it."""

    @pytest.mark.parametrize(
        ("command", "option"),
        [
            ("audit", None),
            ("audit", "--reference"),
            ("gate", None),
            *(("gate", f"--{o}") for o in ("reference", "policy", "rehearsal", "suggest-policy")),
        ],
    )
    def test_an_output_is_no_input(
        self, command: str, option: str | None, natural_file: Path, tmp_path: Path
    ) -> None:
        mine = tmp_path / "rejected.jsonl"
        mine.write_bytes(natural_file.read_bytes())
        given = [mine] if option in (None, "--suggest-policy") else [natural_file]
        given += [] if option is None else [option, mine]
        done = synflaw(command, *given, "--out", tmp_path)
        assert done.exit_code == 2
        assert "would be overwritten by the output rejected.jsonl" in done.stderr
        assert mine.read_bytes() == natural_file.read_bytes()
        assert [path.name for path in tmp_path.iterdir()] == ["rejected.jsonl"]


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["audit", "missing.jsonl", "--out", "{tmp}/o"], "missing.jsonl"),
            (["audit", "{natural_file}", "--out", "{natural_file}"], "is a file"),
            (["audit", "{natural_file}", "--out", "{tmp}/o", "--answer", "reply"], "reply"),
            (
                ["audit", "{natural_file}", "--out", "{tmp}/o", "--checks", "{tmp}/no"],
                "not a directory",
            ),
            (
                ["gate", "{natural_file}", "--out", "{tmp}/o", "--policy", "{tmp}/no.toml"],
                "no.toml",
            ),
            (["explain", "SF10"], "Did you mean 'SF10"),
        ],
    )
    def test_bad_input_is_one_line_on_stderr_and_exit_2(
        self, arguments: list[str], says: str, natural_file: Path, tmp_path: Path
    ) -> None:
        filled = [
            argument.format(natural_file=natural_file, tmp=tmp_path) for argument in arguments
        ]
        done = synflaw(*filled)
        assert done.exit_code == 2
        assert says in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""

    @pytest.mark.parametrize(
        "arguments",
        [["audit"], ["audit", "a.jsonl"], ["nonsense"], ["gate", "a", "--out", "b", "--no"], []],
    )
    def test_wrong_usage_exits_2(self, arguments: list[str]) -> None:
        assert synflaw(*arguments).exit_code == 2

    @pytest.mark.parametrize(
        ("error", "code", "says"),
        [
            (ZeroDivisionError("oh"), 2, "ZeroDivisionError"),
            (RuntimeError("oh"), 2, "fault of the program"),
            (PermissionError(13, "Permission denied", "/x"), 2, "synflaw: /x: Permission denied"),
            (MissingExtraError("embedder 'e'", "embeddings"), 2, "synflaw-audit[embeddings]"),
            (KeyboardInterrupt(), 130, "interrupted"),
        ],
    )
    def test_a_crash_is_never_the_exit_code_of_a_failed_gate(
        self,
        error: BaseException,
        code: int,
        says: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def audit(*_: object, **__: object) -> Report:
            raise error

        monkeypatch.setattr("synflaw_audit.run.audit", audit)
        corpus = tmp_path / "a.jsonl"
        corpus.write_text('{"question": "a", "answer": "b"}\n')
        done = synflaw("gate", corpus, "--out", tmp_path / "out")
        assert done.exit_code == code
        assert says in done.stderr


def appears(shown: io.StringIO, text: str) -> None:
    """Wait for another thread to show it."""
    deadline = time.monotonic() + 30
    while text not in shown.getvalue():
        assert time.monotonic() < deadline, shown.getvalue()
        time.sleep(0.01)


def test_progress_is_shown_on_a_terminal_after_two_seconds_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, force_interactive=True, width=60)
    monkeypatch.setattr(terminal, "stderr", lambda: console)
    waited: list[float] = []

    class AtOnce(threading.Timer):
        def __init__(self, seconds: float, function: Callable[[], None]) -> None:
            waited.append(seconds)
            super().__init__(0, function)

    with terminal.progress_display(quiet=False) as progress:
        progress("reading", 1234)
    assert shown.getvalue() == ""
    with monkeypatch.context() as patch:
        patch.setattr(threading, "Timer", AtOnce)
        with terminal.progress_display(quiet=False) as progress:
            progress("reading", 1234)
            appears(shown, "reading: 1,234 records")
            progress("measuring", 0)
            appears(shown, "measuring")
        assert waited == [2]
        with terminal.progress_display(quiet=True) as progress:
            before = shown.getvalue()
            progress("reading", 99)
    assert shown.getvalue() == before


class TestRepair:
    @staticmethod
    def install(monkeypatch: pytest.MonkeyPatch, *, improved: bool) -> dict[str, Any]:
        """A repair that notes what it is told; the real one has its own tests."""
        seen: dict[str, Any] = {}

        def repair(model: str, **options: Any) -> SimpleNamespace:
            seen.update(options, model=model)
            return SimpleNamespace(
                before={"template_probability": 0.9},
                after={"template_probability": 0.1},
                improved=improved,
                reasons=() if improved else ("The format is hardly less likely.",),
                notes=("2 rows were cut.",),
                control=None,
                relearning=None,
                intervals={},
                failed=None,
                out=options["out"],
                to_json=lambda: '{"improved": true}\n',
            )

        module = ModuleType("synflaw_audit.repair")
        module.repair = repair  # type: ignore[attr-defined]
        module.RepairConfig = (  # type: ignore[attr-defined]
            lambda **chosen: SimpleNamespace(chosen=chosen, method=chosen.get("method"))
        )
        monkeypatch.setitem(sys.modules, "synflaw_audit.repair", module)
        alone = SimpleNamespace(is_main=lambda: True, leave_group=lambda: None)
        monkeypatch.setitem(sys.modules, "synflaw_audit.repair.training.processes", alone)
        return seen

    COMMAND = ("repair", "model", "--forget", "f.parquet", "--replay", "r.jsonl", "--out", "fixed")

    def test_options_reach_the_repair(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = self.install(monkeypatch, improved=True)
        extra = ("--lora", "--loss", "npo", "--tokens", "1000", "--seed", "3")
        done = synflaw(*self.COMMAND, *extra)
        assert done.exit_code == 0, done.stderr
        assert seen["model"] == "model"
        assert (seen["forget"], seen["replay"]) == (Path("f.parquet"), "r.jsonl")
        assert seen["config"].chosen == {"lora": True, "loss": "npo", "tokens": 1000, "seed": 3}
        for part in ("template_probability", "0.9", "0.1", "2 rows were cut", "Repaired: fixed"):
            assert part in done.stdout

    def test_the_real_repair_takes_these_options(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("torch")
        from synflaw_audit.repair import RepairConfig
        from synflaw_audit.repair import repair as real

        seen = self.install(monkeypatch, improved=True)
        synflaw(*self.COMMAND, "--loss", "npo", "--tokens", "1000")
        assert seen.keys() <= inspect.signature(real).parameters.keys()
        known = {field.name for field in dataclasses.fields(RepairConfig)}
        assert seen["config"].chosen.keys() <= known

    def test_a_repair_that_did_not_help_exits_1(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(monkeypatch, improved=False)
        done = synflaw(*self.COMMAND)
        assert done.exit_code == 1
        assert "did not help" in done.stdout

    def test_json_is_alone_on_stdout(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(monkeypatch, improved=True)
        assert synflaw(*self.COMMAND, "--json").stdout == '{"improved": true}\n'

    def test_without_the_extra_the_command_to_install_it_is_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = ModuleType("synflaw_audit.repair")

        def missing(name: str) -> Any:
            raise MissingExtraError("The repair", "repair")

        module.__getattr__ = missing  # type: ignore[method-assign]
        monkeypatch.setitem(sys.modules, "synflaw_audit.repair", module)
        done = synflaw(*self.COMMAND)
        assert done.exit_code == 2
        assert "pip install 'synflaw-audit[repair]'" in done.stderr


class TestChecks:
    def test_list_names_every_check(self) -> None:
        done = synflaw("checks", "list")
        assert done.exit_code == 0
        for check in load_checks():
            assert check.code in done.stdout
            assert check.name in done.stdout

    @pytest.mark.parametrize("check", load_checks(), ids=lambda check: check.code)
    def test_explain_shows_all_that_the_file_says(self, check: Any) -> None:
        done = synflaw("explain", check.name)
        assert synflaw("explain", check.code.lower()).stdout == done.stdout
        shown = " ".join(done.stdout.split()).casefold()
        said = [check.title, check.why, check.status, check.measure]
        said += [part for one in check.advice for part in (one.action, one.text)]
        for text in said + [evidence.claim for evidence in check.evidence]:
            assert " ".join(text.split()).casefold() in shown


def test_version() -> None:
    assert synflaw("--version").stdout == f"synflaw-audit {__version__}\n"


def test_demo_hands_on_its_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("synflaw_audit.lab.demo")
    module.run = lambda out, seed, console: 3 if (out, seed) == (tmp_path, 5) else 4  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "synflaw_audit.lab.demo", module)
    assert synflaw("demo", "--out", tmp_path, "--seed", "5").exit_code == 3
