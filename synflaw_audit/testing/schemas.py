"""What is taken for granted of a schema; a part is a ``SchemaExample`` of it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from synflaw_audit.errors import InputError
from synflaw_audit.reading.rows import RowError
from synflaw_audit.reading.schemas import Schema, SchemaOptions, TextEdit, edited
from synflaw_audit.testing.assertions import require

# What a field may hold that nobody expects there.
ODD_VALUES: tuple[object, ...] = (None, "", " \n", 0, 1.5, True, b"\xff", [], [[]], {}, [{}], ["x"])


@dataclass(frozen=True)
class SchemaExample:
    """Rows of a schema, and what it makes of them.

    Attributes:
        schema: The class that is registered.
        rows: Rows of one file, at least one.
        pairs: The questions and answers of each row, turn by turn.
        options: What must be said of the columns, if anything.
    """

    schema: type[Schema]
    rows: Sequence[Mapping[str, Any]]
    pairs: Sequence[Sequence[tuple[str, str]]]
    options: SchemaOptions = field(default_factory=SchemaOptions)

    @property
    def __name__(self) -> str:
        """What the tests call it."""
        return self.schema.__name__

    def reading(self) -> Schema:
        """The first way to read the rows, as it is fitted to them."""
        return self.unfitted().fitted(self.rows, self.options)

    def unfitted(self) -> Schema:
        """The first way to read the first row."""
        found = [*self.schema.readings(self.rows[0], self.options)]
        require(found, f"{self.schema.__name__} does not read its own row {self.rows[0]}")
        return found[0]


def check_rows_vote_for_one_reading(example: SchemaExample) -> None:
    """Readings are values: rows alike have equal ones, which can be sent elsewhere and shown."""
    reading = example.reading()
    for row in example.rows:
        readings = [*example.schema.readings(row, example.options)]
        require(example.unfitted() in readings, f"{row} is not read as the first row is")
    require(pickle.loads(pickle.dumps(reading)) == reading, "pickling changes it")  # noqa: S301
    require(hash(reading) == hash(example.reading()), "two equal readings have two hashes")
    require(str(reading).strip(), "str() of it is empty, and the report shows that")


def check_columns_are_enough(example: SchemaExample) -> None:
    """It names columns that are there, and needs no other."""
    reading = example.reading()
    require(len(reading.columns) > 0, "it reads no column")
    for row, pairs in zip(example.rows, example.pairs, strict=True):
        kept = {name: value for name, value in row.items() if name in reading.columns}
        require(_pairs(reading, kept) == list(pairs), f"other columns change what is read of {row}")


def check_records_are_the_pairs(example: SchemaExample) -> None:
    """Every row gives its questions and answers, its turns in ascending order."""
    reading = example.reading()
    for row, pairs in zip(example.rows, example.pairs, strict=True):
        found = _pairs(reading, row)
        require(found == list(pairs), f"{row} gives {found} instead of {list(pairs)}")
        turns = [exchange.turn for exchange in reading.records(row)]
        require(turns == sorted(set(turns)), f"the turns of {row} are {turns}")


def check_bad_rows_are_refused(example: SchemaExample) -> None:
    """A row without its fields, or with odd ones, gives text or a ``RowError``; no other error."""
    reading = example.reading()
    for row in example.rows:
        bad: list[Mapping[str, object]] = [{}]
        for name in reading.columns:
            bad.append({other: value for other, value in row.items() if other != name})
            bad += [{**row, name: value} for value in ODD_VALUES]
        for changed in bad:
            try:
                pairs = _pairs(reading, changed)
            except RowError as error:
                require(str(error).strip(), f"no reason is given for {changed}")
            else:
                text = all(isinstance(part, str) for pair in pairs for part in pair)
                require(text, f"{changed} gives {pairs}, which is no text")


def check_strange_rows_are_not_recognised(example: SchemaExample) -> None:
    """No field is no reading, and odd values break none."""
    require(not [*example.schema.readings({}, SchemaOptions())], "it reads a row without any field")
    for row in example.rows:
        for value in ODD_VALUES:
            try:
                [*example.schema.readings(dict.fromkeys(row, value), SchemaOptions())]
            except InputError as error:
                require(str(error).strip(), f"no reason is given for {value!r}")


def check_answers_stand_where_they_say(example: SchemaExample) -> None:
    """The segments of an exchange lead to its answer, and an edit changes it and nothing else."""
    reading = example.reading()
    for row in example.rows:
        for exchange in reading.records(row):
            if not exchange.segments:
                continue
            changed = edited(row, exchange, [TextEdit(0, len(exchange.answer), "Changed.")])
            found = [each for each in reading.records(changed) if each.turn == exchange.turn]
            require(
                [each.answer.strip() for each in found] == ["Changed."],
                f"turn {exchange.turn} of {row} cannot be changed: {found}",
            )
            same = edited(changed, found[0], [TextEdit(0, len(found[0].answer), exchange.answer)])
            require(
                reading.records(same)[0].question == reading.records(row)[0].question,
                f"changing turn {exchange.turn} of {row} changes more than that",
            )


def _pairs(reading: Schema, row: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(exchange.question, exchange.answer) for exchange in reading.records(row)]
