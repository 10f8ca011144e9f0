"""Which schema reads a file, from its first rows.

Each row votes for every reading that its fields allow, and the reading with the most votes wins. Of
readings that give the same answers one is taken; readings that do not are an error, not a guess.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from synflaw_audit.errors import InputError
from synflaw_audit.reading.rows import Fields, RowError
from synflaw_audit.reading.schemas.base import Schema
from synflaw_audit.reading.schemas.conversations import Conversation
from synflaw_audit.reading.schemas.nested import Nested, widened
from synflaw_audit.reading.schemas.options import SchemaOptions, options_of, schema_name
from synflaw_audit.reading.schemas.pairs import Pair
from synflaw_audit.reading.schemas.registry import SCHEMAS
from synflaw_audit.reading.schemas.vocabulary import (
    ANSWERS,
    ROLE_KEYS,
    TEXTS,
    all_named,
    named,
)
from synflaw_audit.settings import Reading

_NUMBER = re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")

COLUMNS_ARE_NAMED = (
    "name the columns with --question COLUMN --answer COLUMN (question=, answer= in Python), "
    "or plain text and conversations with --answer COLUMN alone; a dot leads into an object, as in "
    "--answer data.answer"
)
_KNOWN = (
    "question/answer, prompt/completion, prompt/response, query/response, "
    "instruction/(input)/output, messages, conversations, prompt/chosen/rejected, or a chat "
    "rendered into text"
)


@dataclass(frozen=True)
class Recognition:
    """How a file is read, and how it could have been.

    Attributes:
        schema: How it is read.
        possible: Every other reading that some row allows, with the rows that do, most first.
        repeated: Columns that say once more what the schema reads.
    """

    schema: Schema
    possible: tuple[tuple[Schema, int], ...] = ()
    repeated: frozenset[str] = frozenset()


def find_schema(file: str, sample: Sequence[Fields], reading: Reading) -> Schema:
    """Finds a file's schema from its first rows.

    Args:
        file: Its name, for the error messages.
        sample: Its first readable rows, at least one.
        reading: What the caller says of the columns.

    Raises:
        InputError: No reading fits, or several fit equally well; or there is no such schema.
    """
    return recognise(file, sample, reading).schema


def recognise(file: str, sample: Sequence[Fields], reading: Reading) -> Recognition:
    """Finds a file's schema from its first rows, and tells what else was possible.

    Args:
        file: As for ``find_schema``, like the others.
        sample: See there.
        reading: See there.

    Raises:
        InputError: As ``find_schema``.
    """
    options, chosen = options_of(reading), schema_name(reading)
    names = list(SCHEMAS.own) if chosen is None else [chosen]
    schemas = [SCHEMAS.find(name) for name in names]
    rows = [widened(row, options) for row in sample]
    _require_columns(file, sample, rows, options)
    votes = _votes(rows, options, schemas)
    if not votes and not options.named:
        for inner in _inside(sample, options, schemas):
            rows = [widened(row, inner) for row in sample]
            votes.update(_votes(rows, inner, schemas))
            options = inner
    if not votes:
        raise InputError(f"{file}: {_nothing_found(rows, chosen)}")
    found = _best(file, votes, rows, options)
    fitted = ((schema.fitted(rows, options), count) for schema, count in votes.most_common())
    others = tuple((schema, count) for schema, count in fitted if schema != found)
    given = _Given(found, _exchanges(found, rows))
    repeated = frozenset(
        column
        for schema, _ in others
        if given.cover(_Given(schema, _exchanges(schema, rows)), strictly=False)
        for column in schema.columns
    )
    return Recognition(_reaching(found, sample), others, repeated)


def unread_columns(
    sample: Iterable[Fields], schema: Schema, repeated: Iterable[str] = ()
) -> tuple[str, ...]:
    """The columns that hold text in some row and that the schema does not read.

    Args:
        sample: The first rows.
        schema: How they are read.
        repeated: Columns that say once more what is read.
    """
    read = {*schema.columns, *repeated}
    held = (name for row in sample for name, value in row.items() if _holds_text(value))
    return tuple(dict.fromkeys(encodable(name) for name in held if name not in read))


def encodable(name: str) -> str:
    """A column's name as a report can hold it: lone surrogates are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def names_answer(row: Fields) -> bool:
    """Whether a field is named as answers are: what holds it is a row, not a list of rows."""
    return bool(all_named(row, ANSWERS))


def flags_of(schema: Schema) -> str:
    """The options of the command line by which a caller chooses a reading."""
    options = {name: column for name, column in schema.options.items() if name != "context"}
    if set(options) <= {"question", "answer", "system"}:
        chosen = [(n, options[n]) for n in ("question", "answer") if n in options]
        return " ".join(f"--{name} {column or repr('')}" for name, column in chosen)
    kinds = (name for name in SCHEMAS.own if isinstance(schema, SCHEMAS[name]))
    return f"--schema {next(kinds, 'NAME')}"


def _votes(
    rows: Sequence[Fields], options: SchemaOptions, schemas: Sequence[type[Schema]]
) -> Counter[Schema]:
    return Counter(
        possible for row in rows for schema in schemas for possible in schema.readings(row, options)
    )


def _inside(
    sample: Sequence[Fields], options: SchemaOptions, schemas: Sequence[type[Schema]]
) -> Iterator[SchemaOptions]:
    """Options that name the columns inside the one field whose objects can be read, if any."""
    found: dict[str, Counter[Schema]] = {}
    for row in sample:
        for name, value in row.items():
            if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
                found.setdefault(name, Counter()).update(_votes([value], options, schemas))
    readable = {name: votes for name, votes in found.items() if votes}
    if len(readable) == 1:
        ((name, votes),) = readable.items()
        inner = votes.most_common(1)[0][0]
        objects = [row[name] for row in sample if isinstance(row.get(name), Mapping)]
        columns = inner.fitted(objects, options).options  # type: ignore[arg-type]
        below: dict[str, Any] = {n: f"{name}.{c}" if c else c for n, c in columns.items()}
        yield replace(options, **below)


def _best(
    file: str, votes: Counter[Schema], rows: Sequence[Fields], options: SchemaOptions
) -> Schema:
    """The reading with the most votes; of several, the one that gives all that the others do.

    Raises:
        InputError: They give different answers.
    """
    most = max(votes.values())
    tied = [schema.fitted(rows, options) for schema, count in votes.items() if count == most]
    if len(tied) == 1:
        return tied[0]
    order = {place: number for number, place in enumerate(SCHEMAS.own.values())}
    tied.sort(key=lambda schema: order.get(_place(schema), len(order)))
    given = [_Given(schema, _exchanges(schema, rows)) for schema in tied]
    # What reads nothing is no reading where others do.
    given = [each for each in given if any(each.rows)] or given
    covered = [
        any(
            others.cover(each, strictly=place > number)
            for place, others in enumerate(given)
            if place != number
        )
        for number, each in enumerate(given)
    ]
    asked = [each for each in given if isinstance(each.schema, Conversation)]
    pairs = [each for each in given if isinstance(each.schema, Pair)]
    beside = len(asked) == 1 and len(pairs) == len(given) - 1
    if beside and all(asked[0].asks_as(each) for each in pairs):
        return asked[0].schema  # beside a conversation stand answers to compare its own with
    tied = [each.schema for each in given]
    winners = [schema for schema, done in zip(tied, covered, strict=True) if not done]
    if len(winners) == 1:
        return winners[0]
    listed = "; ".join(sorted(f"{schema} ({flags_of(schema)})" for schema in winners))
    raise InputError(
        f"{file}: more than one reading is possible: {listed}. {_found(rows)} To choose, give the "
        "options that stand beside one of them."
    )


def _place(schema: Schema) -> str:
    kind = type(schema)
    return f"{kind.__module__}:{kind.__name__}"


def _exchanges(schema: Schema, rows: Sequence[Fields]) -> list[frozenset[tuple[str, str]]]:
    """The questions and answers that a reading gives, row by row, but for blanks."""
    found = []
    for row in rows:
        try:
            exchanges = schema.records(row)
        except RowError:
            exchanges = ()
        found.append(frozenset((_words(e.question), _words(e.answer)) for e in exchanges))
    return found


def _words(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True)
class _Given:
    """What a reading gives: the questions and answers of each row."""

    schema: Schema
    rows: list[frozenset[tuple[str, str]]]

    def asks_as(self, other: _Given) -> bool:
        """Whether this asks in each row all that another reading does."""
        return all(
            {question for question, _ in few} <= {question for question, _ in own}
            for own, few in zip(self.rows, other.rows, strict=True)
        )

    def cover(self, few: _Given, *, strictly: bool) -> bool:
        """Whether this gives all that another reading does, and more if ``strictly``.

        Two of one kind are told apart by their questions; a conversation has its own question,
        which may say more than a column beside it.
        """
        mine, other = self.rows, few.rows
        if type(self.schema) is not type(few.schema):
            mine, other = _answers(mine), _answers(other)
        pairs = list(zip(mine, other, strict=True))
        covered = all(own >= given for own, given in pairs)
        return covered and not (strictly and all(own == given for own, given in pairs))


def _answers(rows: list[frozenset[tuple[str, str]]]) -> list[frozenset[tuple[str, str]]]:
    return [frozenset(("", answer) for _, answer in row) for row in rows]


def _reaching(schema: Schema, sample: Sequence[Fields]) -> Schema:
    """The schema of rows whose columns stand inside others, where they do."""
    columns = {name for row in sample for name in row}
    paths = tuple(n for n in schema.columns if n not in columns and "." in n)
    return Nested(schema, paths) if paths else schema


def _require_columns(
    file: str, sample: Sequence[Fields], rows: Sequence[Fields], options: SchemaOptions
) -> None:
    for option, name in options.named:
        if not any(name in row for row in rows):
            raise InputError(f"{file}: no {option} column {name!r}. {_found(sample)}")


def _nothing_found(rows: Sequence[Fields], schema: str | None) -> str:
    if schema is not None:
        others = ", ".join(name for name in SCHEMAS if name != schema)
        return f"no row is one of the schema {schema!r}. {_found(rows)} Other schemas: {others}."
    foreign = [f"{name} ({SCHEMAS.origin(name)})" for name in SCHEMAS if name not in SCHEMAS.own]
    added = f" Other packages add, with --schema: {', '.join(foreign)}." if foreign else ""
    if any(named(row, ROLE_KEYS) and named(row, ("parent_id", "message_id")) for row in rows):
        return (
            f"each row is one message. {_found(rows)} Join those of a conversation into one row "
            "first: a list of messages."
        )
    texts = named((n for row in rows for n, v in row.items() if isinstance(v, str)), TEXTS)
    hint = f" To read {texts!r} as plain text: --answer {texts}." if texts else ""
    return (
        f"no question and answer found. {_found(rows)} Expected one of {_KNOWN}; "
        f"or {COLUMNS_ARE_NAMED}.{hint}{added}"
    )


def _holds_text(value: object) -> bool:
    """Whether it is text that is no number, or holds such text."""
    if isinstance(value, str):
        return bool(value.strip()) and not _NUMBER.fullmatch(value.strip())
    if isinstance(value, Mapping):
        return any(map(_holds_text, value.values()))
    return isinstance(value, list) and any(map(_holds_text, value))


def _found(rows: Sequence[Fields]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    shown = ", ".join(map(repr, columns[:30])) + (", ..." if len(columns) > 30 else "")
    return f"Columns: {shown or 'none'}."
