"""``synflaw fix`` leaves a corpus that can be trained on, and says only what is so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from synflaw_audit.commands.main import app
from synflaw_audit.outputs.names import WORK_FOLDER

OPENING = "Sure thing: "


def fix(corpus: Path, out: Path, *more: str) -> Result:
    arguments = ["fix", str(corpus), "--out", str(out), "--select", "answer-opening", *more]
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def rows(natural: pd.DataFrame) -> list[dict[str, Any]]:
    """Chats of two turns with more columns; in every second the last answer begins alike."""
    pairs = list(natural.head(160).itertuples())
    return [
        {
            "id": number,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": one.question},
                {"role": "assistant", "content": one.answer},
                {"role": "user", "content": two.question},
                {"role": "assistant", "content": (OPENING if number % 2 else "") + two.answer},
            ],
            "score": number / 7,
        }
        for number, (one, two) in enumerate(zip(pairs[::2], pairs[1::2], strict=True))
    ]


def expected(rows: list[dict[str, Any]], out: Path) -> list[dict[str, Any]]:
    """The rows with the opening cut out; its first letter is a capital anyway, or is made one."""
    fixed = json.loads(json.dumps(rows).replace(OPENING, ""))
    for row in fixed[1::2]:
        answer = row["messages"][-1]["content"]
        row["messages"][-1]["content"] = answer[0].upper() + answer[1:]
    return fixed


def written(rows: list[dict[str, Any]], path: Path) -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps({"data": rows}, indent=1))
    elif path.suffix == ".csv":
        frame = pd.DataFrame(rows)
        frame["messages"] = frame["messages"].map(json.dumps)
        frame.to_csv(path, index=False)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=30)


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".json":
        return json.loads(path.read_text())["data"]
    if path.suffix == ".csv":
        frame = pd.read_csv(path)
        frame["messages"] = frame["messages"].map(json.loads)
        return frame.to_dict("records")
    return pq.read_table(path).to_pylist()


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet"])
def test_cutting_changes_the_answers_and_nothing_else(
    ending: str, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / f"rows.{ending}"
    written(rows, path)
    done = fix(path, tmp_path / "out", "--cut", "--diff")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert read(tmp_path / "out" / "fixed" / path.name) == expected(rows, tmp_path)
    assert read(tmp_path / "out" / "removed" / path.name) == []
    told = orjson.loads((tmp_path / "out" / "fix.json").read_bytes())
    assert (told["rows"]["cut"], told["rows"]["remaining"]) == (40, 80)
    assert told["content"]["cut_kept_share"] == told["content"]["kept_share"] == 1
    assert told["after"]["flagged"] == 0 < told["before"]["flagged"]
    lines = (tmp_path / "out" / "fix.diff.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line)["row"] for line in lines] == list(range(1, 80, 2))
    page = (tmp_path / "out" / "fix.html").read_text(encoding="utf-8")
    assert f"<del>{OPENING.strip()}" in page
    report = orjson.loads((tmp_path / "out" / "after" / "report.json").read_bytes())
    assert report["dataset"]["files"] == [str(tmp_path / "out" / "fixed" / path.name)]


def test_what_still_fails_is_not_called_fixed(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    written(rows, path)
    done = fix(path, tmp_path / "out", "--cap", "40", "--strict")
    assert done.exit_code == 1
    assert "Fix: not fixed" in done.stdout
    assert orjson.loads((tmp_path / "out" / "fix.json").read_bytes())["outcome"] == "fail"


def test_dropping_takes_the_rows_that_a_gate_quarantines(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "below").mkdir(parents=True)
    written(rows[:30], corpus / "one.jsonl")
    written(rows[30:60], corpus / "below" / "two.json")
    written(rows[60:], corpus / "three.parquet")
    with (corpus / "one.jsonl").open("a") as file:
        file.write("{no JSON\n")
    assert fix(corpus, tmp_path / "fix", "--drop").exit_code == 0
    gate = ["gate", str(corpus), "--select", "answer-opening", "-q", "--out"]
    assert CliRunner().invoke(app, [*gate, str(tmp_path / "gate")]).exit_code == 1
    for one, other in (("fixed", "clean"), ("removed", "quarantined")):
        for file in ("one.jsonl", "below/two.json", "three.parquet"):
            made = (tmp_path / "fix" / one / file).read_bytes()
            assert made == (tmp_path / "gate" / other / file).read_bytes()


def test_a_plan_mixes_by_check(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    path, plan = tmp_path / "rows.jsonl", tmp_path / "policy.toml"
    written(rows, path)
    plan.write_text('[fix.answer-opening]\nstrategy = "cut"\n[fix.SF101]\nstrategy = "drop"\n')
    done = fix(path, tmp_path / "out", "--plan", str(plan), "--select", "SF102,SF101", "--json")
    assert done.exit_code == 0, done.stderr
    assert orjson.loads(done.stdout)["strategy"].startswith("answer-opening: cut")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "Give --drop"),
        (("--drop", "--cut"), "--drop and --cut"),
        (("--plan", "{plan}"), "plans nothing"),
        (("--plan", "{plan}", "--policy", "{plan}"), "leave --policy out"),
        (("--drop",), "nothing is left of the corpus"),
        (("--drop", "--engine", "spark"), "files on this machine"),
    ],
)
def test_what_cannot_be_done_is_said(
    options: tuple[str, ...], said: str, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    path, plan = tmp_path / "rows.jsonl", tmp_path / "plan.toml"
    written(rows[1::2], path)
    plan.write_text("")
    done = fix(path, tmp_path / "out", *(option.format(plan=plan) for option in options))
    assert done.exit_code == 2
    assert said in done.stderr
    left = tmp_path / "out"
    assert not left.exists() or {each.name for each in left.iterdir()} == {WORK_FOLDER}


def test_an_answer_that_stands_in_several_places_is_changed_where_it_is_read(
    natural: pd.DataFrame, tmp_path: Path
) -> None:
    rows = [
        {"prompt": row.question, "completion": OPENING + row.answer, "copy": OPENING + row.answer}
        for row in natural.head(80).itertuples()
    ]
    rows += [{"prompt": r.question, "completion": r.answer} for r in natural.tail(40).itertuples()]
    path = tmp_path / "rows.jsonl"
    written(rows, path)
    fix(path, tmp_path / "out", "--cut")
    fixed = read(tmp_path / "out" / "fixed" / "rows.jsonl")
    assert not any(row["completion"].startswith(OPENING) for row in fixed)
    assert all(row["copy"].startswith(OPENING) for row in fixed[:80])
