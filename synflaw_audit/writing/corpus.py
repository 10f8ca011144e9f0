"""A corpus of files in two folders, file by file as it came."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq

from synflaw_audit.engines.contents import changed
from synflaw_audit.errors import InputError
from synflaw_audit.findings.accounts import Accounts
from synflaw_audit.outputs.names import QUARANTINED_FILE, REJECTED_FILE
from synflaw_audit.reading.source import source_of
from synflaw_audit.reading.tables import TableFile
from synflaw_audit.reading.text import TextFile
from synflaw_audit.remote import FilePath, stamp
from synflaw_audit.settings import Reading
from synflaw_audit.writing.edits import Editor
from synflaw_audit.writing.layout import place_of, root_of
from synflaw_audit.writing.packing import packed
from synflaw_audit.writing.rows import RowSet
from synflaw_audit.writing.sidecars import copy_sidecars
from synflaw_audit.writing.sides import Counts
from synflaw_audit.writing.tables import split_table
from synflaw_audit.writing.texts import split_text


@dataclass(frozen=True)
class FileSplit:
    """What became of the rows of one file.

    Attributes:
        file: Named as in the records.
        place: Of the file in either folder.
        kept: Rows in the folder of what is kept.
        dropped: Rows in the other.
        unwritten: Rows that the audit read and that are in neither: longer than any may be, or a
            column that the audit does not need is damaged there.
    """

    file: str
    place: str
    kept: int
    dropped: int
    unwritten: int = 0


@dataclass(frozen=True)
class Split:
    """What became of the rows of a corpus, file by file."""

    files: tuple[FileSplit, ...]

    @property
    def kept(self) -> int:
        """Rows in the folder of what is kept."""
        return sum(file.kept for file in self.files)

    @property
    def dropped(self) -> int:
        """Rows in the other folder."""
        return sum(file.dropped for file in self.files)

    @property
    def unwritten(self) -> int:
        """Rows in neither."""
        return sum(file.unwritten for file in self.files)

    @property
    def counts(self) -> dict[str, int]:
        """For the manifest of a run."""
        return {
            "rows_kept": self.kept,
            "rows_dropped": self.dropped,
            "rows_unwritten": self.unwritten,
        }


@dataclass(frozen=True)
class Original:
    """The files of a corpus as they are before anybody reads them.

    Attributes:
        files: Each of them.
        root: What their places are told from.
    """

    files: tuple[TextFile | TableFile, ...]
    root: Path
    _stamps: tuple[tuple[int, int | str], ...]

    @classmethod
    def of(
        cls, named: Sequence[str | os.PathLike[str]], reading: Reading | None = None
    ) -> Original | None:
        """What a caller names as a corpus; None if it is not made of files that are written here.

        Args:
            named: Files, directories, patterns.
            reading: How they are read.

        Raises:
            InputError: There is no such thing.
        """
        inputs = source_of(list(named), reading or Reading()).inputs
        files = tuple(
            item for item in inputs if isinstance(item, TextFile | TableFile) and _is_named(item)
        )
        if len(files) < len(inputs):
            return None
        paths = [item.path for item in files]
        return cls(files, root_of(named, paths), tuple(map(_stamp, paths)))

    def require_unchanged(self) -> None:
        """Refuses files that were written to since.

        Raises:
            InputError: Names the first of them.
        """
        for item, known in zip(self.files, self._stamps, strict=True):
            if _stamp(item.path) != known:
                raise changed(item.name)


def write_split(
    original: Original,
    dropped: Mapping[str, RowSet],
    accounts: Accounts,
    folders: tuple[Path, Path],
    editor_of: Callable[[str], Editor | None] = lambda file: None,
) -> Split:
    """Writes a corpus into two folders: rows that are kept, and rows that are dropped.

    Every file has its place in both, whatever becomes of its rows. What describes a data set beside
    its rows (``state.json``, a data set's card) is copied, without the sizes that no longer hold.

    Args:
        original: The corpus.
        dropped: By file, the rows that are dropped.
        accounts: What became of its rows when it was read.
        folders: For what is kept, and for what is dropped; made, and must not be there.
        editor_of: Gives what edits the rows of a file, asked once a file, in their order.

    Raises:
        InputError: A file cannot be read, or changed since it was audited.
    """
    files = []
    known = {account.file: account for account in accounts.files}
    if sorted(known) != sorted(item.name for item in original.files):
        raise InputError("the corpus has other files than those that were audited; audit it again")
    for folder in folders:
        folder.mkdir(parents=True)
    for item in original.files:
        place = place_of(item.path, original.root)
        kept, left = (folder / place for folder in folders)
        for path in (kept, left):
            path.parent.mkdir(parents=True, exist_ok=True)
        rows = dropped.get(item.name, RowSet())
        counts = _split(item, kept, left, rows, editor_of(item.name))
        unwritten = known[item.name].rows - counts.kept - counts.dropped
        if unwritten < 0:
            raise changed(item.name)
        files.append(FileSplit(item.name, str(place), counts.kept, counts.dropped, unwritten))
    original.require_unchanged()
    split = Split(tuple(files))
    places = [Path(file.place) for file in files]
    for folder, missing in zip(folders, (split.dropped, split.kept), strict=True):
        copy_sidecars(original.root, folder, places, same=not missing + split.unwritten)
    return split


def _split(
    item: TextFile | TableFile, kept: Path, dropped: Path, rows: RowSet, editor: Editor | None
) -> Counts:
    if isinstance(item, TableFile):
        return split_table(item, kept, dropped, rows, editor)
    with packed(kept, item.encoding) as one, packed(dropped, item.encoding) as other:
        return split_text(item, one, other, rows, editor)


def quarantined_rows(folder: Path) -> dict[str, RowSet]:
    """The rows that are kept from a clean corpus, by file: quarantined ones, and unreadable ones.

    A conversation goes with its worst turn.

    Args:
        folder: Holds ``quarantined.parquet`` and ``rejected.jsonl``.
    """
    found: dict[str, RowSet] = {}
    with pq.ParquetFile(folder / QUARANTINED_FILE, read_dictionary=["file"]) as table:
        for batch in table.iter_batches(columns=["file", "row"]):
            files, rows = batch.column("file"), np.asarray(batch.column("row"))
            codes = np.asarray(files.indices)
            for code, file in enumerate(files.dictionary.to_pylist()):
                found.setdefault(file, RowSet()).add(rows[codes == code])
    with (folder / REJECTED_FILE).open("rb") as lines:
        for line in lines:
            row = orjson.loads(line)
            found.setdefault(row["file"], RowSet()).add_one(row["row"])
    return found


def _is_named(item: TextFile | TableFile) -> bool:
    """Whether it is a file of the caller's, and not a place where something else is kept."""
    return os.fsencode(item.path.name).decode("utf-8", "backslashreplace") in item.name


def _stamp(path: FilePath) -> tuple[int, int | str]:
    try:
        return stamp(path)
    except OSError:
        return 0, 0
