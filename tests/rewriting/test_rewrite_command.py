"""``synflaw fix --rewrite-with``: rows said anew where every judge agrees, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from synflaw_audit.commands.main import app
from synflaw_audit.fixing import Cap
from synflaw_audit.rewriting import Rewrite
from synflaw_audit.rewriting.base import RewriteRow
from synflaw_audit.rewriting.rewrites import Rewritten

OPENING = "Sure thing: "


def fix(corpus: Path, out: Path, *more: str) -> Result:
    arguments = ["fix", str(corpus), "--out", str(out), "--select", "answer-opening", *more]
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def corpus(natural: pd.DataFrame, tmp_path: Path) -> Path:
    """Every second answer begins alike."""
    path = tmp_path / "rows.jsonl"
    rows = [
        {
            "id": number,
            "question": row.question,
            "answer": OPENING + row.answer if number % 2 else row.answer,
        }
        for number, row in enumerate(natural.head(120).itertuples())
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_flagged_rows_are_said_anew_and_the_rest_is_untouched(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = fix(corpus, out, "--rewrite-with", "rules")
    assert done.exit_code == 0, done.stdout + done.stderr
    before = corpus.read_bytes().splitlines()
    after = (out / "fixed" / corpus.name).read_bytes().splitlines()
    told = orjson.loads((out / "fix.json").read_bytes())
    rows = pq.read_table(out / "rewrites.parquet").to_pylist()
    assert [row["row"] for row in rows] == list(range(1, 120, 2))
    accepted = {row["row"]: row for row in rows if row["accepted"]}
    assert len(accepted) == told["rows"]["rewritten"] > 30
    assert told["rows"]["dropped"] == 60 - len(accepted)
    # Unflagged lines to the byte, rewritten ones with the answer alone changed, others gone.
    kept = {orjson.loads(line)["id"]: line for line in after}
    for number, line in enumerate(before):
        if number % 2 == 0:
            assert kept[number] == line
        elif number in accepted:
            row = {**orjson.loads(line), "answer": accepted[number]["rewritten"]}
            assert orjson.loads(kept[number]) == row
            assert not accepted[number]["rewritten"].startswith(OPENING)
            assert accepted[number]["facts_lost"] == accepted[number]["facts_invented"] == []
            assert accepted[number]["why"] == ""
        else:
            assert number not in kept
    assert all(row["why"] for row in rows if not row["accepted"])
    assert told["after"]["flagged"] == 0
    assert any(notice.startswith("Rewritten: ") for notice in told["notices"])


@pytest.mark.parametrize("reasons", [1, 4, 5, 9])
def test_notices_tell_of_every_row_that_is_not_said_anew(reasons: int) -> None:
    strategy = Rewrite(lambda natural: pytest.fail("nothing is made"), Cap(0, 0))
    source = RewriteRow("q", "a", (), "", ())
    for row in range(40):
        why = f"reason {row % reasons}"
        strategy.rewrites.append(Rewritten("rows.jsonl", row, 0, source, "t", missing=why))
    told = [note for note in strategy.notices() if note.startswith("Not rewritten: ")]
    assert sum(int(note.split()[2]) for note in told) == 40
    assert any("rewrites.parquet" in note for note in told) == (reasons > 4)


def test_the_same_seed_writes_the_same_corpus_and_another_one_another(
    corpus: Path, tmp_path: Path
) -> None:
    def rewritten(name: str, seed: str) -> list[str]:
        fix(corpus, tmp_path / name, "--rewrite-with", "rules", "--seed", seed)
        return pq.read_table(tmp_path / name / "rewrites.parquet")["rewritten"].to_pylist()

    first = rewritten("one", "1")
    assert first == rewritten("two", "1")
    assert first != rewritten("three", "2")


def test_a_few_new_openings_are_a_new_format_and_such_rows_are_capped(
    corpus: Path, tmp_path: Path
) -> None:
    """The phrase is exchanged for three others, and each opens a third of the rewrites."""
    rows = [orjson.loads(line) for line in corpus.read_bytes().splitlines()]
    for row in rows[1::2]:
        row["answer"] = row["answer"].replace(OPENING, "Based on your words, this is it: ")
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = fix(corpus, tmp_path / "out", "--rewrite-with", "rules", "--cap", "3")
    assert done.exit_code == 0, done.stdout + done.stderr
    told = orjson.loads((tmp_path / "out" / "fix.json").read_bytes())["rows"]
    assert (told["kept"], told["rewritten"] + told["dropped"]) == (3, 57)
    why = pq.read_table(tmp_path / "out" / "rewrites.parquet")["why"].to_pylist()
    assert sum("in common with other rewrites: answer-opening" in each for each in why) > 20


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--rewrite-with", "ruels"], "Did you mean 'rules'?"),
        (["--rewrite-with", "rules", "--drop"], "not --drop and --rewrite-with"),
        (["--drop", "--for", "repair"], "--for is about rewriting"),
        (["--rewrite-with", "rules", "--for", "training"], "'repair', or for nothing"),
        (["--drop", "--rewriting", "x.toml"], "--rewriting is about rewriting"),
    ],
)
def test_what_cannot_be_is_said_with_the_choices(
    options: list[str], says: str, corpus: Path, tmp_path: Path
) -> None:
    done = fix(corpus, tmp_path / "out", *options)
    assert done.exit_code == 2
    assert says in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("candidates = 0", "candidates"),
        ("candidate = 3", "candidates"),
        ("[mixture.layout]\npoem = 1", "poem"),
        ("[mixture.layout]\nprose = 0", "layout"),
    ],
)
def test_settings_are_read_strictly(text: str, says: str, corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    done = fix(corpus, tmp_path / "out", "--rewrite-with", "rules", "--rewriting", str(path))
    assert done.exit_code == 2
    assert says in done.stderr
