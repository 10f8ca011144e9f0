"""What must hold of every file, whatever is in it; a breach is an ``AssertionError``."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

import pyarrow.parquet as pq
from hostile import Hostile
from typer.testing import CliRunner

from synflaw_audit.commands.main import app
from synflaw_audit.errors import InputError
from synflaw_audit.findings.accounts import FileAccount
from synflaw_audit.reading import Rejected, open_source

OUTPUTS = ("clean.parquet", "quarantined.parquet", "flagged.parquet", "rejected.jsonl", "gate.json")


def check_reading(file: Hostile, folder: Path) -> str:
    """Reads a file twice; every row must be counted, and no foreign exception may leave.

    Returns:
        "read", "damaged" or "refused".
    """
    path = folder / file.name
    path.write_bytes(file.data)
    first, second = _read(path), _read(path)
    assert first == second, "two readings differ"
    if isinstance(first, str):
        assert file.rows is None or not file.rows or "none of its" in first or _no_schema(first), (
            f"a sound file is refused: {first}"
        )
        return "refused"
    account, rows, records, rejected = first
    assert account.rows == len(set(rows)) + account.rejected, "a row is unaccounted for"
    assert (account.records, account.rejections) == (records, len(rejected)), "counts differ"
    assert account.exact or account.damage, "an inexact count without damage"
    if file.rows is not None:
        assert (account.rows, account.damage) == (file.rows, ()), (
            f"{account.rows} rows of {file.rows}, damage {account.damage}"
        )
    return "damaged" if account.damage else "read"


def _no_schema(message: str) -> bool:
    """Whether the rows are read, but nothing in their columns is a question and an answer."""
    return any(
        said in message
        for said in (
            "no question and answer found",
            "more than one reading",
            "named more than once",
        )
    )


def _read(
    path: Path,
) -> str | tuple[FileAccount, tuple[int, ...], int, tuple[tuple[int, int, str, str], ...]]:
    rejected: list[Rejected] = []
    try:
        source = open_source(path)
        batches = list(source.batches(rejected.append))
    except InputError as error:
        return str(error)
    for batch in batches:
        batch.validate(full=True)
    for row in rejected:
        assert len(row.preview) <= 200
        assert row.preview.isprintable()
    rows = tuple(row for batch in batches for row in batch.column("row").to_pylist())
    told = tuple((row.line, row.row, row.reason, row.preview) for row in rejected)
    return source.account(0), rows, len(rows), told


def check_gate(file: Hostile, folder: Path) -> int:
    """Passes a file through the gate, which writes everything it can, and returns the exit code."""
    path, out = folder / file.name, folder / "out"
    path.write_bytes(file.data)
    shutil.rmtree(out, ignore_errors=True)
    result = CliRunner().invoke(app, ["gate", str(path), "--out", str(out), "--select", "SF101"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (0, 1, 2), f"exit {result.exit_code}"
    assert "fault of the program" not in result.output, result.output
    assert not _obeyed(result.output), "the terminal gets control characters"
    if result.exit_code == 2 and not _undecided(out):
        assert not any((out / name).exists() for name in OUTPUTS), "outputs without a verdict"
        return 2
    _check_outputs(path, out)
    return result.exit_code


def _undecided(out: Path) -> bool:
    """Whether the gate came to its end, and says that nothing could be judged."""
    decision = out / "gate.json"
    return decision.exists() and json.loads(decision.read_bytes())["outcome"] == "undecided"


def _check_outputs(path: Path, out: Path) -> None:
    read = _read(path)
    assert not isinstance(read, str)
    account, rows, records, _ = read
    clean, quarantined, flagged = (
        pq.read_table(out / f"{name}.parquet") for name in ("clean", "quarantined", "flagged")
    )
    assert clean.num_rows + quarantined.num_rows == records, "records vanish between the outputs"
    kept = {*clean["row"].to_pylist(), *quarantined["row"].to_pylist()}
    assert kept == set(rows), "rows vanish between the outputs"
    assert account.rows == len(kept) + account.rejected, "a row is unaccounted for"
    lines = (out / "rejected.jsonl").read_bytes().splitlines()
    assert len([json.loads(line) for line in lines]) == account.rejections
    places = ("file", "row", "turn")
    assert flagged.select(places) == quarantined.select(places)
    for answer, spans in zip(
        flagged["answer"].to_pylist(), flagged["template_spans"].to_pylist(), strict=True
    ):
        ends = [0]
        for span in spans:
            assert ends[-1] <= span["start"] < span["end"] <= len(answer), "a span is no part"
            ends.append(span["end"])
    json.loads((out / "report.json").read_bytes())
    assert not _obeyed((out / "report.md").read_text()), "the report holds control characters"


def _obeyed(text: str) -> bool:
    return any(
        (unicodedata.category(c) == "Cc" and c not in "\n\t\r") or c in "\u202a\u202b\u202d\u202e"
        for c in text
    )
