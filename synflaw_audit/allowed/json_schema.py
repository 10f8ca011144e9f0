"""JSON after a schema: which answers are what it describes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from synflaw_audit.errors import CatalogueError

# What a schema's ``$ref`` may begin with: nothing is fetched from elsewhere.
_HERE = "#"


def read_schema(path: Path) -> dict[str, Any]:
    """A JSON Schema from a file, titled by the file's name where it has no title.

    Raises:
        CatalogueError: The file cannot be read, or is no JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogueError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # not UTF-8, or not JSON
        raise CatalogueError(f"{path}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise CatalogueError(f"{path}: a JSON Schema is an object, not {type(found).__name__}")
    return {"title": path.name} | found


def validating(schema: Mapping[str, Any]) -> Callable[[object], bool]:
    """Whether a value is what a schema describes, by the draft that it names (else the latest).

    Raises:
        CatalogueError: It is no JSON Schema, or refers to another document, to nothing, or to
            itself without end.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    name = schema.get("title", "the schema")
    for reference in _references(schema):
        if not reference.startswith(_HERE):
            raise CatalogueError(
                f"{name}: refers to {reference!r}; only what stands in the schema itself is read "
                "(put it under $defs)"
            )
    checker = validator_for(schema)
    try:
        checker.check_schema(schema)
    except SchemaError as error:
        raise CatalogueError(f"{name}: not a JSON Schema: {error.message}") from error
    validator = checker(schema, registry=Registry())

    def checked(value: object) -> bool:
        try:
            return bool(validator.is_valid(value))
        except Unresolvable as error:
            raise CatalogueError(f"{name}: refers to what is not there: {error}") from error

    def is_valid(value: object) -> bool:
        try:
            return checked(value)
        except RecursionError:  # an answer that nests too deep to be told
            return False

    try:
        checked(None)
    except RecursionError as error:
        raise CatalogueError(f"{name}: refers to itself without end") from error
    return is_valid


def _references(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in ("$ref", "$dynamicRef") and isinstance(inner, str):
                yield inner
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
