"""What a field of settings says of itself, and what its annotation allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from msgspec import Meta


@dataclass(frozen=True)
class Setting:
    """What a field of settings says of itself.

    A field without one is for settings files and Python alone.

    Attributes:
        help: A line for ``--help``.
        metavar: What stands for the value there.
        flags: The option's names, where they do not follow from the field's.
    """

    help: str
    metavar: str | None = None
    flags: tuple[str, ...] = ()


def refusals(settings: Any, group: type[Any]) -> Iterator[str]:
    """What is wrong with values, by the annotations of a dataclass (``Literal``, ``msgspec.Meta``).

    Args:
        settings: Has the values, as attributes.
        group: The dataclass whose fields are looked at.
    """
    for name, hint in get_type_hints(group, include_extras=True).items():
        value = getattr(settings, name)
        if value is None and type(None) in _parts(hint):
            continue
        choices = choices_of(hint)
        if choices and value not in choices:
            yield f"{name} is {value!r}; choose one of {', '.join(choices)}"
        for meta in metas_of(hint):
            if isinstance(meta, Meta) and not _within(value, meta):
                yield f"{name} is {value}; it must be {_told(meta)}"


def choices_of(hint: Any) -> tuple[str, ...]:
    """The words of a ``Literal`` in an annotation; none where there is none."""
    return tuple(
        word for part in _parts(hint) if get_origin(part) is Literal for word in get_args(part)
    )


def metas_of(hint: Any) -> Iterator[Any]:
    """What an annotation says beside the type, ``Annotated[int, Meta(ge=1)] | None`` for one."""
    yield from getattr(hint, "__metadata__", ())
    for part in get_args(hint):
        yield from metas_of(part)


def _parts(hint: Any) -> Iterator[Any]:
    """An annotation and all that it is made of."""
    yield hint
    for part in get_args(hint):
        yield from _parts(part)


def _within(value: Any, meta: Meta) -> bool:
    return (
        (meta.ge is None or value >= meta.ge)
        and (meta.gt is None or value > meta.gt)
        and (meta.le is None or value <= meta.le)
        and (meta.lt is None or value < meta.lt)
    )


def _told(meta: Meta) -> str:
    bounds = {
        "{} or more": meta.ge,
        "more than {}": meta.gt,
        "at most {}": meta.le,
        "less than {}": meta.lt,
    }
    return " and ".join(text.format(at) for text, at in bounds.items() if at is not None)
