"""Which part of a corpus carries the format."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import jsonschema
import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest

from synflaw_audit import Report, audit
from synflaw_audit.errors import InputError
from synflaw_audit.findings.report import schema
from synflaw_audit.flagging.groups import MOST, Grouper, Grouping, GroupSketches, split_of
from synflaw_audit.reading.index import Index
from synflaw_audit.records import record_batch
from synflaw_audit.report import render_html, render_markdown
from synflaw_audit.report.words import group_name
from synflaw_audit.verdicts.catalogue import find_check, load_checks
from synflaw_audit.verdicts.groups import widening

CHECKS = [find_check(load_checks(), name) for name in ("answer-template", "answer-opening")]


@pytest.fixture(scope="module")
def mixture(natural: pd.DataFrame, templated: pd.DataFrame) -> pd.DataFrame:
    """Two sources without a format and one with it, in one file."""
    parts = [natural.iloc[:200], natural.iloc[200:400], templated.iloc[:100]]
    named = [p.assign(source=name) for p, name in zip(parts, ("web", "books", "llm"), strict=True)]
    return pd.concat(named)[["question", "answer", "source"]].sample(frac=1, random_state=0)


@pytest.fixture(scope="module")
def report(mixture: pd.DataFrame) -> Report:
    return audit(mixture, checks=CHECKS, by="source")


def test_the_source_with_the_format_stands_out(report: Report, mixture: pd.DataFrame) -> None:
    assert report.groups is not None
    first, *others = report.groups.groups
    assert (first.name, first.records) == ("llm", 100)
    assert "answer-template" in first.standing_out
    assert first.flagged_share > 0.9
    assert all(not group.standing_out for group in others)
    assert sum(group.records for group in report.groups.groups) == len(mixture)
    assert sum(group.flagged for group in report.groups.groups) == report.flagged_summary.records


def test_the_column_that_groups_is_read(mixture: pd.DataFrame) -> None:
    rows = mixture.assign(note="never read")
    (account,) = audit(rows, checks=CHECKS, by="source").dataset.accounts.files
    assert account.unread == ("note",)
    (account,) = audit(rows, checks=CHECKS).dataset.accounts.files
    assert set(account.unread) == {"source", "note"}


def test_it_is_part_of_every_form_of_the_report(report: Report) -> None:
    jsonschema.validate(orjson.loads(report.to_json()), schema())
    assert Report.from_json(report.to_json()).groups == report.groups
    for page in (render_html(report), render_markdown(report)):
        assert "llm" in page
        assert "3 groups by source" in page
    assert audit(pd.DataFrame({"question": ["a"], "answer": ["b"]}), checks=CHECKS).groups is None


def test_files_give_what_a_table_gives(
    report: Report, mixture: pd.DataFrame, tmp_path: Path
) -> None:
    mixture.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    mixture.to_parquet(tmp_path / "rows.parquet")
    for name in ("rows.jsonl", "rows.parquet"):
        found = audit(str(tmp_path / name), checks=CHECKS, by="source", out=tmp_path / "out" / name)
        assert found.groups == report.groups
    flagged = found.flagged()
    assert "index" not in flagged.columns


def test_by_file_split_and_turn(mixture: pd.DataFrame, tmp_path: Path) -> None:
    for split in ("train", "test"):
        mixture.to_json(tmp_path / f"{split}-00000.jsonl", orient="records", lines=True)
    by_split = audit(str(tmp_path), checks=CHECKS, by="split").groups
    by_file = audit(str(tmp_path), checks=CHECKS, by="file").groups
    by_turn = audit(str(tmp_path), checks=CHECKS, by="turn").groups
    assert by_split is not None
    assert by_file is not None
    assert by_turn is not None
    assert {group.name for group in by_split.groups} == {"train", "test"}
    assert {Path(group.name).name for group in by_file.groups} == {
        "train-00000.jsonl",
        "test-00000.jsonl",
    }
    assert [(group.name, group.records) for group in by_turn.groups] == [("0", 2 * len(mixture))]


@pytest.mark.parametrize(
    ("file", "split"),
    [
        ("data/train-00000-of-00001.parquet", "train"),
        ("org/set:validation", "validation"),
        ("<Dataset:test>", "test"),
        ("set/dev.jsonl", "validation"),
        ("test/part-1.jsonl", "test"),
        ("train/test.jsonl", "test"),
        ("contest/latest.jsonl", None),
        ("strain.jsonl", None),
        (r"C:\data\eval\x.jsonl", "test"),
        ("<DataFrame>", None),
    ],
)
def test_the_split_a_name_tells(file: str, split: str | None) -> None:
    assert split_of(file) == split


def records(answers: list[str], file: str = "a") -> pa.RecordBatch:
    size = len(answers)
    columns = {"file": [file] * size, "row": range(size), "turn": [0] * size}
    return record_batch({**columns, "question": [""] * size, "answer": answers})


def grouped(values: list[object], by: str = "source", file: str = "a") -> GroupSketches:
    grouper = Grouper(Grouping(by))
    batch = records([f"answer {i}" for i in range(len(values))], file)
    grouper.add(batch, Index({by: values}), np.arange(len(values)) % 2 == 0)
    return grouper.groups()


def test_merging_is_the_same_in_any_order() -> None:
    parts = [grouped(["x", "y", None], file="a"), grouped(["y"], file="b"), grouped([3], file="c")]
    merged = [a.merged(b).merged(c) for a, b, c in permutations(parts)]
    for one in merged:
        assert one.flagged == merged[0].flagged == {"x": 1, "y": 1, None: 1, "3": 1}
        assert one.sketches == merged[0].sketches


@pytest.mark.parametrize("text", ["(none)", "(no value)", "None", "null", "nan"])
def test_records_without_a_value_are_a_group_of_their_own(text: str) -> None:
    values = [text, None, text, "", None, text]
    assert {name: part.records for name, part in grouped(values).sketches.items()} == {
        text: 3,
        None: 3,
    }
    rows = pd.DataFrame({"question": "Why?", "answer": list("abcdef"), "source": values})
    report = audit(rows, checks=CHECKS, by="source")
    assert report.groups is not None
    assert {group.name: group.records for group in report.groups.groups} == {text: 3, None: 3}
    assert Report.from_json(report.to_json()).groups == report.groups
    jsonschema.validate(orjson.loads(report.to_json()), schema())
    assert len({group_name(group) for group in report.groups.groups}) == 2


def test_more_groups_than_are_kept_are_refused() -> None:
    assert len(grouped(list(range(MOST))).sketches) == MOST
    with pytest.raises(InputError, match=r"'source'.*more than 64 groups.*choose a column"):
        grouped(list(range(MOST + 1)))
    with pytest.raises(InputError, match="more than 64 groups"):
        grouped(list(range(MOST))).merged(grouped(["another"], file="b"))


def test_a_column_that_is_not_there_is_named(mixture: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"'sauce'.*source"):
        audit(mixture, checks=CHECKS, by="sauce")


def test_intervals_of_more_groups_are_wider() -> None:
    assert widening(1) == pytest.approx(1)
    assert widening(2) < widening(10) < widening(64)
    assert widening(10) == pytest.approx(2.807 / 1.960, abs=1e-3)
