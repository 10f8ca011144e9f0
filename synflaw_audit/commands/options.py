"""A command's options from the dataclasses of settings, so that each is written once.

A command takes a whole group (``reading: Reading``) and gets it filled: from the option where it is
given, else from the settings file that ``--config`` names, else with the field's default. So either
can override the other's: ``resume = true`` in a file is turned off by ``--no-resume``. A command
that reads its settings file itself asks for what options gave alone,
``given: Annotated[dict[str, Any], RepairSettings]``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, fields, is_dataclass
from functools import cache, wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import typer
from msgspec import Meta

from synflaw_audit.settings import AuditSettings, Setting
from synflaw_audit.settings.base import metas_of

C = TypeVar("C", bound=Callable[..., Any])

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...",
        help="Files, directories, globs, URIs, or a data set's name; for Spark tables too.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Directory for the results.", show_default=False)]
Checks = Annotated[
    Path | None,
    typer.Option("--checks", help="A directory of checks of your own.", metavar="DIR"),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="A TOML file of these settings; options override it.", metavar="FILE"
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Of everything random.")]

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True, kw_only=True)
class PrintOptions:
    """What goes to the terminal."""

    json: Annotated[
        bool,
        Setting("Print the report as JSON on stdout, and nothing else.", flags=("--json",)),
    ] = False
    quiet: Annotated[bool, Setting("Print nothing but errors.", flags=("--quiet", "-q"))] = False


def with_settings(command: C) -> C:
    """The command with an option for each field of the groups that it takes, and ``--config``."""
    hints = get_type_hints(command, include_extras=True)
    whole: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parts = {name: kind for name, hint in hints.items() if (kind := _group_in(hint)) is not None}
    groups = {**whole, **parts}
    parameters = [inspect.Parameter("context", _KEYWORD, annotation=typer.Context)]
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            parameters += _options(groups[parameter.name])
        else:
            annotation = hints[parameter.name]
            parameters.append(parameter.replace(kind=_KEYWORD, annotation=annotation))
    reads = "config" in hints
    if not reads:
        parameters.append(inspect.Parameter("config", _KEYWORD, default=None, annotation=Config))

    @wraps(command)
    def run(context: typer.Context, **values: Any) -> Any:
        path = None if reads else values.pop("config")
        stored = {} if path is None else _stored(path)
        taken = {name: _taken(kind, values, context) for name, kind in groups.items()}
        filled = {name: kind(**_filled(taken[name], stored)) for name, kind in whole.items()}
        given = {name: _given(taken[name]) for name in parts}
        return command(**values, **filled, **given)

    signature = inspect.Signature(parameters)
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
    return run  # type: ignore[return-value]


def _group_in(hint: Any) -> Any:
    """The group of ``Annotated[dict[str, Any], group]``."""
    return next((meta for meta in getattr(hint, "__metadata__", ()) if is_dataclass(meta)), None)


def _options(group: Any) -> list[inspect.Parameter]:
    """A parameter in typer's words for each field that says something of itself."""
    kinds, hints = get_type_hints(group), _hints(group)
    parameters = []
    for field in _offered(group):
        metas = list(metas_of(hints[field.name]))
        (setting,) = (meta for meta in metas if isinstance(meta, Setting))
        kind = kinds[field.name]
        parts = get_args(kind) or (kind,)
        if str in parts:  # what may be text is given as text
            kind = str | None
        flag = field.name.replace("_", "-")
        named = setting.flags or ((f"--{flag}/--no-{flag}",) if bool in parts else (f"--{flag}",))
        bounds = next((meta for meta in metas if isinstance(meta, Meta)), Meta())
        option = typer.Option(
            *named,
            help=setting.help,
            metavar=setting.metavar,
            min=bounds.ge,
            max=bounds.le,
            rich_help_panel=_heading(group, field.name),
        )
        parameters.append(
            inspect.Parameter(
                field.name, _KEYWORD, default=field.default, annotation=Annotated[kind, option]
            )
        )
    return parameters


@cache
def _hints(group: Any) -> dict[str, Any]:
    """The annotations of a group's fields, whole; several commands ask for the same."""
    return get_type_hints(group, include_extras=True)


@cache
def _offered(group: Any) -> list[Field[Any]]:
    """The fields of a group that can be given as options."""
    hints = _hints(group)
    return [
        field
        for field in fields(group)
        if any(isinstance(meta, Setting) for meta in metas_of(hints[field.name]))
    ]


def _heading(group: Any, name: str) -> str | None:
    """The class that a field stands in, where the group is made of several."""
    owner = next(kind for kind in group.__mro__ if name in vars(kind).get("__annotations__", ()))
    return None if owner is group else str(owner.__name__)


def _taken(
    group: Any, values: dict[str, Any], context: typer.Context
) -> dict[str, tuple[Any, bool]]:
    """The group's values, taken out of ``values``, and whether each was given."""
    taken = {}
    for field in _offered(group):
        source = context.get_parameter_source(field.name)
        given = source is not None and source.name != "DEFAULT"
        taken[field.name] = (values.pop(field.name), given)
    return taken


def _given(taken: Mapping[str, tuple[Any, bool]]) -> dict[str, Any]:
    return {name: value for name, (value, given) in taken.items() if given}


def _filled(taken: Mapping[str, tuple[Any, bool]], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Every value: as it was given, else as the file has it, else the default."""
    return {
        name: value if given else stored.get(name, value) for name, (value, given) in taken.items()
    }


def _stored(path: Path) -> Mapping[str, Any]:
    """What a settings file says, and nothing that it leaves open."""
    from synflaw_audit import strict_toml

    return strict_toml.given(path, AuditSettings)
