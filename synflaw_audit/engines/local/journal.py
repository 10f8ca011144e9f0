"""What an audit has finished, kept beside its outputs so that a killed run can go on.

The first pass is kept file by file: the sketch of all files read, their accounts and, in a file of
their own that grows as they come, the rejected rows. The second is kept in shards of records: the
rows flagged in each batch. Whoever goes on reads the rows again, which is cheap, and takes what was
found in them from here. A journal belongs to one corpus and one set of options; every state of it
appears whole or not at all, and it is removed when the outputs are published.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import orjson
import pyarrow as pa

from synflaw_audit.engines.base import FirstPass
from synflaw_audit.errors import InputError
from synflaw_audit.findings.accounts import Accounts, FileAccount
from synflaw_audit.flagging.sinks import written
from synflaw_audit.reading import Rejected
from synflaw_audit.records import FLAGGED
from synflaw_audit.sample.repeats import ARRAYS, Repeats
from synflaw_audit.sample.sketch import ANSWER_ARRAYS, AnswerSample, Sketch
from synflaw_audit.text.tokens import Mask, utf8

IDENTITY, REJECTED = "audit.json", "rejected.jsonl"
SHARD_RECORDS = 131_072  # a smaller corpus is audited again as quickly as it is read back
# Rejected rows are written as they come, so many at a time.
_REJECTED_ROWS = 1024


@dataclass(frozen=True)
class FlaggedBatch:
    """What the second pass found in one batch: see ``Flagger.flag``."""

    mask: Mask
    flagged: pa.RecordBatch
    tokens: int


class AuditJournal:
    """The journal of the audit that writes to a folder."""

    def __init__(self, folder: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
        """Opens the journal, or begins a new one.

        Args:
            folder: Where it is kept.
            identity: Whatever decides the result, JSON values; files are named with size and time.
            resume: Go on with what an interrupted run left, if it left anything.

        Raises:
            InputError: What is there is of another corpus or other options; says which differ.
        """
        self._folder = folder
        self._identity = identity
        self._shard: list[FlaggedBatch] = []
        self._records = 0
        self._waiting: list[bytes] = []
        known = self._folder / IDENTITY
        if resume and known.exists():
            _require_same(orjson.loads(known.read_bytes()), identity)
        else:
            self.remove()
        self._shards = self._finished()

    def first_pass(self, empty: FirstPass) -> tuple[int, FirstPass]:
        """How many files the first pass has finished, and what it found in them."""
        path = self._folder / "first.npz"
        if not path.exists():
            (self._folder / REJECTED).unlink(missing_ok=True)
            return 0, empty
        with np.load(path, allow_pickle=False) as kept:
            # What a killed run rejected after this state it, or its like, rejects again.
            os.truncate(self._folder / REJECTED, int(kept["rejected_bytes"]))
            files = orjson.loads(kept["accounts"].tobytes())
            accounts = Accounts(tuple(msgspec.convert(files, list[FileAccount])))
            first = bytes(kept["first_rejected"]).decode()
            allowed = tuple(kept["allowed"].tolist())
            contents = orjson.loads(kept["contents"].tobytes())
            fields = {name: _unpacked(kept, f"{name}_") for name in kept["fields"].tolist()}
            repeats = Repeats(
                **{name: kept[f"repeats_{name}"] for name in ARRAYS},
                files=tuple(orjson.loads(kept["repeats_files"].tobytes())),
                beyond=int(kept["repeats_beyond"]),
            )
            found = FirstPass(
                _unpacked(kept), accounts, first, allowed, contents, fields=fields, repeats=repeats
            )
            return int(kept["files"]), found

    def rejected(self) -> Iterator[Rejected]:
        """The rows rejected in the files that the first pass has finished."""
        with (self._folder / REJECTED).open("rb") as rows:
            for row in rows:
                yield Rejected(**orjson.loads(row))

    def reject(self, row: Rejected) -> None:
        """Takes a row that the first pass rejects."""
        self._waiting.append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        if len(self._waiting) >= _REJECTED_ROWS:
            self._append_rejected()

    def _append_rejected(self) -> int:
        """Appends the rejected rows in hand to their file, and tells how long it is now."""
        with self._begun(REJECTED).open("ab") as file:
            file.writelines(self._waiting)
            self._waiting = []
            return file.tell()

    def keep_first_pass(self, files: int, found: FirstPass) -> None:
        """Keeps what the first pass found in so many files."""
        rejected_bytes = self._append_rejected()
        fields = {
            f"{field}_{name}": array
            for field, sketch in found.fields.items()
            for name, array in _packed(sketch).items()
        }
        with self._writing("first.npz") as path, path.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                files=np.int64(files),
                accounts=np.frombuffer(orjson.dumps(list(found.accounts.files)), np.uint8),
                allowed=np.array(found.allowed, dtype=np.int64),
                contents=np.frombuffer(orjson.dumps(dict(found.contents)), np.uint8),
                first_rejected=np.frombuffer(found.first_rejected.encode(), np.uint8),
                rejected_bytes=np.int64(rejected_bytes),
                fields=np.array(list(found.fields), dtype=np.str_),
                repeats_files=np.frombuffer(orjson.dumps(found.repeats.files), np.uint8),
                repeats_beyond=np.uint64(found.repeats.beyond),
                **{f"repeats_{name}": array for name, array in found.repeats.arrays()},
                **_packed(found.sketch),
                **fields,
            )

    def second_pass(self) -> Iterator[FlaggedBatch]:
        """What the second pass has found, batch by batch, in all finished shards."""
        for shard in self._shards:
            with pa.memory_map(str(shard)) as file, pa.ipc.open_file(file) as batches:
                totals = orjson.loads(batches.schema.metadata[b"batches"])
                for number, (rows, tokens) in enumerate(totals):
                    flagged = batches.get_batch(number)
                    mask = np.zeros(rows, dtype=bool)
                    mask[np.asarray(flagged.column("place"))] = True
                    yield FlaggedBatch(mask, flagged.drop_columns(["place"]), tokens)

    def add(self, found: FlaggedBatch) -> None:
        """Takes what the second pass found in the next batch."""
        self._shard.append(found)
        self._records += len(found.mask)
        if self._records >= SHARD_RECORDS:
            self._keep_shard()

    def remove(self) -> None:
        """Removes the journal, if there is one."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _finished(self) -> list[Path]:
        return sorted(self._folder.glob("second-*.arrow"))

    def _keep_shard(self) -> None:
        totals = orjson.dumps([(len(found.mask), found.tokens) for found in self._shard])
        schema = pa.schema([*FLAGGED, pa.field("place", pa.int32())], {"batches": totals})
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        name = f"second-{len(self._finished()):06}.arrow"
        with self._writing(name) as path, pa.ipc.new_file(path, schema, options=options) as shard:
            for found in self._shard:
                place = pa.array(np.flatnonzero(found.mask), pa.int32())
                columns = [*found.flagged.columns, place]
                shard.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        self._shard, self._records = [], 0

    def _writing(self, name: str) -> AbstractContextManager[Path]:
        return written(self._begun(name))

    def _begun(self, name: str) -> Path:
        """A file of the journal; the first one is what it is a journal of."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if not (self._folder / IDENTITY).exists():
            with written(self._folder / IDENTITY) as path:
                path.write_bytes(orjson.dumps(self._identity))
        return self._folder / name


def _require_same(known: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    asked = orjson.loads(orjson.dumps(identity))
    if differing := sorted(k for k in {*known, *asked} if known.get(k) != asked.get(k)):
        raise InputError(
            f"the interrupted audit was of other {', '.join(differing)}; "
            "give it the same, or leave --resume out to begin anew"
        )


def _packed(sketch: Sketch) -> dict[str, Any]:
    texts = {
        f"{name}_{part}": array
        for name in ("question", "answer")
        for part, array in zip(("bytes", "bounds"), utf8(getattr(sketch, name)), strict=True)
    }
    counts = ("records", "characters", "labels", "rows", "size")
    answers = {f"answers_{name}": getattr(sketch.answers, name) for name in ANSWER_ARRAYS}
    return {
        **texts,
        **{name: np.int64(getattr(sketch, name)) for name in counts},
        "beyond": np.array([b for b in [sketch.beyond] if b is not None], np.uint64),
        "priority": sketch.priority,
        "count": sketch.count,
        **answers,
        "answers_size": np.int64(sketch.answers.size),
        "seed": np.array(str(sketch.seed)),
    }


def _unpacked(archive: Mapping[str, Any], prefix: str = "") -> Sketch:
    """The sketch whose arrays have these names, each behind a prefix."""
    start = len(prefix)
    kept = {name[start:]: archive[name] for name in archive if name.startswith(prefix)}
    question, answer = (
        pa.LargeStringArray.from_buffers(
            len(kept["priority"]),
            *(pa.py_buffer(kept[f"{name}_{part}"]) for part in ("bounds", "bytes")),
        )
        for name in ("question", "answer")
    )
    records, characters, labels, rows, size = (
        int(kept[name]) for name in ("records", "characters", "labels", "rows", "size")
    )
    return Sketch(
        records=records,
        characters=characters,
        labels=labels,
        rows=rows,
        size=size,
        beyond=int(kept["beyond"][0]) if len(kept["beyond"]) else None,
        priority=kept["priority"],
        count=kept["count"],
        question=question,
        answer=answer,
        answers=AnswerSample(
            **{name: kept[f"answers_{name}"] for name in ANSWER_ARRAYS},
            size=int(kept["answers_size"]),
        ),
        seed=int(str(kept["seed"])),
    )
