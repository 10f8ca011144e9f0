"""Which part of a corpus carries the format: the second pass's counts and a sample a group.

Records are grouped by a column, by their file, by the split their file's name tells, or by their
turn. Of each group a small sketch and the number of flagged records are kept, so the memory is
constant; ``GroupSketches`` merge like sketches do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.errors import InputError
from synflaw_audit.reading.index import Index
from synflaw_audit.reading.splits import split_of
from synflaw_audit.sample.sketch import AnswerSample, Sketch, Sketcher, merge
from synflaw_audit.text.tokens import Mask

MOST = 64  # groups
EMPTY = Sketch(rows=2000, size=2_000_000, answers=AnswerSample(size=8192))


@dataclass(frozen=True)
class Grouping:
    """What records are grouped by.

    Attributes:
        name: "file", "split" or "turn"; anything else is a column, and so is "column:file".
    """

    name: str

    @cached_property
    def column(self) -> str | None:
        """The column whose values name the groups; None if no column does."""
        if self.name in ("file", "split", "turn"):
            return None
        return self.name.removeprefix("column:")

    def names(self, records: pa.RecordBatch, index: Index | None) -> pa.Array:
        """The group of each record: string array [records], null where it has no value.

        Args:
            records: Schema ``records.RECORDS``.
            index: Holds the column, where there is one.
        """
        if self.column is not None and index is not None:
            return _as_names(index.columns[self.column])
        if self.name == "turn":
            return records.column("turn").cast(pa.string())
        files = records.column("file").dictionary_encode()
        names = files.dictionary.to_pylist()
        if self.name == "split":
            names = [split_of(name) for name in names]
        return pa.array(names, pa.string()).take(files.indices)


def _as_names(values: pa.Array | Iterable[object]) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array) and not pa.types.is_nested(values.type):
        text = values.cast(pa.string())
    else:
        items = values.to_pylist() if isinstance(values, pa.Array) else values
        text = pa.array([None if item is None else str(item) for item in items], pa.string())
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


@dataclass(frozen=True)
class GroupSketches:
    """A corpus, or a part of one, in groups.

    Attributes:
        by: What they are grouped by.
        sketches: Of each group, by name; None is the name of those without a value.
        flagged: Flagged records of each group.
    """

    by: Grouping
    sketches: Mapping[str | None, Sketch] = field(default_factory=dict)
    flagged: Mapping[str | None, int] = field(default_factory=dict)

    def merged(self, other: GroupSketches) -> GroupSketches:
        """Both parts together.

        Raises:
            InputError: There are more than ``MOST`` groups.
        """
        names = sorted({*self.sketches, *other.sketches}, key=lambda name: (name is None, name))
        require_few(self.by, names)
        return replace(
            self,
            sketches={
                name: merge(self.sketches.get(name, EMPTY), other.sketches.get(name, EMPTY))
                for name in names
            },
            flagged={n: self.flagged.get(n, 0) + other.flagged.get(n, 0) for n in names},
        )


class Grouper:
    """Groups a corpus batch by batch."""

    def __init__(self, by: Grouping) -> None:
        self.by = by
        self._sketchers: dict[str | None, Sketcher] = {}
        self._flagged: dict[str | None, int] = {}

    def add(self, records: pa.RecordBatch, index: Index | None, mask: Mask) -> None:
        """Takes a batch.

        Args:
            records: Schema ``records.RECORDS``.
            index: Of the records, with the column that groups them.
            mask: bool [records], which are flagged.

        Raises:
            InputError: There are more than ``MOST`` groups.
        """
        coded = self.by.names(records, index).dictionary_encode(null_encoding="encode")
        codes = np.asarray(coded.indices)
        for code, name in enumerate(coded.dictionary.to_pylist()):
            of = codes == code
            if not of.any():
                continue
            if name not in self._sketchers:
                require_few(self.by, [*self._sketchers, name])
                self._sketchers[name] = Sketcher(EMPTY)
            self._sketchers[name].add(records.filter(pa.array(of)))
            self._flagged[name] = self._flagged.get(name, 0) + int((mask & of).sum())

    def groups(self) -> GroupSketches:
        """What was taken so far."""
        sketches = {name: sketcher.sketch() for name, sketcher in self._sketchers.items()}
        return GroupSketches(self.by, sketches, dict(self._flagged))


def require_few(by: Grouping, names: Iterable[str | None]) -> None:
    """Refuses more groups than are kept.

    Raises:
        InputError: Names what they are grouped by and the first of them.
    """
    known = list(names)
    if len(known) > MOST:
        shown = ", ".join(repr(name[:40]) if name is not None else "none" for name in known[:5])
        raise InputError(
            f"grouped by {by.name!r} the records fall into more than {MOST} groups ({shown}, ...); "
            "choose a column of fewer values, or file, split or turn"
        )
