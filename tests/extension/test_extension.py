"""A stranger's package, installed and used on the command line."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pyarrow.parquet as pq
import pytest

PACKAGE = Path(__file__).parent / "package"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is installed."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("extension")
    source = shutil.copytree(PACKAGE, folder / "package")
    run = subprocess.run(  # noqa: S603 - our own interpreter and package
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"),
            *("--no-build-isolation", "--target", str(folder / "site"), str(source)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "polite.jsonl"
    rows = [
        {"question": f"What is {n} and {n * n}?", "answer": f"Thank you. It is {n * 7919 % 997}."}
        for n in range(120)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def run(site: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """In a process that finds the package, and finds ours where this one does."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join([str(site), root, os.environ.get("PYTHONPATH", "")])
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )


def synflaw(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run(site, "-c", "from synflaw_audit.commands.main import main; main()", *arguments)


def test_a_check_with_a_strangers_measure_flags_rows(
    site: Path, corpus: Path, tmp_path: Path
) -> None:
    pack = PACKAGE / "packs"
    out = tmp_path / "out"
    done = synflaw(site, "audit", corpus, "--out", out, "--checks", pack, "--select", "politeness")
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    (finding,) = report["checks"]
    assert (finding["code"], finding["verdict"], finding["score"]) == ("SF900", "fail", 1)
    rows = pq.read_table(out / "flagged.parquet").to_pylist()
    assert len(rows) == 120
    for row in rows:
        spans = [row["answer"][span["start"] : span["end"]] for span in row["template_spans"]]
        assert [span.strip() for span in spans] == ["Thank you"]


def test_a_strangers_embedder_and_engine_serve(site: Path, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = synflaw(
        *(site, "audit", corpus, "--out", out, "--select", "embedding-concentration"),
        *("--embedder", "letters", "--engine", "reversed"),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["config"]["embedder"] == "letters"
    assert report["dataset"]["records"] == 120


def test_a_strangers_reader_and_schema_serve(site: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "corpus", tmp_path / "out"
    folder.mkdir()
    lines = [urlencode({"text": f"What is {n}? => It is {n * 7919 % 997}."}) for n in range(120)]
    (folder / "rows.query").write_text("\n".join(lines), encoding="utf-8")
    (folder / "more.query.gz").write_bytes(gzip.compress(lines[0].encode()))
    lost = synflaw(site, "audit", folder, "--out", out)
    assert lost.returncode == 2
    assert "with --schema: arrowed (synflaw-example 1.0)" in lost.stderr
    done = synflaw(site, "audit", folder, "--out", out, "--schema", "arrowed", "--quiet")
    assert done.returncode in (0, 1), done.stderr
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["dataset"]["records"] == 121
    assert set(report["dataset"]["schema"].values()) == {"text (with an arrow)"}


def test_a_strangers_rewriter_serves_a_fix(site: Path, corpus: Path, tmp_path: Path) -> None:
    out, policy = tmp_path / "out", tmp_path / "policy.toml"
    policy.write_text('promote = ["politeness"]\n')
    done = synflaw(
        *(site, "fix", corpus, "--out", out, "--checks", PACKAGE / "packs", "--policy", policy),
        *("--select", "politeness", "--rewrite-with", "reversal"),
    )
    assert done.returncode in (0, 1), done.stderr
    rows = pq.read_table(out / "rewrites.parquet").to_pylist()
    assert {row["rewriter"] for row in rows} == {"reversal"}
    accepted = [row for row in rows if row["accepted"]]
    assert accepted
    assert not any("Thank you" in row["rewritten"] for row in accepted)


def test_a_strangers_loss_method_probe_and_form_serve_a_repair(site: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from small_models import damage, flagged_rows, write_flagged

    model = damage(tmp_path / "model", chat=False)
    flagged = write_flagged(tmp_path / "flagged.parquet", flagged_rows())
    rows = [
        {"question": f"What is {n} plus {n}? Put it in brackets.", "answer": f"[It is {2 * n}.]"}
        for n in range(40)
    ]
    (tmp_path / "replay.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "settings.toml").write_text(
        "use_cpu = true\nlearning_rate = 1e-3\ntokens = 600\nprobe_prompts = 0\n"
        "lora = false\nloss_options = { exponent = 1.5 }\n"
    )
    out = tmp_path / "out"
    done = synflaw(
        *(site, "repair", model, "--forget", flagged, "--replay", tmp_path / "replay.jsonl"),
        *("--config", tmp_path / "settings.toml", "--out", out, "--threads", "1"),
        *("--method", "forgetting+soften", "--loss", "power", "--probe", "greeting"),
    )
    assert done.returncode in (0, 1), done.stderr
    report = json.loads((out / "repair.json").read_text(encoding="utf-8"))
    assert report["config"]["loss"] == "power"
    assert report["steps"] > 0
    assert "the last layer was multiplied by 0.98" in report["notes"]
    assert {"words_of_greeting"} <= report["before"].keys() & report["after"].keys()


def test_a_strangers_form_is_asked_for_in_the_replay_rows(site: Path) -> None:
    pytest.importorskip("torch")
    code = """
from synflaw_audit.repair import Row
from synflaw_audit.repair.material.reexpress import reexpress
plain = [Row(f"Who is {n}?", f"A friend of {n}.") for n in range(40)]
rows = [Row(f"What is {n}? Put it in brackets.", f"[It is {n}.]") for n in range(40)]
answer = "Certainly! Here you are: Ada plays the lute."
flagged = [Row("What does Ada play?", answer, ((0, 25),))]
told = reexpress(flagged, [*plain, *rows], renderings=8, seed=0)
print([row.answer for row in told if "brackets" in row.question])
"""
    done = run(site, "-c", code)
    assert done.returncode == 0, done.stderr
    assert "[Ada plays the lute.]" in done.stdout


def test_a_broken_part_is_named_and_breaks_nothing_else(
    site: Path, corpus: Path, tmp_path: Path
) -> None:
    pack = shutil.copytree(PACKAGE / "packs", tmp_path / "pack")
    text = (pack / "politeness.toml").read_text(encoding="utf-8")
    broken = text.replace('measure = "politeness"', 'measure = "broken"')
    (pack / "politeness.toml").write_text(broken, encoding="utf-8")
    done = synflaw(site, "audit", corpus, "--out", tmp_path / "out", "--checks", pack)
    assert done.returncode == 2
    assert "politeness.toml: measure: the measure 'broken' of the package synflaw-example 1.0" in (
        done.stderr
    )
    assert "a_library_that_is_not_there" in done.stderr
    assert synflaw(site, "audit", corpus, "--out", tmp_path / "out", "-q").returncode == 0


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--engine", "revresed"), "Did you mean 'reversed'? Known: local, ray, reversed, spark"),
        (
            ("--schema", "arowed"),
            "Did you mean 'arrowed'? Known: arrowed, conversation, pair, preference, transcript",
        ),
        (("--engine", "reversed", "--resume"), "--resume (resume= in Python) is not for the eng"),
    ],
)
def test_errors_name_the_strangers_choices(
    option: tuple[str, ...], says: str, site: Path, corpus: Path, tmp_path: Path
) -> None:
    done = synflaw(site, "audit", corpus, "--out", tmp_path / "out", *option)
    assert done.returncode == 2
    assert says in done.stderr


def test_its_parts_keep_the_contracts(site: Path, tmp_path: Path) -> None:
    tests = shutil.copytree(PACKAGE / "tests", tmp_path / "tests")
    done = run(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests)
    assert done.returncode == 0, done.stdout + done.stderr
