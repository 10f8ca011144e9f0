"""That the comparisons of outputs see what they are there to see."""

from __future__ import annotations

import sys
from argparse import Namespace
from itertools import chain
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
import resume
import spark_scaling

# Stands in for the audit: writes its outputs after a while, each whole or in two halves, and
# says in the report, unless told not to, that it resumed.
AUDIT = """\
#!{python}
import json, os, sys, time
from pathlib import Path
out = Path(sys.argv[sys.argv.index("--out") + 1])
out.mkdir(exist_ok=True)
tells = {tells} and "--resume" in sys.argv
files = {{"flagged.parquet": "rows", "rejected.jsonl": "{{}}\\n",
          "report.json": json.dumps({{"seconds": time.time(), "resumed": tells}})}}
time.sleep(0 if {halves} else 0.3)
for name, text in files.items():
    if {halves}:
        (out / name).write_text(text[:2])
        time.sleep(0.3)
    (out / "part").write_text(text)
    os.replace(out / "part", out / name)
"""


def kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **ways: bool) -> list[resume.Kill]:
    program = tmp_path / "synflaw"
    program.write_text(AUDIT.format(python=sys.executable, **ways))
    program.chmod(0o755)
    monkeypatch.setattr(resume, "SYNFLAW", program)
    corpus = tmp_path / "corpus"
    whole = resume.cost_of([*resume.audit(corpus), "--out", tmp_path / "whole"])
    expected = resume.outputs(tmp_path / "whole")
    options = Namespace(seed=3, kills=2)
    return list(resume.killed(corpus, tmp_path, whole.wall, options, expected))


def test_a_good_audit_resumes_to_the_same_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kill in kills(tmp_path, monkeypatch, tells=False, halves=False):
        assert (kill.early, kill.different) == ([], [])


def test_another_report_after_resuming_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kill in kills(tmp_path, monkeypatch, tells=True, halves=False):
        assert kill.different == ["report.json"]


def test_a_half_written_output_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert any(kill.early for kill in kills(tmp_path, monkeypatch, tells=False, halves=True))


def test_some_lines_of_the_corpus_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "SPOILT_EVERY", 10)
    resume.write(35, 2, tmp_path)
    parts = [path.read_bytes().splitlines() for path in sorted(tmp_path.iterdir())]
    assert [len(part) for part in parts] == [17, 18]
    bad = [n for n, line in enumerate(chain(*parts)) if not line.endswith(b"}")]
    assert bad == [5, 15, 25]


def test_flags_are_compared_without_order_and_place() -> None:
    ours = pa.table({"file": ["a", "a"], "row": [0, 1], "answer": ["x", "y"], "score": [0.5, 1.0]})
    theirs = ours.take([1, 0]).set_column(0, "file", pa.array(["part-0", "part-1"]))
    assert spark_scaling.contents(ours) == spark_scaling.contents(theirs)
    other = ours.set_column(3, "score", pa.array([0.5, 1.0 - 1e-15]))
    assert spark_scaling.contents(ours) != spark_scaling.contents(other)


def test_scores_and_verdicts_are_compared() -> None:
    check = {"code": "SF101", "score": 0.5, "low": 0.4, "high": 0.6, "verdict": "pass"}
    report = {"verdict": "pass", "checks": [check]}
    other = orjson.loads(orjson.dumps(report))
    assert spark_scaling.difference(report, other) == 0
    other["checks"][0] |= {"high": 0.7, "verdict": "warn"}
    assert spark_scaling.difference(report, other) == pytest.approx(0.1)
    assert spark_scaling.verdicts(report) != spark_scaling.verdicts(other)
    assert spark_scaling.difference(report, {"checks": []}) == float("inf")
