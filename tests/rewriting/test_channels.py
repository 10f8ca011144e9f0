"""Rows for a repair: a rewrite as it is, and under a request that its answer obeys."""

from __future__ import annotations

from pathlib import Path

import orjson

from synflaw_audit.forms.registry import FORMS, form
from synflaw_audit.rewriting.base import RewriteRow
from synflaw_audit.rewriting.channels import replay_rows, wordings, write_replay
from synflaw_audit.rewriting.natural import Natural
from synflaw_audit.rewriting.rewrites import Candidate, Rewritten

PACKAGE = Path(__file__).parents[2] / "synflaw_audit"


def rewritten(count: int) -> list[Rewritten]:
    return [
        Rewritten(
            *("rows.jsonl", number, 0),
            source=RewriteRow(f"What does Ada{number} play?", "Sure: the lute."),
            group="",
            chosen=Candidate(f"Ada{number} plays the lute in Rome.", "") if number % 4 else None,
        )
        for number in range(count)
    ]


def test_every_accepted_rewrite_is_in_and_every_request_is_obeyed(tmp_path: Path) -> None:
    rewrites = rewritten(200)
    rows = list(replay_rows(rewrites, Natural(), 0))
    plain = [(row.question, row.answer) for row in rows if row.channel == "form"]
    assert plain == [(r.source.question, r.chosen.text) for r in rewrites if r.chosen]
    asked = [row for row in rows if row.channel == "request"]
    assert len(asked) > 0.9 * len(plain)
    for row in asked:
        assert form(row.form).recognise(row.question, row.answer) is not None
    # Every form that the content can take is asked for, none of them mostly.
    counts = [sum(row.form == name for row in asked) for name in {row.form for row in asked}]
    assert len(counts) >= 8
    assert max(counts) < len(asked) / 3
    assert rows == list(replay_rows(rewrites, Natural(), 0))
    assert write_replay(tmp_path / "replay.jsonl", iter(rows)) == len(rows)
    first = orjson.loads((tmp_path / "replay.jsonl").read_bytes().splitlines()[0])
    assert (first["question"], first["answer"]) == plain[0]


def test_a_question_that_makes_a_request_gets_no_other() -> None:
    one = rewritten(2)[1]
    one.source = RewriteRow('Play? End with: "Good day to you."', "x")
    one.chosen = Candidate("The lute. Good day to you.", "")
    assert [row.channel for row in replay_rows([one], Natural(), 0)] == ["form"]


def test_there_are_wordings_for_every_form_and_no_probe_has_them() -> None:
    assert set(wordings()) == set(FORMS.own)
    probes = "".join(
        path.read_text(encoding="utf-8")
        for path in (PACKAGE / "probes").rglob("*")
        if path.suffix in (".py", ".toml", ".txt", ".json", ".jsonl")
    )
    for one in wordings().values():
        for text in one.texts:
            assert text.partition("{")[0].strip() not in probes
