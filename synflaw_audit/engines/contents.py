"""Whether a corpus is the same in both passes: the content of what was read, not a time stamp."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import xxhash

from synflaw_audit.errors import InputError
from synflaw_audit.sample.sketch import hashes_of, mixed
from synflaw_audit.text.tokens import extended, utf8

_MODULUS = 1 << 64


def content_of(batch: pa.RecordBatch) -> int:
    """A digest of what records say (schema ``records.RECORDS``), in whatever order they come.

    A query without an order may give its rows in another one each time. Digests of parts are
    added up by ``combined``.
    """
    question, answer = (hashes_of(batch.column(name)) for name in ("question", "answer"))
    digests = mixed(extended(mixed(question), answer))
    return int(digests.sum(dtype=np.uint64))


def combined(one: int, other: int) -> int:
    """The digest of the records of both."""
    return (one + other) % _MODULUS


class Contents:
    """The digests of the records of each file, as they are read."""

    def __init__(self, *, ordered: bool) -> None:
        """Files have an order, which counts; a query may have none."""
        self._ordered = ordered
        self._hashes: dict[str, xxhash.xxh3_128] = {}
        self._sums: dict[str, int] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes the next batch of records (schema ``records.RECORDS``), all of one file."""
        if not batch.num_rows:
            return
        file = batch.column("file")[0].as_py()
        if not self._ordered:
            self._sums[file] = combined(self._sums.get(file, 0), content_of(batch))
            return
        content = self._hashes.setdefault(file, xxhash.xxh3_128())
        content.update(np.ascontiguousarray(batch.column("row")).data)
        for name in ("question", "answer"):
            raw, bounds = utf8(batch.column(name))
            content.update(raw.data)
            content.update(bounds.data)

    def digests(self) -> dict[str, str]:
        """By file, of all that was taken: hexadecimal digits."""
        sums = {file: f"{digest:016x}" for file, digest in self._sums.items()}
        return sums | {file: content.hexdigest() for file, content in self._hashes.items()}


def require_same(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuses files that are not what they were.

    Raises:
        InputError: Names the first of them.
    """
    for file in {**before, **now}:
        if before.get(file) != now.get(file):
            raise changed(file)


def changed(file: str) -> InputError:
    """What is wrong with a file that is not what it was."""
    return InputError(
        f"{file}: changed while it was audited, so that what was found is of no one corpus; "
        "audit it again when nothing writes to it"
    )
