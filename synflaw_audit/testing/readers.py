"""What is taken for granted of a reader; a part is a ``Writer``: what makes files for it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from synflaw_audit.errors import InputError
from synflaw_audit.reading import Rejected, Source, open_source
from synflaw_audit.testing.assertions import require
from synflaw_audit.testing.corpora import corpora

ROWS = 300
# A damaged file is tried with each of these parts of it missing.
CUTS = (0.0, 0.01, 0.3, 0.7, 0.99)


@dataclass(frozen=True)
class Writer:
    """Writes files that a reader reads.

    Attributes:
        ending: The ending of a file's name, without its dot, under which the reader is registered.
        write: Writes rows, a question and an answer each, under the columns of these names.
    """

    ending: str
    write: Callable[[Path, Sequence[dict[str, str]]], None]

    @property
    def __name__(self) -> str:
        """What the tests call it."""
        return self.ending


def check_gives_every_row(writer: Writer) -> None:
    """The same records as from a table, in the same order, every time, however small the pieces."""
    rows = _rows()
    expected = _records(open_source(pa.Table.from_pylist(rows)))
    with _file(writer, rows) as path:
        source = open_source(path)
        for _ in range(2):
            found = _records(source)
            require(found == expected, f"{len(found)} records, or other ones, of {len(expected)}")
        require(_records(open_source(path, batch_records=7)) == expected, "small pieces differ")


def check_counts_every_row(writer: Writer) -> None:
    """A row that is no record is rejected, and counts: numbers of rows are those in the file."""
    rows = _rows()
    rows[1:1] = [{"question": "q", "answer": ""}]
    with _file(writer, rows) as path:
        source = open_source(path)
        rejected: list[Rejected] = []
        numbers = [n for batch in source.batches(rejected.append) for n in batch["row"].to_pylist()]
        require([row.row for row in rejected] == [1], f"rejected is {rejected}, not row 1 alone")
        require(numbers == [0, *range(2, len(rows))], "rows are not numbered as in the file")
        account = source.account(0)
        require(account.rows == len(rows), f"{account.rows} rows are counted of {len(rows)}")


def check_damage_is_an_input_error_or_said(writer: Writer) -> None:
    """A file cut short, overwritten, or of something else gives what it can, or an InputError."""
    with _file(writer, _rows()) as path:
        whole = path.read_bytes()
        middle = len(whole) // 2
        damaged = [whole[: int(len(whole) * part)] for part in CUTS]
        damaged += [whole[:middle] + b"\xff\x00\xfe" * 8 + whole[middle:], b"\x00" * 64, b"\xff"]
        for content in damaged:
            path.write_bytes(content)
            try:
                _records(open_source(path))
            except InputError as error:
                require(path.name in str(error), f"the error does not name the file: {error}")


def _rows() -> list[dict[str, str]]:
    pairs = corpora()["both"][:ROWS]
    odd = [("Ünïcode? 好", "Ja: 🙂."), ('"Quoted", and\ttabbed?', "a\nb\n\nc, 'd'")]
    return [{"question": question, "answer": answer} for question, answer in [*odd, *pairs]]


def _records(source: Source) -> list[dict[str, object]]:
    columns = ["row", "turn", "question", "answer"]
    return [row for batch in source.batches() for row in batch.select(columns).to_pylist()]


@contextmanager
def _file(writer: Writer, rows: Sequence[dict[str, str]]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"corpus.{writer.ending}"
        writer.write(path, rows)
        yield path
