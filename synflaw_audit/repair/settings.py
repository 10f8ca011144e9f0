"""Settings of a repair in a TOML file: any field of ``RepairConfig``, and nothing else.

The values come back as a dictionary, not as a ``RepairConfig``, so that the command line can
override them before defaults that depend on other settings are filled in.
"""

from __future__ import annotations

import tomllib
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_type_hints

import msgspec

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.settings.base import choices_of
from synflaw_audit.settings.repair import RepairSettings
from synflaw_audit.strict_toml import unknown


def read_settings(path: Path) -> dict[str, Any]:
    """Read settings by the names of the fields of :class:`~.config.RepairConfig`.

    Raises:
        RepairError: The file cannot be read, is not TOML, names a setting that there is not, or
            gives one a value of the wrong type; names the file, the setting and the choices.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RepairError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RepairError(f"{path}: not TOML: {error}") from error
    hints = get_type_hints(RepairConfig)
    known = {field.name for field in fields(RepairConfig) if field.init}
    for name, value in given.items():
        if name not in known:
            own = {"loss_options", *(field.name for field in fields(RepairSettings))}
            near = unknown("setting", name, known).partition(" Known:")[0]
            raise RepairError(
                f"{path}: {near} Known: {', '.join(sorted(own))}, and the fields of "
                "transformers.TrainingArguments"
            )
        _check(path, name, value, hints[name])
    return given


def _check(path: Path, name: str, value: Any, hint: Any) -> None:
    enums = [kind for kind in get_args(hint) if isinstance(kind, type) and issubclass(kind, Enum)]
    if enums:
        # Several fields are annotated "an enumeration or any string"; only the former is meant.
        hint = Union[tuple(kind for kind in get_args(hint) if kind is not str)]  # noqa: UP007
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        members = (str(member.value) for kind in enums for member in kind)
        choices = ", ".join((*members, *choices_of(hint)))
        listed = f"; choose one of {choices}" if choices else ""
        raise RepairError(f"{path}: {name} = {value!r}: {error}{listed}") from error
