"""Every row of every file is counted once: as a record, as rejected, or as lost to damage."""

from __future__ import annotations

import json
from pathlib import Path

from synflaw_audit.reading import Rejected, open_source
from synflaw_audit.records import RECORDS


def test_rows_turns_and_records_are_told_apart(tmp_path: Path) -> None:
    def talk(*answers: str) -> str:
        turns = [
            {"role": role, "content": text}
            for answer in answers
            for role, text in (("user", "q"), ("assistant", answer))
        ]
        return json.dumps({"messages": turns})

    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([talk("a", "b"), talk("a", ""), talk("", ""), "7", talk("c"), ""]))
    source, rejected = open_source(path), list[Rejected]()
    records = sum(batch.num_rows for batch in source.batches(rejected.append))
    (account,) = source.accounts().files
    assert (account.file, account.rows, account.rejected) == (str(path), 5, 2)
    assert account.records == records == 4
    assert account.rejections == len(rejected) == 4
    assert (account.exact, account.lost, account.damage) == (True, 0, ())


def test_columns_with_text_that_nobody_reads_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = {"question": "q", "answer": "a", "n": 3, "id": "17", "why": "because", "none": None}
    nested = {"tags": [{"name": "x"}], "sizes": [1, 2], "empty": ""}
    path.write_text(json.dumps(row | nested) + "\n" + json.dumps(row))
    source = open_source(path)
    assert [batch.schema for batch in source.batches()] == [RECORDS]
    assert source.account(0).unread == ("why", "tags")


def test_accounts_are_of_the_files_read_so_far(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text('{"question": "q", "answer": "a"}\n')
    source = open_source(tmp_path)
    assert source.accounts().files == ()
    list(source.file_batches(1))
    assert [account.file for account in source.accounts().files] == [str(tmp_path / "b.jsonl")]
    list(source.batches())
    assert [account.rows for account in source.accounts().files] == [1, 1]
