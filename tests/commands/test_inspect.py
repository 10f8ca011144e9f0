"""What a corpus is understood as, before anything is audited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from synflaw_audit.commands.main import app


def inspected(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["inspect", *arguments])


def chat(*turns: tuple[str, str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} | more for role, content, more in turns]


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_readings_masks_and_unread_columns_are_told(tmp_path: Path) -> None:
    row = {
        "messages": chat(
            ("system", "Be brief.", {}),
            ("user", "Q?", {}),
            ("assistant", "Draft.", {"weight": 0}),
            ("user", "Again?", {}),
            ("assistant", "<think>Hm.</think>Final.", {"weight": 1}),
        ),
        "instruction": "Again?",
        "output": "Final.",
        "note": "who wrote it",
    }
    path = write(tmp_path / "a.jsonl", [row, row, {"messages": []}])
    told = inspected(path)
    assert told.exit_code == 0
    for part in (
        "read as messages; to say so: --answer messages",
        "could be instruction/output: --question instruction --answer output",
        "columns with text not read: 'note'",
        "row 0: turn 0 is context, and not learned",
        "row 2 cannot be read: messages is an empty conversation",
        "Be brief.",
        "Hm.",
    ):
        assert part in told.output
    assert "Draft." not in told.output
    found = json.loads(inspected(path, "--json").stdout)
    (file,) = found["files"]
    assert file["context"] == {"0": [0], "1": [0]}
    assert file["records"][0] == {
        **{"row": 0, "turn": 1, "question": "Again?", "answer": "Final.", "system": "Be brief."},
        **{"reasoning": "Hm.", "rejected": None},
    }
    assert (
        len(json.loads(inspected(path, "--json", "--rows", "1").stdout)["files"][0]["records"]) == 1
    )


def test_nothing_is_obeyed_that_stands_in_the_data(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"question": "[red]q", "answer": "\x1b[31ma\nb"}])
    told = inspected(path)
    assert "[red]q" in told.output
    assert "\x1b" not in told.output


def test_skipped_and_empty_files_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"question": "q", "answer": "a"}])
    write(tmp_path / "b.jsonl", [])
    (tmp_path / "dataset_info.json").write_text("{}")
    told = inspected(str(tmp_path))
    assert "holds no rows" in told.output
    assert "dataset_info.json (describes a data set and holds no rows)" in told.output


def test_several_readings_are_listed_with_their_options(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"question": "q", "answer": "a", "response": "b"}])
    told = inspected(path)
    assert told.exit_code == 2
    assert "--question question --answer response" in told.output
    assert inspected(path, "--answer", "response").exit_code == 0
