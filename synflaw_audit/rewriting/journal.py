"""What a costly rewriter has said, line by line, so that an interrupted run asks for nothing twice.

A line is written, and synced, as soon as an answer is there, under a key of all that decides it. A
run that is killed while it writes leaves half a line, which is cut off; a line that says something
else is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import orjson
import xxhash

from synflaw_audit.errors import InputError
from synflaw_audit.rewriting.base import Rewriter, RewriteRow
from synflaw_audit.rewriting.mixture import WantedForm

Work = tuple[RewriteRow, WantedForm]


class CandidateJournal:
    """The answers that are known, by what was asked.

    Args:
        path: The file; made when the first answer is written.

    Raises:
        InputError: The file is no journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, list[str]] = {}
        if path.is_file():
            self._load()

    def __len__(self) -> int:
        return len(self._known)

    def answered(self, rewriter: Rewriter, work: Sequence[Work]) -> Iterator[tuple[int, list[str]]]:
        """The candidates for all work, what is known first; the rest is asked for and kept."""
        keys = [_key(rewriter.identity, *one) for one in work]
        for number, key in enumerate(keys):
            if key in self._known:
                yield number, self._known[key]
        # Rows that ask the very same are asked for once.
        first: dict[str, int] = {}
        alike: dict[str, list[int]] = {}
        for number, key in enumerate(keys):
            if key not in self._known:
                first.setdefault(key, number)
                alike.setdefault(key, []).append(number)
        left = list(first.values())
        if not left:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            for place, texts in rewriter.many([work[number] for number in left]):
                key = keys[left[place]]
                line = orjson.dumps({"key": key, "texts": texts}, option=orjson.OPT_APPEND_NEWLINE)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
                self._known[key] = texts
                for number in alike[key]:
                    yield number, texts

    def _load(self) -> None:
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:whole].splitlines()):
            try:
                entry = orjson.loads(line)
                self._known[entry["key"]] = [str(text) for text in entry["texts"]]
            except (ValueError, LookupError, TypeError) as error:
                raise InputError(
                    f"{self._path}: line {number + 1} is not what a rewriting wrote; remove the "
                    "file to ask for everything again"
                ) from error
        if whole < len(data):
            with self._path.open("r+b") as file:
                file.truncate(whole)


def _key(identity: str, row: RewriteRow, form: WantedForm) -> str:
    encoded = orjson.dumps(
        [identity, row.question, row.answer, row.spans, row.pattern, row.facts, asdict(form)]
    )
    return xxhash.xxh3_128_hexdigest(encoded)
