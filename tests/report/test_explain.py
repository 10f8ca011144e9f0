"""`synflaw explain`: a check, a finding in a corpus, or all findings that did not pass."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import orjson
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from synflaw_audit.commands.main import app
from synflaw_audit.findings.report import Report, schema
from synflaw_audit.report.words import percent


def synflaw(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def audited(templated: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an audit of templated rows, with its what-if."""
    out = tmp_path_factory.mktemp("audited")
    templated.head(400).to_json(out / "corpus.jsonl", orient="records", lines=True)
    done = synflaw("audit", out / "corpus.jsonl", "--out", out, "--what-if")
    assert done.exit_code == 0
    assert "Without the" in done.stdout
    return out


@pytest.fixture(scope="module")
def report(audited: Path) -> Report:
    return Report.from_json((audited / "report.json").read_bytes())


def test_a_finding_is_explained_from_the_report(audited: Path, report: Report) -> None:
    done = synflaw("explain", "SF101", "--report", audited)
    assert done.exit_code == 0
    assert done.stdout == synflaw("explain", "sf101", "--report", audited / "report.json").stdout
    shown = " ".join(done.stdout.split())
    finding = next(finding for finding in report.checks if finding.code == "SF101")
    assert finding.flagged is not None
    said = [finding.title, " ".join(finding.why.split()), *(a.text for a in finding.advice)]
    said += [
        f"It flags {finding.flagged.records} records",
        f"It rests on {finding.rows} records: with 95% confidence",
    ]
    said += [f"row {example.row}:" for example in finding.flagged.examples]
    for text in said:
        assert text in shown
    assert "SF102" not in shown


def test_a_finding_that_the_risk_reads_says_its_share(audited: Path, report: Report) -> None:
    read = [each for each in report.checks if each.risk_share and each.verdict in ("warn", "fail")]
    assert read
    for finding in read:
        shown = " ".join(synflaw("explain", finding.code, "--report", audited).stdout.split())
        assert f"It accounts for {percent(finding.risk_share)} of the risk" in shown


def test_without_a_check_all_that_did_not_pass_is_explained(audited: Path, report: Report) -> None:
    done = synflaw("explain", "--report", audited)
    assert done.exit_code == 0
    for finding in report.checks:
        headed = f"{finding.verdict}  {finding.code} {finding.name}"
        assert (headed in done.stdout) == (finding.verdict != "pass")


def test_the_report_answers_what_if(audited: Path, report: Report) -> None:
    jsonschema.validate(orjson.loads((audited / "report.json").read_bytes()), schema())
    answer = report.what_if()
    assert answer == report.what_if_flagged
    assert answer.dropped == report.flagged_summary.records
    assert answer.risk.score < report.risk.score
    assert "Without the" in (audited / "report.md").read_text(encoding="utf-8")
    assert "Without the" in synflaw("explain", "--report", audited).stdout


def test_what_cannot_be_explained_is_one_line_and_exit_2(audited: Path, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    for arguments, says in (
        ([], "checks list"),
        (["--report", tmp_path / "none"], "none: there is no such report"),
        (["--report", tmp_path], "report.json: not a report"),
        (["--report", audited, "--checks", tmp_path], "--checks says nothing of a --report"),
        (["SF999", "--report", audited], "unknown check in this report 'SF999'"),
    ):
        done = synflaw("explain", *arguments)
        assert done.exit_code == 2
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert done.stdout == ""
