"""Whether a corpus is the same in both passes: the content of what was read, not a time stamp."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import xxhash

from synflaw_audit.errors import InputError
from synflaw_audit.text.tokens import utf8


class Contents:
    """The hashes of the records of each file, in order, as they are read."""

    def __init__(self) -> None:
        self._hashes: dict[str, xxhash.xxh3_128] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes the next batch of records (schema ``records.RECORDS``), all of one file."""
        file = batch.column("file")[0].as_py() if batch.num_rows else ""
        content = self._hashes.setdefault(file, xxhash.xxh3_128())
        content.update(np.ascontiguousarray(batch.column("row")).data)
        for name in ("question", "answer"):
            raw, bounds = utf8(batch.column(name))
            content.update(raw.data)
            content.update(bounds.data)

    def digests(self) -> dict[str, str]:
        """By file, of all that was taken."""
        return {file: content.hexdigest() for file, content in self._hashes.items() if file}


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
