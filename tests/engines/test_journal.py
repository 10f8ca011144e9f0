"""An interrupted audit goes on, and ends with what an uninterrupted one ends with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest

from synflaw_audit import audit
from synflaw_audit.engines.local import engine as local
from synflaw_audit.engines.local import journal
from synflaw_audit.errors import InputError
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.outputs.names import MANIFEST_FILE, WORK_FOLDER
from synflaw_audit.reading import open_source

FILES = ("flagged.parquet", "rejected.jsonl", "clean.parquet", "quarantined.parquet")


class Killed(BaseException):
    """Like a signal: nothing that catches errors catches it."""


@pytest.fixture
def corpus(tmp_path: Path, templated: pd.DataFrame, natural: pd.DataFrame) -> list[str]:
    """Three files, the second with a row that cannot be read."""
    rows = pd.concat([templated, natural]).sample(frac=1, random_state=0)
    paths = [tmp_path / f"{name}.jsonl" for name in "abc"]
    for path, part in zip(paths, np.array_split(np.arange(len(rows)), 3), strict=True):
        rows.iloc[part].to_json(path, orient="records", lines=True, force_ascii=False)
    paths[1].write_text("not JSON\n" + paths[1].read_text(encoding="utf-8"), encoding="utf-8")
    return [str(path) for path in paths]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches and shards so small that a small corpus has many."""
    monkeypatch.setattr(journal, "SHARD_RECORDS", 150)
    monkeypatch.setattr(local, "SHARD_RECORDS", 150)
    small = lambda *args, **options: open_source(*args, **options | {"batch_records": 64})  # noqa: E731
    monkeypatch.setattr(sys.modules["synflaw_audit.run"], "open_source", small)


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def killed_at(corpus: list[str], out: Path, stage: str, after: int) -> None:
    def progress(at: str, done: int) -> None:
        if at == stage and done >= after:
            raise Killed

    with pytest.raises(Killed):
        audit(corpus, out=out, split=True, progress=progress)


@pytest.mark.parametrize(
    ("stage", "after"),
    [("reading", 1), ("reading", 500), ("measuring", 0), ("flagging", 100), ("flagging", 600)],
)
def test_a_resumed_audit_equals_an_uninterrupted_one(
    corpus: list[str], tmp_path: Path, stage: str, after: int
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    report = audit(corpus, out=whole, split=True)
    killed_at(corpus, killed, stage, after)
    staging = killed / WORK_FOLDER / "staging"
    staging.mkdir(parents=True)
    (staging / ".flagged.parquet.1-abc.part").write_bytes(b"PAR1")  # what a signal leaves
    assert {path.name for path in killed.iterdir()} == {WORK_FOLDER}
    again = audit(corpus, out=killed, split=True, resume=True)
    assert outputs(killed) == outputs(whole)
    told, expected = ({**r.to_dict(), "seconds": {}} for r in (again, report))
    assert told == expected
    assert {path.name for path in killed.iterdir()} == {*FILES, MANIFEST_FILE}
    assert (killed / MANIFEST_FILE).read_bytes() == (whole / MANIFEST_FILE).read_bytes()


def test_what_is_finished_is_not_done_again(
    corpus: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_at(corpus, tmp_path / "out", "flagging", 600)
    read, flagged = [], []
    file_batches, flag = local.Source.file_batches, Flagger.flag
    monkeypatch.setattr(
        local.Source,
        "file_batches",
        lambda self, number, reject=None: read.append(number) or file_batches(self, number, reject),
    )
    monkeypatch.setattr(
        Flagger, "flag", lambda self, batch: flagged.append(len(batch)) or flag(self, batch)
    )
    report = audit(corpus, out=tmp_path / "out", split=True, resume=True)
    assert read == [0, 1, 2]  # in the second pass alone
    assert sum(flagged) <= report.dataset.records - 450


def test_rejected_rows_are_kept_on_disk_and_once(
    corpus: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a file that was not finished are neither lost nor taken twice."""
    monkeypatch.setattr(journal, "_REJECTED_ROWS", 2)
    for name in corpus:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write("no JSON\n" * 7)
    report = audit(corpus, out=tmp_path / "whole", split=True)
    assert report.dataset.rejected == 22
    counted = 0

    def progress(stage: str, done: int) -> None:
        nonlocal counted
        counted += stage == "reading"
        if counted > 12 or stage != "reading":
            raise Killed

    kept: list[int] = []
    keep = journal.AuditJournal.keep_first_pass
    monkeypatch.setattr(
        journal.AuditJournal,
        "keep_first_pass",
        lambda self, files, found: (kept.append(len(self._waiting)), keep(self, files, found)),
    )
    with pytest.raises(Killed):
        audit(corpus, out=tmp_path / "out", split=True, progress=progress)
    assert kept
    assert max(kept) < 2  # in memory, however many there are
    again = audit(corpus, out=tmp_path / "out", split=True, resume=True)
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")
    assert again.dataset.rejected == 22


def test_other_options_and_changed_files_are_refused(corpus: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    killed_at(corpus, out, "measuring", 0)
    with pytest.raises(InputError, match="the interrupted audit was of other seed;"):
        audit(corpus, out=out, split=True, seed=1, resume=True)
    with Path(corpus[0]).open("a", encoding="utf-8") as file:
        file.write('{"question": "one", "answer": "more"}\n')
    with pytest.raises(InputError, match="of other files;"):
        audit(corpus, out=out, split=True, resume=True)
    report = audit(corpus, out=out, split=True)
    assert report.dataset.rejected == 1
    assert not (out / WORK_FOLDER).exists()


def test_with_nothing_to_resume_it_begins(corpus: list[str], tmp_path: Path) -> None:
    audit(corpus, out=tmp_path / "one")
    audit(corpus, out=tmp_path / "two", resume=True)
    one, two = ((tmp_path / name / "flagged.parquet").read_bytes() for name in ("one", "two"))
    assert one == two


def test_tables_cannot_be_resumed(templated: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only an audit of files can be resumed"):
        audit(templated, out=tmp_path, resume=True)


def test_a_shard_cut_off_is_no_shard(corpus: list[str], tmp_path: Path) -> None:
    """Files of the journal appear whole; what a kill left of one is not read."""
    out = tmp_path / "out"
    killed_at(corpus, out, "flagging", 600)
    (out / WORK_FOLDER / "journal" / ".second-000099.arrow.1-abc.part").write_bytes(b"ARROW1")
    audit(corpus, out=out, split=True, resume=True)
    identity = orjson.loads((out / "rejected.jsonl").read_bytes().splitlines()[0])
    assert identity["row"] == 0


def rewritten(path: str) -> None:
    """Other content of the same size and time."""
    file, status = Path(path), Path(path).stat()
    text = file.read_bytes()
    vowel = text.rindex(b"e")
    file.write_bytes(text[:vowel] + b"a" + text[vowel + 1 :])
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("stage", ["measuring", "flagging"])
def test_a_resumed_audit_of_other_content_is_refused(
    corpus: list[str], tmp_path: Path, stage: str
) -> None:
    """Though neither size nor time says so."""
    killed_at(corpus, tmp_path / "out", stage, 0 if stage == "measuring" else 600)
    rewritten(corpus[0])
    with pytest.raises(InputError, match=r"a\.jsonl: changed while it was audited"):
        audit(corpus, out=tmp_path / "out", split=True, resume=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [WORK_FOLDER]


def change(path: Path, how: str) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    if how == "content":
        rewritten(str(path))
    elif how == "order":
        path.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    else:
        kept = {"longer": [*lines, lines[0]], "shorter": lines[:-70], "empty": []}[how]
        path.write_bytes(b"".join(kept))


@pytest.mark.parametrize(
    ("how", "number", "kept"),
    [
        ("content", 0, False),
        ("order", 0, False),
        ("longer", 2, False),
        ("shorter", 2, False),
        ("empty", 1, False),
        ("content", 2, True),
        ("shorter", 0, True),
    ],
)
def test_a_corpus_that_changes_between_the_passes_is_refused(
    corpus: list[str], tmp_path: Path, how: str, number: int, kept: bool
) -> None:
    out = tmp_path / "out"
    if kept:
        killed_at(corpus, out, "flagging", 600)

    def progress(at: str, done: int) -> None:
        if at == "measuring":
            change(Path(corpus[number]), how)

    with pytest.raises(InputError, match=r"changed while it was audited|no rows|none of its"):
        audit(corpus, out=out, split=True, resume=kept, progress=progress)
    assert not [path for path in out.glob("*") if path.name != WORK_FOLDER]


def test_a_table_that_changes_between_the_passes_is_refused(natural: pd.DataFrame) -> None:
    frame = natural.copy()

    def progress(at: str, done: int) -> None:
        if at == "measuring":
            frame.loc[frame.index[3], "answer"] = "something else"

    with pytest.raises(InputError, match="<DataFrame>: changed while it was audited"):
        audit(frame, progress=progress)
