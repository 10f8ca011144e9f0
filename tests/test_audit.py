"""The audit end to end, as a user calls it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import synflaw_audit
from synflaw_audit import audit
from synflaw_audit.errors import InputError
from synflaw_audit.records import FLAGGED
from synflaw_audit.verdicts.catalogue import load_checks

BEFORE, AFTER = "Certainly! Here is my considered answer: ", "\n\nI hope this was helpful."


@pytest.fixture(scope="module")
def planted(natural: pd.DataFrame) -> pd.DataFrame:
    """Every fourth of 1,000 natural rows in a frame."""
    rows = natural.head(1000).copy()
    rows["answer"] = [
        BEFORE + a.strip() + AFTER if n % 4 == 0 else a for n, a in enumerate(rows["answer"])
    ]
    return rows


def test_natural_rows_pass(natural: pd.DataFrame) -> None:
    report = audit(natural)
    assert report.verdict in ("pass", "warn")
    assert next(c for c in report.checks if c.name == "answer-template").verdict == "pass"
    assert report.risk.low <= report.risk.score <= report.risk.high
    assert report.flagged_summary.share <= 0.02


def test_flagged_rows_say_what_is_format_and_why(planted: pd.DataFrame) -> None:
    report = audit(planted)
    flagged = report.flagged()
    assert list(flagged.columns) == FLAGGED.names
    assert len(flagged) == report.flagged_summary.records
    rows = set(flagged["row"])
    truth = set(range(0, 1000, 4))
    assert len(rows & truth) >= 0.99 * len(truth)
    assert len(rows - truth) <= 20
    row = flagged[flagged["row"] == 8].iloc[0]
    assert "answer-template" in row["checks"]
    assert row["template"] in {template.id for template in report.templates}
    assert [row["answer"][s["start"] : s["end"]] for s in row["template_spans"]] == [BEFORE, AFTER]
    assert 0 < row["score"] <= 1
    assert "Here is my considered answer" in row["reason"]


def test_the_files_of_an_audit(planted: pd.DataFrame, tmp_path: Path) -> None:
    source = tmp_path / "corpus.parquet"
    planted.to_parquet(source)
    report = audit(source, out=tmp_path / "out")
    written = pq.read_table(tmp_path / "out" / "flagged.parquet")
    assert written.schema.equals(FLAGGED)
    pd.testing.assert_frame_equal(written.to_pandas(), report.flagged())
    assert (tmp_path / "out" / "rejected.jsonl").read_bytes() == b""
    assert report.dataset.files == (str(source),)
    assert report.dataset.records == 1000
    assert report.dataset.tokens > 10_000


def test_shuffling_and_sharding_change_no_score_and_no_flag(
    planted: pd.DataFrame, tmp_path: Path
) -> None:
    order = np.random.default_rng(5).permutation(len(planted))
    for number, piece in enumerate(np.array_split(order, 3)):
        planted.iloc[piece].to_parquet(tmp_path / f"{number}.parquet")
    whole, pieces = audit(planted), audit(tmp_path)
    for one, other in zip(whole.checks, pieces.checks, strict=True):
        assert (one.score, one.low, one.high) == pytest.approx(
            (other.score, other.low, other.high), abs=1e-9
        )
    assert set(whole.flagged()["answer"]) == set(pieces.flagged()["answer"])


def test_unreadable_rows_are_counted_not_lost(tmp_path: Path) -> None:
    lines = [f'{{"question": "q{n}", "answer": "an answer numbered {n}"}}' for n in range(60)]
    source = tmp_path / "rows.jsonl"
    source.write_text("\n".join([*lines[:30], "{broken", *lines[30:]]), encoding="utf-8")
    report = audit(source, out=tmp_path / "out")
    assert (report.dataset.records, report.dataset.rejected) == (60, 1)
    assert "rows.jsonl" in (tmp_path / "out" / "rejected.jsonl").read_text(encoding="utf-8")


def test_few_rows_are_undecided() -> None:
    rows = pd.DataFrame({"question": ["a", "b"], "answer": ["the answer is a", "the answer is b"]})
    report = audit(rows)
    assert report.verdict == "undecided"
    assert {check.verdict for check in report.checks} == {"undecided"}
    assert report.flagged().empty


def test_a_reference_stands_beside_the_scores(planted: pd.DataFrame, natural: pd.DataFrame) -> None:
    report = audit(planted, reference=natural)
    for check in report.checks:
        assert set(check.observed["reference"]) == {"score", "low", "high"}


def test_only_the_checks_asked_for_are_run(planted: pd.DataFrame) -> None:
    checks = [check for check in load_checks() if check.name == "answer-opening"]
    report = audit(planted, checks=checks)
    assert [check.code for check in report.checks] == [checks[0].code]
    assert report.templates == ()


def test_progress_is_told(planted: pd.DataFrame) -> None:
    told: list[tuple[str, int]] = []
    audit(planted, progress=lambda stage, done: told.append((stage, done)))
    assert ("reading", 1000) in told
    assert ("flagging", 1000) in told


def test_a_missing_corpus_is_an_error() -> None:
    with pytest.raises(InputError, match="nowhere"):
        audit("nowhere.jsonl")


def test_nothing_is_left_behind_by_an_audit_that_fails(tmp_path: Path) -> None:
    source = tmp_path / "bad.jsonl"
    source.write_text("{broken\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"bad\.jsonl"):
        audit(source, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == [source]


def test_spans_are_python_string_indices() -> None:
    answers = [f"🙂 Dear friend, allow me to say: é{n}x🙂 q{n * n}z." for n in range(80)]
    rows = pd.DataFrame({"question": [f"q{n}" for n in range(80)], "answer": answers})
    flagged = audit(pa.Table.from_pandas(rows, preserve_index=False)).flagged()
    first = flagged.iloc[0]
    spans = [first["answer"][s["start"] : s["end"]] for s in first["template_spans"]]
    assert spans[0] == "🙂 Dear friend, allow me to say: "


def test_the_package_says_what_it_offers() -> None:
    assert callable(synflaw_audit.audit)
    assert set(synflaw_audit.__all__) == {"Report", "audit"}
