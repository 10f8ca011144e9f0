"""Our own readers and schemas pass the suites that another package's parts are held to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from synflaw_audit.reading.registry import READERS
from synflaw_audit.reading.schemas import SCHEMAS, Conversation, Pair, SchemaOptions
from synflaw_audit.reading.schemas.preferences import Preference
from synflaw_audit.reading.schemas.transcripts import Transcript
from synflaw_audit.testing import checks_of, parametrize_with_checks
from synflaw_audit.testing.readers import Writer
from synflaw_audit.testing.schemas import SchemaExample

Rows = Any


def write_json_lines(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_json(path: Path, rows: Rows) -> None:
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def write_separated(delimiter: str) -> Callable[[Path, Rows], None]:
    def write(path: Path, rows: Rows) -> None:
        pd.DataFrame(rows).to_csv(path, sep=delimiter, index=False)

    return write


def write_parquet(path: Path, rows: Rows) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_arrow(path: Path, rows: Rows) -> None:
    pyarrow.feather.write_feather(pa.Table.from_pylist(rows), str(path))


WRITERS = {
    "jsonl": write_json_lines,
    "ndjson": write_json_lines,
    "json": write_json,
    "csv": write_separated(","),
    "tsv": write_separated("\t"),
    "parquet": write_parquet,
    "arrow": write_arrow,
    "feather": write_arrow,
    "ipc": write_arrow,
}


@parametrize_with_checks("reader", [Writer(name, write) for name, write in WRITERS.items()])
def test_readers(part: Writer, check: Callable[[Writer], None]) -> None:
    check(part)


def test_every_reader_is_held_to_the_suite() -> None:
    assert list(WRITERS) == list(READERS.own)


MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Who?"},
    {"role": "assistant", "content": "Ada."},
    {"role": "user", "content": "When?"},
    {"role": "assistant", "content": "In 1843."},
]
COMPLETION = [{"role": "assistant", "content": "Ada."}]
EXAMPLES = [
    SchemaExample(
        Pair,
        [{"prompt": "Who?", "completion": "Ada."}, {"prompt": "When?", "completion": "In 1843."}],
        [[("Who?", "Ada.")], [("When?", "In 1843.")]],
    ),
    SchemaExample(
        Pair,
        [{"prompt": [MESSAGES[1]], "completion": COMPLETION}],
        [[("Who?", "Ada.")]],
    ),
    SchemaExample(
        Pair,
        [{"text": "Ada wrote it."}],
        [[("", "Ada wrote it.")]],
        SchemaOptions(answer="text"),
    ),
    SchemaExample(
        Pair,
        [
            {
                "instruction": "Who?",
                "output": "Ada.",
                "system": "Be brief.",
                "history": [["A?", "B."]],
            }
        ],
        [[("A?", "B."), ("Who?", "Ada.")]],
    ),
    SchemaExample(
        Pair,
        [{"question": "Who?", "answer": ["Ada.", "She."]}],
        [[("Who?", "Ada."), ("Who?", "She.")]],
    ),
    SchemaExample(
        Conversation, [{"messages": MESSAGES}], [[("Who?", "Ada."), ("When?", "In 1843.")]]
    ),
    SchemaExample(
        Conversation,
        [{"conversations": json.dumps(MESSAGES)}],
        [[("Who?", "Ada."), ("When?", "In 1843.")]],
    ),
    SchemaExample(
        Conversation,
        [{"messages": {"role": ["user", "assistant"], "content": ["Who?", "Ada."]}}],
        [[("Who?", "Ada.")]],
    ),
    SchemaExample(
        Preference, [{"prompt": "Who?", "chosen": "Ada.", "rejected": "Eve."}], [[("Who?", "Ada.")]]
    ),
    SchemaExample(
        Preference,
        [
            {
                "chosen": "\n\nHuman: Who?\n\nAssistant: Ada.",
                "rejected": "\n\nHuman: Who?\n\nAssistant: No.",
            }
        ],
        [[("Who?", "Ada.")]],
    ),
    SchemaExample(
        Transcript,
        [{"text": "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\nAda.<|im_end|>\n"}],
        [[("Who?", "Ada.")]],
    ),
]


@parametrize_with_checks("schema", EXAMPLES)
def test_schemas(part: SchemaExample, check: Callable[[SchemaExample], None]) -> None:
    check(part)


def test_every_schema_is_held_to_the_suite() -> None:
    assert {example.schema for example in EXAMPLES} == {SCHEMAS[name] for name in SCHEMAS.own}


@pytest.mark.parametrize("kind", ["reader", "schema"])
def test_a_suite_fails_what_breaks_its_contract(kind: str) -> None:
    def write_none(path: Path, rows: Rows) -> None:
        write_json_lines(path, rows[:1])

    parts = {
        "reader": Writer("jsonl", write_none),
        "schema": SchemaExample(
            Pair, [{"prompt": "Who?", "completion": "Ada."}], [[("Who?", "Eve.")]]
        ),
    }
    failed = [check for check in checks_of(kind) if fails(check, parts[kind])]
    assert failed


def fails(check: Callable[[Any], None], part: object) -> bool:
    try:
        check(part)
    except AssertionError:
        return True
    return False
