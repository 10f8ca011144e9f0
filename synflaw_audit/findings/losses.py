"""What of a corpus was not judged, in sentences: rejected, unanswered, damaged, skipped, unread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from synflaw_audit.findings.accounts import Accounts

_MOST_NAMED = 3


@dataclass(frozen=True)
class Losses:
    """A sentence for each way in which a part of a corpus was not judged; "" where none was.

    Attributes:
        rejected: Rows that could not be read.
        unanswered: Rows in which nothing is answered that is learned.
        numbers: Answers that are numbers among texts.
        damaged: Files that are damaged.
        skipped: What was found beside the files and not read.
        unread: Columns that hold text and are not read.
    """

    rejected: str = ""
    unanswered: str = ""
    numbers: str = ""
    damaged: str = ""
    skipped: str = ""
    unread: str = ""

    def __iter__(self) -> Iterator[str]:
        kinds = (self.rejected, self.unanswered, self.numbers, self.damaged, self.skipped)
        yield from filter(None, (*kinds, self.unread))


def losses_of(accounts: Accounts) -> Losses:
    """The losses that the accounts tell of."""
    return Losses(
        _rejected(accounts),
        _unanswered(accounts),
        _numbers(accounts),
        _damaged(accounts),
        _skipped(accounts),
        _unread(accounts),
    )


def _rejected(accounts: Accounts) -> str:
    if not accounts.rejections:
        return ""
    turns = accounts.rejections - accounts.rejected
    of_turns = f", and {_count(turns, 'turn')} of conversations" if turns else ""
    return (
        f"{accounts.rejected:,} of {_count(accounts.rows, 'row')}{of_turns} "
        f"({accounts.rejected_share:.2%}) could not be read; see rejected.jsonl."
    )


def _unanswered(accounts: Accounts) -> str:
    if not accounts.unanswered:
        return ""
    return (
        f"{accounts.unanswered:,} of {_count(accounts.rows, 'row')} hold no answer that is learned "
        "(tools are called and nothing is said, or every answer is masked from the loss), and were "
        "not judged."
    )


def _numbers(accounts: Accounts) -> str:
    numbers = accounts.numbers_among_texts
    if not numbers:
        return ""
    share = f"{numbers:,} of {_count(accounts.rows, 'row')} ({numbers / accounts.rows:.2%})"
    return f"{share} answer with a number where others do with a text; they are read as texts."


def _damaged(accounts: Accounts) -> str:
    if not accounts.damaged:
        return ""
    lost = "" if accounts.exact else "at least "
    named = [f"{file.file}: {'; '.join(file.damage)}" for file in accounts.damaged]
    return (
        f"{_count(len(named), 'damaged file')}, {lost}{_count(accounts.lost, 'row')} lost: "
        f"{_listed(named)}."
    )


def _skipped(accounts: Accounts) -> str:
    if not accounts.skipped:
        return ""
    named = [f"{skipped.path} ({skipped.reason})" for skipped in accounts.skipped]
    return f"{_count(len(named), 'entry', 'entries')} found and not read: {_listed(named)}."


def _unread(accounts: Accounts) -> str:
    if not accounts.unread:
        return ""
    columns = dict.fromkeys(name for names in accounts.unread.values() for name in names)
    named = list(map(repr, columns))
    return f"{_count(len(named), 'column')} with text not read: {_listed(named)}."


def _listed(named: Sequence[str]) -> str:
    more = len(named) - _MOST_NAMED
    return ", ".join(named[:_MOST_NAMED]) + (f", and {more:,} more" if more > 0 else "")


def _count(number: int, noun: str, nouns: str = "") -> str:
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"
