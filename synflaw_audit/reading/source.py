"""A corpus as a stream of Arrow batches of records, as often as it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from synflaw_audit.errors import InputError, NoRowsError
from synflaw_audit.findings.accounts import Accounts, FileAccount, Skipped
from synflaw_audit.reading.base import FileInput, Input
from synflaw_audit.reading.batches import first_rows, records_of
from synflaw_audit.reading.containers import require_encoding
from synflaw_audit.reading.index import Index, Indexed, require_columns
from synflaw_audit.reading.inputs import SourceLike, find_inputs
from synflaw_audit.reading.ledger import Ledger, OnReject
from synflaw_audit.reading.schemas import Recognition, Schema, recognise, unread_columns
from synflaw_audit.reading.schemas.find import encodable
from synflaw_audit.reading.text import TextFile
from synflaw_audit.remote import RemotePath, stamp, why
from synflaw_audit.settings import Reading


def open_source(
    source: SourceLike,
    *,
    question: str | None = None,
    answer: str | None = None,
    schema: str | None = None,
    roles: str | None = None,
    message_keys: str | None = None,
    encoding: str | None = None,
    batch_records: int = 8192,
) -> Source:
    """Opens a corpus of questions and answers; nothing of it is read yet but file names.

    Args:
        source: A file, a directory (read with everything below it), a glob pattern, a folder
            that ``datasets`` saved, the name of a data set on the hub ("org/name",
            "org/name:split", "org/name/config:split"), or several of these; or a pandas
            DataFrame, a pyarrow Table, a ``datasets`` Dataset or DatasetDict.
        question: The column that holds the question, where it is not to be found out; "" if the
            rows have none.
        answer: The column that holds the answer, the plain text or the conversation.
        schema: How rows are read: a name of ``reading.schemas.SCHEMAS``, or a TOML file with a
            ``[schema]`` table.
        roles: What roles are called, such as "assistant=Agent,user=Customer".
        message_keys: What the keys of messages are called, such as "role=who,content=said".
        encoding: Of text files, such as "cp1252"; UTF-8 if not given.
        batch_records: Rows read at once; a batch has at most about as many records.

    Raises:
        InputError: There is no such file or data set, or nothing readable in it.
    """
    reading = Reading(
        question=question,
        answer=answer,
        schema=schema,
        roles=roles,
        message_keys=message_keys,
        encoding=encoding,
    )
    return source_of(source, reading, batch_records)


def source_of(source: SourceLike, reading: Reading, batch_records: int = 8192) -> Source:
    """Opens a corpus as ``open_source`` does, with what settings say of it.

    Raises:
        InputError: As ``open_source``.
    """
    if batch_records < 1:
        raise InputError(f"batch_records must be at least 1, not {batch_records}")
    require_encoding(reading.encoding)
    found = find_inputs(source)
    if reading.encoding and not any(isinstance(item, TextFile) for item in found.inputs):
        raise InputError(
            f"--encoding {reading.encoding} (encoding= in Python) is of text files (JSONL, JSON, "
            "CSV), and there is none; leave it out"
        )
    inputs = tuple(_encoded(item, reading.encoding) for item in found.inputs)
    return Source(inputs, reading, batch_records, tuple(found.skipped))


def _encoded(item: Input, encoding: str | None) -> Input:
    """A text file in this encoding; whatever else is read knows its own."""
    return replace(item, encoding=encoding) if encoding and isinstance(item, TextFile) else item


class Source:
    """A corpus that can be read any number of times and gives the same every time.

    Attributes:
        files: Every file or table, named as in the records, in the order of reading.
        skipped: What was found beside them and is not read.

    A source of paths can be pickled; one of tables in memory if they can.
    """

    def __init__(
        self,
        inputs: tuple[Input, ...],
        reading: Reading,
        batch_records: int,
        skipped: tuple[Skipped, ...] = (),
    ) -> None:
        self.files: tuple[str, ...] = tuple(item.name for item in inputs)
        self._inputs = inputs
        self._reading = reading
        self._size = batch_records
        self.skipped = skipped
        self._recognised: dict[str, Recognition | None] = {}
        self._unread: dict[str, tuple[str, ...]] = {}
        self._columns: dict[str, tuple[str, ...]] = {}
        self._accounts: dict[int, FileAccount] = {}

    def batches(self, on_reject: OnReject | None = None) -> Iterator[pa.RecordBatch]:
        """Yields all records in batches of the schema ``RECORDS``, file by file, row by row.

        Args:
            on_reject: Is given every row that cannot be read, in order, as it is met.

        Raises:
            InputError: A file cannot be opened, its columns cannot be understood, or not one of
                its rows can be read; or there are no rows at all.
        """
        records = 0
        for number in range(len(self.files)):
            for batch in self.file_batches(number, on_reject):
                records += batch.num_rows
                yield batch
        self.require(records)

    def indexed_batches(self, index: tuple[str, ...]) -> Iterator[tuple[pa.RecordBatch, Index]]:
        """Yields what ``batches`` does, each batch with these columns of its rows.

        Raises:
            InputError: As ``batches``; or there is no such column.
        """
        for item in self._inputs:
            indexed = Indexed(item, index)
            for batch in records_of(indexed, self._schema(item), self._size, Ledger(item.name)):
                yield batch, indexed.of(batch)

    def require(self, records: int) -> None:
        """Refuses a corpus without records.

        Raises:
            NoRowsError: There are none.
        """
        if not records:
            raise NoRowsError(f"no rows to read in {', '.join(self.files[:10])}")

    def file_batches(
        self, number: int, on_reject: OnReject | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yields the records of one of the ``files``.

        Raises:
            InputError: As ``batches``; a file without rows yields nothing.
        """
        item = self._inputs[number]
        schema = self._schema(item)
        ledger = Ledger(item.name, on_reject, self._unread.get(item.name, ()))
        yield from records_of(item, schema, self._size, ledger)
        account = _with_version(ledger.account(), item)
        self._accounts[number] = account
        if account.records:
            return
        if account.damage:
            raise InputError(f"{item.name}: no row of it can be read: {account.damage[0]}")
        if first := ledger.first:
            line = f" (line {first.line})" if first.line != first.row else ""
            raise InputError(
                f"{item.name}: none of its {account.rows} rows can be read; the first, "
                f"row {first.row}{line}: {first.reason}"
            )
        if ledger.unsaid and len(self.files) == 1:
            raise InputError(
                f"{item.name}: none of its {account.rows} rows holds an answer that is learned; "
                f"the first, {ledger.unsaid}"
            )

    @property
    def of_files(self) -> bool:
        """Whether it reads files, whose rows have an order; those of a query may have none."""
        return all(isinstance(item, FileInput) for item in self._inputs)

    def stamps(self) -> dict[str, tuple[int, int | str]]:
        """By file, its size and what changes when the file does; see ``remote.stamp``.

        Raises:
            InputError: A file is gone.
        """
        try:
            return {
                item.name: stamp(item.path) for item in self._inputs if isinstance(item, FileInput)
            }
        except OSError as error:
            raise InputError(f"a file of the corpus cannot be read: {why(error)}") from error

    def account(self, number: int) -> FileAccount:
        """What became of the rows of one of the ``files`` when it was last read to its end."""
        return self._accounts[number]

    def accounts(self) -> Accounts:
        """What became of all rows read so far, and what was found and not read."""
        read = (self._accounts[number] for number in sorted(self._accounts))
        return Accounts(tuple(read), self.skipped)

    def schemas(self) -> dict[str, str]:
        """How each file's columns are understood, by file, such as "instruction/input/output".

        A file that holds no rows at all is "empty".

        Raises:
            InputError: As ``batches``.
        """
        read = ((item.name, self._schema(item)) for item in self._inputs)
        return {name: encodable(str(schema or "empty")) for name, schema in read}

    def schema(self, file: str) -> Schema | None:
        """How the columns of one of the ``files`` are understood; None if it is empty.

        Raises:
            InputError: As ``batches``.
        """
        return self._schema(self._inputs[self.files.index(file)])

    def require_columns(self, names: tuple[str, ...]) -> None:
        """Refuses columns that some file does not have, before its rows are read.

        Raises:
            InputError: Names the file, the column and those that there are.
        """
        for item in self._inputs:
            if self._schema(item) is not None:
                require_columns(item.name, names, self._columns[item.name])

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What each of the ``files`` is read from."""
        return self._inputs

    def unread(self, file: str) -> tuple[str, ...]:
        """The columns of one of the ``files`` that hold text and are not read, by its first rows.

        Raises:
            InputError: As ``batches``.
        """
        self.recognition(file)
        return self._unread.get(file, ())

    def recognition(self, file: str) -> Recognition | None:
        """How one of the ``files`` is read, and how it could have been; None if it is empty.

        Raises:
            InputError: As ``batches``.
        """
        return self._recognition(self._inputs[self.files.index(file)])

    def _schema(self, item: Input) -> Schema | None:
        found = self._recognition(item)
        return None if found is None else found.schema

    def _recognition(self, item: Input) -> Recognition | None:
        """Finds a file's schema, once; None if it has no row with fields."""
        if item.name not in self._recognised:
            sample = first_rows(item)
            found = None
            if sample:
                found = recognise(item.name, sample, self._reading)
                self._unread[item.name] = unread_columns(sample, found.schema, found.repeated)
                self._columns[item.name] = tuple(dict.fromkeys(k for row in sample for k in row))
            self._recognised[item.name] = found
        return self._recognised[item.name]


def _with_version(account: FileAccount, item: Input) -> FileAccount:
    """The account with size and version of a file that is not on this machine."""
    path = item.path if isinstance(item, FileInput) else None
    if not isinstance(path, RemotePath):
        return account
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{item.name}: cannot be read any more: {why(error)}") from error
    return replace(account, size=status.st_size, version=status.version)
