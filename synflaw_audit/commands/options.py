"""A command's options from the dataclasses of settings, so that each is written once.

A command takes a whole group (``reading: Reading``) and gets it filled: from the option where it is
given, else from the settings file that ``--config`` names, else with the field's default. So either
can override the other's: ``resume = true`` in a file is turned off by ``--no-resume``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import typer

from synflaw_audit.settings import AuditSettings, Setting

C = TypeVar("C", bound=Callable[..., Any])

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...",
        help="Files, directories, globs, or a data set's name; for Spark URIs and tables too.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Directory for the results.", show_default=False)]
Checks = Annotated[
    Path | None,
    typer.Option("--checks", help="A directory of checks of your own.", metavar="DIR"),
]
Seed = Annotated[int, typer.Option("--seed", help="Of everything random.")]


@dataclass(frozen=True, kw_only=True)
class Printing:
    """What goes to the terminal."""

    json: Annotated[
        bool,
        Setting("Print the report as JSON on stdout, and nothing else.", flags=("--json",)),
    ] = False
    quiet: Annotated[bool, Setting("Print nothing but errors.", flags=("--quiet", "-q"))] = False


def with_settings(command: C) -> C:
    """The command with an option for each field of the groups that it takes, and ``--config``."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters = [inspect.Parameter("context", _KEYWORD, annotation=typer.Context)]
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            parameters += _options(groups[parameter.name])
        else:
            annotation = hints[parameter.name]
            parameters.append(parameter.replace(kind=_KEYWORD, annotation=annotation))
    config = inspect.Parameter("config", _KEYWORD, default=None, annotation=_Config)

    @wraps(command)
    def run(context: typer.Context, config: Path | None, **values: Any) -> Any:
        stored = {} if config is None else _stored(config)
        filled = {name: _filled(kind, values, stored, context) for name, kind in groups.items()}
        return command(**values, **filled)

    signature = inspect.Signature([*parameters, config])
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
    return run  # type: ignore[return-value]


_KEYWORD = inspect.Parameter.KEYWORD_ONLY

_Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="A TOML file of these settings; options override it.", metavar="FILE"
    ),
]


def _options(group: Any) -> list[inspect.Parameter]:
    """A parameter for each field, in typer's words."""
    kinds, hints = get_type_hints(group), get_type_hints(group, include_extras=True)
    parameters = []
    for field in fields(group):
        kind, (bounded, told) = kinds[field.name], get_args(hints[field.name])
        if str in get_args(kind):  # what may be text is given as text
            kind = str | None
        flag = field.name.replace("_", "-")
        named = told.flags or ((f"--{flag}/--no-{flag}",) if kind is bool else (f"--{flag}",))
        option = typer.Option(*named, help=told.help, metavar=told.metavar, min=_least(bounded))
        parameters.append(
            inspect.Parameter(
                field.name, _KEYWORD, default=field.default, annotation=Annotated[kind, option]
            )
        )
    return parameters


def _least(kind: Any) -> int | None:
    """The smallest number that an annotation allows, ``Annotated[int, Meta(ge=1)] | None``."""
    metas = (meta for part in get_args(kind) for meta in getattr(part, "__metadata__", ()))
    return next((meta.ge for meta in metas), None)


def _filled(
    group: Any, values: dict[str, Any], stored: Mapping[str, Any], context: typer.Context
) -> Any:
    """The group, its values taken out of ``values``."""
    chosen = {}
    for field in fields(group):
        value = values.pop(field.name)
        source = context.get_parameter_source(field.name)
        given = source is not None and source.name != "DEFAULT"
        chosen[field.name] = value if given else stored.get(field.name, value)
    return group(**chosen)


def _stored(path: Path) -> Mapping[str, Any]:
    """What a settings file says, and nothing that it leaves open."""
    from synflaw_audit import strict_toml

    return strict_toml.given(path, AuditSettings)
