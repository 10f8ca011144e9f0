"""TOML files with a closed schema: a dataclass says what may stand in one, and nothing else may.

Check definitions and gate policies are read here. Both are policy that somebody reviews in a diff,
so a misspelt key must be an error, not a setting that is silently without effect.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from synflaw_audit.errors import CatalogueError

T = TypeVar("T")


def load(path: Path, schema: type[T], *, lists: Mapping[str, str] | None = None) -> T:
    """Read one TOML file into a dataclass.

    Args:
        path: The file.
        schema: A dataclass whose fields are the file's keys. Nested dataclasses, tuples of them
            and mappings to them are tables; ``Annotated`` bounds (``msgspec.Meta``) are checked.
        lists: TOML name to field name, where a repeated table reads better in the singular
            (``[[example]]`` for the field ``examples``).

    Raises:
        CatalogueError: The file cannot be read, is not TOML, holds an unknown key, lacks one, or
            a value has the wrong type or is out of bounds. The message names file and key.
    """
    data = _read(path)
    renamed = {field: key for key, field in (lists or {}).items()}
    _refuse_unknown(data, schema, path, (), renamed)
    for field, key in renamed.items():
        if key in data:
            data[field] = data.pop(key)
    return convert(data, schema, path, renamed=renamed)


def given(path: Path, schema: type[Any]) -> dict[str, Any]:
    """The fields that a TOML file gives, checked as by ``load``, without those that it leaves open.

    Args:
        path: The file.
        schema: A dataclass all of whose fields have defaults.

    Raises:
        CatalogueError: As for ``load``.
    """
    data = _read(path)
    _refuse_unknown(data, schema, path, (), {})
    filled = convert(data, schema, path)
    return {name: getattr(filled, name) for name in data}


def convert(
    data: Mapping[str, Any],
    schema: type[T],
    path: Path,
    *,
    inside: str = "",
    renamed: Mapping[str, str] | None = None,
) -> T:
    """Build ``schema`` from ``data``; ``inside`` is where in the file the data stands.

    Raises:
        CatalogueError: A key is missing, or a value has the wrong type or is out of bounds.
    """
    try:
        return msgspec.convert(data, schema, strict=True)
    except msgspec.ValidationError as error:
        raise CatalogueError(
            f"{path}: {_humane(str(error), inside, renamed or {})}{_choices(str(error), schema)}"
        ) from error


def unknown(what: str, offender: str, known: Iterable[str]) -> str:
    """Say that ``offender`` is not one of ``known``, with the nearest of them and all of them."""
    choices = sorted(known)
    folded = {choice.casefold(): choice for choice in choices}
    near = get_close_matches(offender.casefold(), folded, n=1, cutoff=0.5)
    hint = f" Did you mean {folded[near[0]]!r}?" if near else ""
    return f"unknown {what} {offender!r}.{hint} Known: {', '.join(choices) or 'none'}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogueError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CatalogueError(f"{path}: not UTF-8: {error.reason}, byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{path}: not TOML: {error}") from error


def _refuse_unknown(
    data: object,
    schema: Any,
    path: Path,
    inside: tuple[str, ...],
    renamed: Mapping[str, str],
) -> None:
    """Walk tables beside the schema: ``msgspec`` ignores keys that a dataclass does not have."""
    if isinstance(schema, type) and dataclasses.is_dataclass(schema) and isinstance(data, dict):
        hints = _hints(schema)
        known = {renamed.get(field.name, field.name): field.name for field in _fields(schema)}
        for key, value in data.items():
            if key not in known:
                where = f" in {_dotted(inside)}" if inside else ""
                raise CatalogueError(f"{path}: {unknown(f'key{where}', key, known)}")
            _refuse_unknown(value, hints[known[key]], path, (*inside, key), {})
        return
    each = _items(data, schema)
    if each is not None:
        element, items = each
        for label, item in items:
            _refuse_unknown(item, element, path, (*inside, label), {})
            if isinstance(data, dict) and isinstance(item, dict):
                # In a table of tables msgspec does not say which of them is wrong.
                convert(item, element, path, inside=_dotted((*inside, label)))
        return
    for option in get_args(schema) if get_origin(schema) is not None else ():
        if dataclasses.is_dataclass(option):  # X | None
            _refuse_unknown(data, option, path, inside, {})


def _items(data: object, schema: Any) -> tuple[Any, list[tuple[str, object]]] | None:
    """The element type and labelled elements of a table of tables or a list of tables."""
    origin, args = get_origin(schema), get_args(schema)
    if origin is tuple and isinstance(data, list):
        return args[0], [(str(index), item) for index, item in enumerate(data, 1)]
    if origin in (dict, Mapping) and isinstance(data, dict) and args:
        return args[1], list(data.items())
    return None


# Asked of the same few dataclasses for every table of every file.
_hints = cache(get_type_hints)


def _fields(schema: Any) -> tuple[dataclasses.Field[Any], ...]:
    return tuple(field for field in dataclasses.fields(schema) if field.init)


def _dotted(inside: Iterable[str]) -> str:
    return " ".join(inside)


def _humane(message: str, inside: str, renamed: Mapping[str, str]) -> str:
    """Turn ``Expected `int`, got `str` - at `$.examples[0].min_records` `` into words."""
    problem, _, where = message.partition(" - at `$")
    keys = [
        str(int(part) + 1) if part.isdigit() else renamed.get(part, part)
        for part in re.findall(r"[^.\[\]`]+", where)
    ]
    key = _dotted([*([inside] if inside else []), *keys])
    problem = re.sub(r"Object missing required field `(.+)`", _missing(renamed), problem)
    return f"{key}: {problem}" if key else problem


def _missing(renamed: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    return lambda match: f"the key {renamed.get(match[1], match[1])!r} is missing"


def _choices(message: str, schema: type[Any]) -> str:
    """For a value outside a ``Literal``, its choices; ``msgspec`` does not name them."""
    found = re.search(r"Invalid enum value .* - at `\$\.(?:.*\.)?(\w+)`", message)
    choices = _literals(schema).get(found[1]) if found else None
    return f"; choices: {', '.join(map(repr, choices))}" if choices else ""


def _literals(schema: Any) -> dict[str, tuple[object, ...]]:
    """Every ``Literal`` field of a dataclass and of those inside it, by field name."""
    found: dict[str, tuple[object, ...]] = {}
    for name, hint in get_type_hints(schema).items():
        args = get_args(hint)
        if args and all(isinstance(arg, str) for arg in args):
            found[name] = args
        for inner in (hint, *args):
            if dataclasses.is_dataclass(inner):
                found |= _literals(inner)
    return found
