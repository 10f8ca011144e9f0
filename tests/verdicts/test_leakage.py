"""What splits share is counted alike however the corpus is cut into batches and files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

import synflaw_audit
from synflaw_audit.commands.main import app
from synflaw_audit.findings.leakage import sentences
from synflaw_audit.findings.report import Report
from synflaw_audit.records import record_batch
from synflaw_audit.report import html, markdown
from synflaw_audit.sample import repeats
from synflaw_audit.sample.repeats import Repeats, RepeatsSketcher
from synflaw_audit.verdicts.leakage import conflicts, leakage


def batch(file: str, rows: list[tuple[str, str]], start: int = 0) -> pa.RecordBatch:
    return record_batch(
        {
            "file": [file] * len(rows),
            "row": list(range(start, start + len(rows))),
            "turn": [0] * len(rows),
            "question": [question for question, _ in rows],
            "answer": [answer for _, answer in rows],
        }
    )


def kept_of(*batches: pa.RecordBatch) -> Repeats:
    sketcher = RepeatsSketcher()
    for each in batches:
        sketcher.add(each)
    return sketcher.repeats()


def corpus(train: int, test: int, shared: int, answered: int) -> tuple[list, list]:  # type: ignore[type-arg]
    """Rows of which the first ``shared`` of test stand in train, ``answered`` with their answer."""
    learned = [(f"question {n}", f"the answer to it is {n}") for n in range(train)]
    asked = [
        (question, answer if n < answered else "something else, which is long")
        for n, (question, answer) in enumerate(learned[:shared])
    ]
    asked += [(f"another {n}", "an answer of its own") for n in range(test - shared)]
    return learned, asked


def test_what_is_shared_is_counted() -> None:
    train, test = corpus(500, 200, 50, 20)
    kept = kept_of(batch("a/train.jsonl", train), batch("a/test.jsonl", test))
    (found,) = leakage(kept).overlaps
    assert (found.part, found.within, found.questions) == ("test", "train", 200)
    assert (found.exact.value, found.answered.value) == (0.25, 0.1)
    assert found.exact.low == found.exact.high
    here, there = found.examples[0]
    assert test[here.row][0] == train[there.row][0]


def test_order_and_batches_change_nothing() -> None:
    train, test = corpus(300, 100, 40, 40)
    chance = np.random.default_rng(0)
    batches = [batch("train.csv", train[n : n + 7], n) for n in range(0, 300, 7)]
    batches += [batch("test.csv", test[n : n + 9], n) for n in range(0, 100, 9)]
    whole = kept_of(*batches)
    chance.shuffle(batches)
    left, right = kept_of(*batches[::2]), kept_of(*batches[1::2])
    assert leakage(left.merged(right)) == leakage(whole)


def test_memory_is_bounded_and_the_estimate_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "QUESTIONS", 2000)
    train, test = corpus(12_000, 6000, 1500, 600)
    parts = [batch("train.jsonl", train[n : n + 1000], n) for n in range(0, 12_000, 1000)]
    parts += [batch("test.jsonl", test[n : n + 1000], n) for n in range(0, 6000, 1000)]
    kept = kept_of(*parts)
    assert not kept.complete
    assert len(np.unique(kept.question)) <= 2000
    (found,) = leakage(kept).overlaps
    assert found.exact.low < 0.25 < found.exact.high
    assert found.answered.low < 0.1 < found.answered.high


def test_one_question_a_million_times_is_a_few_entries() -> None:
    rows = [("again?", f"answer number {n}") for n in range(5000)]
    kept = kept_of(batch("train.jsonl", rows))
    assert len(kept.question) <= 8
    found = conflicts(kept)
    assert found is not None
    assert found.repeated.value == 1


def test_an_answer_that_may_be_among_those_not_kept_widens_the_interval() -> None:
    many = [("again?", f"answer number {n}") for n in range(50)]
    kept = kept_of(batch("train.jsonl", many), batch("test.jsonl", many[:1]))
    (found,) = leakage(kept).overlaps
    assert (found.exact.low, found.exact.high) == (1, 1)
    assert found.answered.low in (0, 1)
    assert found.answered.high == 1


def test_of_a_split_of_which_no_question_is_kept_nothing_is_claimed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repeats, "QUESTIONS", 20)
    train, test = corpus(4000, 3, 3, 3)
    kept = kept_of(batch("train.jsonl", train), batch("test.jsonl", test))
    found = leakage(kept, records={"train": 4000, "test": 3})
    (overlap,) = found.overlaps
    assert overlap.questions == 0
    assert (overlap.exact.low, overlap.exact.high) == (0, 1)
    assert found.unjudged == (overlap,)
    assert "No question of test" in sentences(found)[0]


def test_answers_that_contradict_each_other_are_told_from_wordings() -> None:
    rows = [
        ("2 + 2?", "4"),
        ("2 + 2?", "5"),
        ("Sky?", "The sky is blue, of course."),
        ("Sky?", "It is blue by day and dark by night."),
        ("Grass?", "green"),
        ("Grass?", "green"),
        ("", "no question"),
        ("", "at all"),
    ]
    found = conflicts(kept_of(batch("a.jsonl", rows)))
    assert found is not None
    assert found.questions == 3
    assert (found.repeated.value, found.contradicted.value) == (2 / 3, 1 / 3)
    assert {found.examples[0][0].row, found.examples[0][1].row} == {0, 1}


@pytest.fixture
def folder(natural: pd.DataFrame, tmp_path: Path) -> Path:
    """A corpus of two splits; a tenth of test is in train, another tenth nearly."""
    rows = natural.drop_duplicates("question")[["question", "answer"]].to_dict("records")
    # Questions so long that a word more leaves them nearly the same.
    long = [r for r in rows if len(r["question"].split()) >= 12][:40]
    others = [row for row in rows if row not in long]
    train = others[:300] + long
    exact, near = long[:10], [{**r, "question": r["question"] + " Thanks"} for r in long[10:20]]
    test = others[300:380] + exact + near
    for name, part in (("train", train), ("test", test)):
        text = "".join(json.dumps(row) + "\n" for row in part)
        (tmp_path / f"{name}.jsonl").write_text(text)
    return tmp_path


def test_a_report_tells_exact_and_near_leakage(folder: Path) -> None:
    report = synflaw_audit.audit(str(folder), select="SF301,SF101")
    assert report.leakage is not None
    (found,) = report.leakage.overlaps
    assert found.questions == found.near_questions == 100
    assert found.exact.value == found.answered.value == 0.1
    assert found.near is not None
    assert 0.17 <= found.near.value <= 0.2
    assert found.templates == 0
    again = Report.from_json(report.to_json())
    assert again.leakage == report.leakage
    assert len(sentences(report.leakage)) == 1
    for text in (html.render(report), markdown.render(report)):
        assert "Between the splits" in text
        assert "different questions of test" in text


def test_a_policy_limits_leakage(folder: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    for limit, code in ((0.05, 1), (0.5, 0)):
        policy.write_text(f"max_leakage = {limit}\n")
        options = ["--policy", str(policy), "--out", str(tmp_path / f"out{code}"), "--no-corpus"]
        files = [str(folder / "train.jsonl"), str(folder / "test.jsonl")]
        done = CliRunner().invoke(app, ["gate", *files, *options, "--select", "SF301"])
        assert done.exit_code == code, done.output


def test_templates_of_train_in_test_are_counted(templated: pd.DataFrame, tmp_path: Path) -> None:
    rows = templated[["question", "answer"]].to_dict("records")
    for name, part in (("train", rows[::2]), ("test", rows[1::2])):
        text = "".join(json.dumps(row) + "\n" for row in part)
        (tmp_path / f"{name}.jsonl").write_text(text)
    report = synflaw_audit.audit(str(tmp_path), select="SF101")
    assert report.leakage is not None
    share = report.leakage.overlaps[0].templates
    assert share is not None
    assert share > 0.5


def test_a_reference_is_looked_for_in_the_corpus(natural: pd.DataFrame) -> None:
    test = natural.iloc[:50]
    report = synflaw_audit.audit(natural, reference=test, select="SF301")
    assert report.leakage is not None
    (found,) = report.leakage.overlaps
    assert (found.part, found.within, found.exact.value) == ("reference", "corpus", 1.0)
