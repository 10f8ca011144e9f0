"""Counts the rows of one file as they are read, and passes on those that are rejected."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from synflaw_audit.findings.accounts import FileAccount, limited
from synflaw_audit.reading.rows import Damage, Rejected, preview

OnReject: TypeAlias = Callable[[Rejected], None]


class Ledger:
    """The account of one file, as far as it is read.

    Attributes:
        file: Named as in the records.
        rows: As in ``FileAccount``, like the next two.
        records: That they made.
        rejected: Rows that made no record, because they cannot be read.
        unanswered: Rows that made none, because nothing is answered in them that is learned.
        numbers: Rows whose answer is a number.
        unsaid: Why the first of these did not; "" if there is none.
        first: The first row rejected.
    """

    def __init__(
        self, file: str, on_reject: OnReject | None = None, unread: tuple[str, ...] = ()
    ) -> None:
        self.file = file
        self.rows = self.records = self.rejected = self.unanswered = 0
        self.numbers = 0
        self.unsaid = ""
        self.first: Rejected | None = None
        self._rejections = self._lost = 0
        self._exact = True
        self._damage: tuple[str, ...] = ()
        self._unread = unread
        self._on_reject = on_reject

    def reject(self, line: int, row: int, reason: str, value: object, raw: bytes = b"") -> None:
        """Rejects a row, which must have been counted."""
        self.rejected += 1
        self.reject_turn(line, row, reason, value, raw)

    def reject_turn(
        self, line: int, row: int, reason: str, value: object, raw: bytes = b""
    ) -> None:
        """Rejects a turn of a row that may yet make a record."""
        self._rejections += 1
        if self.first and not self._on_reject:
            return
        found = Rejected(self.file, line, row, reason, preview(value, raw))
        self.first = self.first or found
        if self._on_reject:
            self._on_reject(found)

    def unanswer(self, row: int, reason: str) -> None:
        """Takes down a row that is whole and says nothing, which must have been counted."""
        self.unanswered += 1
        self.unsaid = self.unsaid or f"row {row}: {reason}"

    def damaged(self, damage: Damage) -> None:
        """Takes down what damage took."""
        self._damage = limited((*self._damage, damage.reason))
        self._lost += damage.lost or 0
        self._exact = self._exact and damage.lost is not None

    def account(self) -> FileAccount:
        """What became of the rows so far."""
        return FileAccount(
            self.file,
            self.rows,
            self.records,
            self.rejected,
            self._rejections,
            self._lost,
            self._exact,
            self._damage,
            self._unread,
            unanswered=self.unanswered,
            numbers=self.numbers,
        )
