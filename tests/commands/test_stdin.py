"""A corpus that is piped into the command is read as the file that it was."""

import bz2
import csv
import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = [{"question": f"What is {n}?", "answer": f"It is number {n}."} for n in range(20)]


def jsonl() -> bytes:
    return "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def table() -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["question", "answer"])
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue().encode()


def run(*arguments: str, given: bytes) -> subprocess.CompletedProcess[bytes]:
    root = str(Path(__file__).parents[2])
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "synflaw_audit", *arguments],
        input=given,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": root},
    )


@pytest.mark.parametrize(
    "given",
    [jsonl(), gzip.compress(table()), bz2.compress(json.dumps(ROWS).encode())],
    ids=["JSON lines", "CSV with gzip", "JSON with bzip2"],
)
def test_what_is_piped_in_is_read(given: bytes) -> None:
    done = run("inspect", "-", "--json", given=given)
    assert done.returncode == 0, done.stderr
    (file,) = json.loads(done.stdout)["files"]
    assert file["file"] == "<stdin>"
    assert [record["answer"] for record in file["records"]] == [r["answer"] for r in ROWS[:10]]


def test_nothing_is_an_error() -> None:
    done = run("inspect", "-", given=b"")
    assert done.returncode == 2
    assert b"nothing came in through standard input" in done.stderr
