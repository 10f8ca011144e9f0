"""What leaving flagged rows out would change, against really leaving them out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records_made import batch, corpora

from synflaw_audit import Report, audit
from synflaw_audit.errors import InputError
from synflaw_audit.findings.report import Finding
from synflaw_audit.sample.sketch import AnswerSample, Sketch
from synflaw_audit.verdicts.risk import forecast
from synflaw_audit.verdicts.what_if import without

BEFORE, AFTER = "Certainly! Here is my considered answer: ", "\n\nI hope this was helpful."


@pytest.fixture(scope="module")
def planted(natural: pd.DataFrame) -> pd.DataFrame:
    """Every third of 1,000 natural rows in a frame."""
    rows = natural.head(1000).copy()
    rows["answer"] = [
        BEFORE + answer.strip() + AFTER if n % 3 == 0 else answer
        for n, answer in enumerate(rows["answer"])
    ]
    return rows


@pytest.fixture(scope="module")
def folder(planted: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted rows as a file, audited, with their clean part beside the report."""
    out = tmp_path_factory.mktemp("audited")
    planted.to_parquet(out / "corpus.parquet")
    return out


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return audit(folder / "corpus.parquet", out=folder, split=True)


def judged(findings: tuple[Finding, ...], names: set[str]) -> list[Finding]:
    return [replace(finding, flagged=None) for finding in findings if finding.name in names]


def test_without_the_planted_rows_the_risk_is_that_of_clean_ones(
    report: Report, natural: pd.DataFrame
) -> None:
    clean = natural.iloc[[n for n in range(1000) if n % 3]]
    answer = report.what_if()
    assert report.risk.score > answer.risk.score + 0.1
    assert answer.risk.score == pytest.approx(audit(clean).risk.score, abs=0.02)
    assert answer.before == report.risk
    assert answer.dropped == report.flagged_summary.records
    assert answer.records == 1000 - answer.dropped
    assert "answer-template" in answer.drop
    assert "answer-template" not in answer.failing


def test_it_agrees_with_auditing_what_the_gate_calls_clean(report: Report, folder: Path) -> None:
    # All rows are in the sample, so that nothing is estimated.
    answer = report.what_if("flagged", checks=["SF301", "answer-length"])
    clean = audit(folder / "clean.parquet")
    assert {"answer-duplicate", "answer-length"} <= set(answer.verdicts)
    assert list(answer.checks) == judged(clean.checks, set(answer.verdicts))
    assert answer.risk == clean.risk
    assert answer.records == clean.dataset.records


def test_without_dropping_anything_nothing_changes(report: Report) -> None:
    for answer in (report.what_if(()), report.what_if("compression")):
        assert answer.risk == report.risk
        assert (answer.records, answer.dropped) == (1000, 0)
        assert list(answer.checks) == judged(report.checks, set(answer.verdicts))


def test_the_checks_of_the_risk_and_those_that_were_raised_are_judged(report: Report) -> None:
    raised = {f.name for f in report.checks if f.verdict in ("warn", "fail")}
    read = set(forecast().checks)
    assert set(report.what_if().verdicts) == raised | read


def test_the_rows_of_single_checks_can_be_dropped(report: Report) -> None:
    flagged = {f.name: f.flagged.records for f in report.checks if f.flagged}
    for name in flagged:
        assert report.what_if(name).dropped == flagged[name]
    by_code = report.what_if(["sf101", "SF102"])
    assert by_code.drop == ("answer-template", "answer-opening")
    assert report.what_if("answer-opening").dropped <= by_code.dropped <= sum(flagged.values())


def test_an_unknown_check_is_refused_with_the_choices(report: Report) -> None:
    with pytest.raises(InputError, match=r"'SF1O1'. Did you mean 'SF101'\? Known: .*flagged"):
        report.what_if("SF1O1")
    with pytest.raises(InputError, match=r"unknown check 'tone'.*answer-opening"):
        report.what_if(checks=["tone"])


def test_a_corpus_of_nothing_but_a_template_has_nothing_left(natural: pd.DataFrame) -> None:
    rows = natural.head(300)
    answer = audit(rows.assign(answer=BEFORE + rows["answer"])).what_if()
    assert (answer.records, answer.dropped, answer.verdict) == (0, 300, "undecided")
    assert answer.risk.score < answer.before.score


@given(corpora, st.randoms())
def test_a_complete_sketch_loses_exactly_the_rows_that_go(
    rows: list[tuple[str, str]], random: object
) -> None:
    gone = {row for row in rows if random.random() < 0.5}  # type: ignore[attr-defined]
    whole = Sketch().added(batch(rows))
    asked, said = whole.question.to_pylist(), whole.answer.to_pylist()
    marked = np.array([row in gone for row in zip(asked, said, strict=True)], dtype=bool)
    stays = [place for place, row in enumerate(rows) if row not in gone]
    assert without(whole, marked) == Sketch().added(batch([rows[n] for n in stays], stays))


def test_an_incomplete_sketch_loses_about_the_rows_that_go() -> None:
    # A third of the rows goes, half of them copies of one canned answer.
    rows = [(f"q{n}", "canned" * 9 if n % 6 == 0 else f"answer {n} " * 5) for n in range(6000)]
    sizes = {"rows": 1000, "answers": AnswerSample(size=2000)}
    whole = Sketch(**sizes).added(batch(rows))  # type: ignore[arg-type]
    goes = [n for n in range(6000) if n % 3 == 0]
    asked = {f"q{n}" for n in goes}
    marked = np.array([question in asked for question in whole.question.to_pylist()])
    found = without(whole, marked)
    true = Sketch(**sizes).added(batch([row for row in rows if row[0] not in asked]))  # type: ignore[arg-type]
    assert not whole.complete
    assert found.records == pytest.approx(true.records, rel=0.1)
    assert found.characters == pytest.approx(true.characters, rel=0.1)
    assert [seen.answers.distinct()[1].max() for seen in (found, true)] == [1, 1]
    assert len(found) == (~marked).sum()
