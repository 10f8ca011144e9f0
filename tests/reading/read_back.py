"""What the tests of reading share: rows written as lines, and read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from synflaw_audit.reading import Rejected, open_source

PAIRS = [("Who wrote it?", "Ada did, in 1843."), ("Why: a whim?", "No. It was asked of her.")]


def read(path: Path, **options: Any) -> tuple[str, list[dict[str, Any]], list[str]]:
    """The schema, the records without their file, and the reasons of rejected rows."""
    rejected: list[Rejected] = []
    source = open_source(path, **options)
    found = pa.Table.from_batches(source.batches(rejected.append)).drop_columns("file")
    schema = next(iter(source.schemas().values()))
    return schema, found.to_pylist(), [each.reason for each in rejected]


def pairs(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["question"], each["answer"]) for each in records]


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def talk(role: str, content: str, user: str, assistant: str) -> Callable[[str, str], Any]:
    return lambda q, a: [{role: user, content: q}, {role: assistant, content: a}]


MESSAGES = talk("role", "content", "user", "assistant")
