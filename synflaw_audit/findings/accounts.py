"""What became of every row of a corpus: read, rejected or lost to damage; and what was not read.

Per file, the rows seen are those that made records, those in which nothing is answered that is
learned, and those rejected: none vanishes. What damage took is no row that was seen; where nothing
tells how much that is, the count is "at least".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain

# A file of which more than so many places are damaged names these, and says that there are more.
MOST_DAMAGE = 20
_MORE_DAMAGE = "and there is more damage"


@dataclass(frozen=True)
class FileAccount:
    """What became of the rows of one file or table.

    Every record has its ``row``: the different rows among a file's clean and quarantined records,
    its ``rejected`` rows and its ``unanswered`` ones are its ``rows``.

    Attributes:
        file: Named as in the records.
        rows: Rows seen, whatever became of them.
        records: That they made; a conversation makes several.
        rejected: Rows that made no record.
        rejections: Entries in ``rejected.jsonl``: rejected rows, and turns of rows that made
            records nevertheless.
        lost: Rows that are known to be there and that damage took, beside ``rows``.
        exact: Whether the file holds ``rows`` and ``lost`` and no more; if not, it holds at least
            these.
        damage: Where the file is damaged and what that took; empty if it is sound.
        unread: Columns that hold text and that the audit does not read, by its first rows.
        size: Of a file that is not on this machine, in bytes.
        version: Of such a file: its ETag, or when it was last changed, as its store tells.
        unanswered: Rows that are whole and in which nothing is answered that is learned: the
            assistant only calls tools, or its answers are masked from the loss.
        numbers: Rows whose answer is a number, and is read as text.
    """

    file: str
    rows: int = 0
    records: int = 0
    rejected: int = 0
    rejections: int = 0
    lost: int = 0
    exact: bool = True
    damage: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    size: int | None = None
    version: str | None = None
    unanswered: int = 0
    numbers: int = 0

    def merged(self, other: FileAccount) -> FileAccount:
        """The account of two parts of one file."""
        return replace(
            self,
            rows=self.rows + other.rows,
            records=self.records + other.records,
            rejected=self.rejected + other.rejected,
            rejections=self.rejections + other.rejections,
            lost=self.lost + other.lost,
            exact=self.exact and other.exact,
            damage=limited((*self.damage, *other.damage)),
            unread=tuple(dict.fromkeys((*self.unread, *other.unread))),
            unanswered=self.unanswered + other.unanswered,
            numbers=self.numbers + other.numbers,
        )


@dataclass(frozen=True)
class Skipped:
    """Something that a folder or a pattern holds and that was not read.

    Attributes:
        path: Of the file or folder.
        reason: Why not.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Accounts:
    """The accounts of a corpus, or of a part of one.

    Attributes:
        files: One a file or table, in the order of reading.
        skipped: What was found beside them.
    """

    files: tuple[FileAccount, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @property
    def rows(self) -> int:
        """Rows seen in all files."""
        return sum(file.rows for file in self.files)

    @property
    def rejected(self) -> int:
        """Rows that made no record, in all files."""
        return sum(file.rejected for file in self.files)

    @property
    def rejections(self) -> int:
        """Rows and turns rejected, in all files."""
        return sum(file.rejections for file in self.files)

    @property
    def unanswered(self) -> int:
        """Rows in which nothing is answered that is learned, in all files."""
        return sum(file.unanswered for file in self.files)

    @property
    def numbers_among_texts(self) -> int:
        """Rows that answer with a number, in files in which others answer with a text."""
        return sum(file.numbers for file in self.files if file.numbers < file.records)

    @property
    def rejected_share(self) -> float:
        """The share of rows, or of rows and turns, that could not be read; the larger of the two.

        A conversation of which one turn of ten is rejected is a row that was read.
        """
        records = sum(file.records for file in self.files)
        turns = self.rejections / max(records + self.rejections, 1)
        return max(self.rejected / max(self.rows, 1), turns)

    @property
    def unread(self) -> dict[str, tuple[str, ...]]:
        """Columns that hold text and are not read, by file."""
        return {file.file: file.unread for file in self.files if file.unread}

    @property
    def lost(self) -> int:
        """Rows known to be lost to damage, in all files."""
        return sum(file.lost for file in self.files)

    @property
    def exact(self) -> bool:
        """Whether every file's rows could be counted."""
        return all(file.exact for file in self.files)

    @property
    def damaged(self) -> tuple[FileAccount, ...]:
        """The files that are damaged."""
        return tuple(file for file in self.files if file.damage)

    def reading(self, columns: Iterable[str]) -> Accounts:
        """The accounts where these columns are read as well."""
        read = set(columns)
        files = (
            replace(file, unread=tuple(name for name in file.unread if name not in read))
            for file in self.files
        )
        return replace(self, files=tuple(files))

    def merged(self, other: Accounts) -> Accounts:
        """Both parts together, the files of this one first."""
        files: dict[str, FileAccount] = {}
        for account in chain(self.files, other.files):
            known = files.get(account.file)
            files[account.file] = account if known is None else known.merged(account)
        skipped = dict.fromkeys(chain(self.skipped, other.skipped))
        return Accounts(tuple(files.values()), tuple(skipped))


def limited(damage: Iterable[str]) -> tuple[str, ...]:
    """Each kind of damage once, and not more than ``MOST_DAMAGE`` of them."""
    different = dict.fromkeys(damage)
    more = different.pop(_MORE_DAMAGE, "") is None
    if more or len(different) > MOST_DAMAGE:
        return (*tuple(different)[: MOST_DAMAGE - 1], _MORE_DAMAGE)
    return tuple(different)
