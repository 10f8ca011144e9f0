"""What a caller says of the rows: which columns hold what, and how messages are read."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from synflaw_audit.errors import InputError
from synflaw_audit.reading.schemas.vocabulary import ROLES, Role, Vocabulary
from synflaw_audit.settings import Reading

_TABLE = "schema"


@dataclass(frozen=True)
class SchemaOptions:
    """What a caller says of the rows; what is left open is found out.

    Attributes:
        question: The column that holds the question; "" if the rows have none. A dot leads into
            an object: "data.question".
        answer: The column that holds the answer, the plain text or the conversation, likewise.
        context: The column of what follows the question.
        system: The column of what stands before it all.
        history: The column of the turns before the question.
        reasoning: The column of what is thought before the answer.
        rejected: The column of the answer that is not preferred.
        vocabulary: What roles and the keys of messages are called.
    """

    question: str | None = None
    answer: str | None = None
    context: str | None = None
    system: str | None = None
    history: str | None = None
    reasoning: str | None = None
    rejected: str | None = None
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """Each option that names a column, and that column."""
        given = ((each.name, getattr(self, each.name)) for each in fields(self))
        return tuple((name, v) for name, v in given if isinstance(v, str) and v)


COLUMNS = tuple(each.name for each in fields(SchemaOptions) if each.name != "vocabulary")


def options_of(reading: Reading) -> SchemaOptions:
    """The options that settings stand for.

    Raises:
        InputError: They cannot be understood; names the choices.
    """
    options = SchemaOptions()
    if reading.schema is not None and _is_file(reading.schema):
        options = read_options(reading.schema)
    given = {name: getattr(reading, name) for name in ("question", "answer")}
    options = replace(options, **{name: v for name, v in given.items() if v is not None})
    words = options.vocabulary
    if reading.roles is not None:
        pairs = tuple(_roles(reading.roles))
        words = replace(words, roles=(*words.roles, *pairs))
    if reading.message_keys is not None:
        keys = _message_keys(reading.message_keys)
        words = replace(
            words,
            role_key=keys.get("role", words.role_key),
            content_key=keys.get("content", words.content_key),
        )
    return replace(options, vocabulary=words)


def schema_name(reading: Reading) -> str | None:
    """The name of the schema that a caller chooses, if it is not a file of options."""
    return None if reading.schema is None or _is_file(reading.schema) else reading.schema


@lru_cache(maxsize=16)
def read_options(path: str) -> SchemaOptions:
    """The ``[schema]`` table of a TOML file.

    Raises:
        InputError: The file cannot be read, or says something else; names the key and the choices.
    """
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not valid TOML: {error}") from error
    table = data.get(_TABLE)
    if not isinstance(table, dict):
        raise InputError(f"{path}: has no table [{_TABLE}], which says how rows are read")
    _require_known(path, table, (*COLUMNS, "roles", "message_keys"))
    for name in COLUMNS:
        if not isinstance(table.get(name, ""), str):
            raise InputError(f"{path}: [{_TABLE}] {name} is the name of a column, a text")
    words = Vocabulary(tuple(_table_roles(path, table.get("roles", {}))))
    keys = table.get("message_keys", {})
    _require_table(path, "message_keys", keys)
    _require_known(path, keys, ("role", "content"))
    words = replace(words, role_key=keys.get("role"), content_key=keys.get("content"))
    return SchemaOptions(**{n: table[n] for n in COLUMNS if n in table}, vocabulary=words)


def _is_file(schema: str) -> bool:
    return schema.lower().endswith(".toml")


def _require_known(path: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in table:
        if name not in known:
            raise InputError(f"{path}: unknown key {name!r} in [{_TABLE}]; known: {listed(known)}")


def _require_table(path: str, name: str, value: object) -> None:
    if not isinstance(value, dict) or not all(isinstance(v, str | list) for v in value.values()):
        raise InputError(f"{path}: [{_TABLE}.{name}] is a table of names")


def _table_roles(path: str, table: Any) -> Iterator[tuple[str, Role]]:
    _require_table(path, "roles", table)
    for role, names in table.items():
        for name in [names] if isinstance(names, str) else names:
            yield str(name), _role(role, f"{path}: [{_TABLE}.roles]")


def _roles(given: str) -> Iterator[tuple[str, Role]]:
    for role, name in _assignments(given, "--roles", "assistant=Agent"):
        yield name, _role(role, "--roles")


def _role(name: str, where: str) -> Role:
    for role in ROLES:
        if name.strip().casefold() == role:
            return role
    raise InputError(f"{where}: unknown role {name!r}; what a name may stand for: {listed(ROLES)}")


def _message_keys(given: str) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for key, name in _assignments(given, "--message-keys", "role=who,content=said"):
        if key not in ("role", "content"):
            raise InputError(f"--message-keys: unknown key {key!r}; known: role, content")
        keys[key] = name
    return keys


def _assignments(given: str, option: str, example: str) -> Iterator[tuple[str, str]]:
    for part in given.split(","):
        left, equals, right = (piece.strip() for piece in part.partition("="))
        if not equals or not left or not right:
            raise InputError(f"{option}: {part.strip()!r} is no assignment such as {example}")
        yield left, right


def listed(names: tuple[str, ...]) -> str:
    """Names, in a message."""
    return ", ".join(names)
