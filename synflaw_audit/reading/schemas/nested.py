"""Rows whose columns stand inside objects: "data.answer" is the field "answer" of "data"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synflaw_audit.reading.rows import Fields
from synflaw_audit.reading.schemas.base import Schema
from synflaw_audit.reading.schemas.exchange import Exchange, Path, Segment
from synflaw_audit.reading.schemas.options import SchemaOptions

_MISSING = object()


@dataclass(frozen=True)
class Nested:
    """A schema of columns of which some stand inside others.

    Attributes:
        inner: The schema, to which every path is a column.
        paths: Those columns that are paths.
    """

    inner: Schema
    paths: tuple[str, ...]

    @classmethod
    def readings(cls, row: Fields, options: SchemaOptions) -> Iterator[Nested]:
        """See ``Schema.readings``; it is made of other schemas, and reads nothing by itself."""
        return iter(())

    def fitted(self, sample: Sequence[Fields], options: SchemaOptions) -> Nested:
        """See ``Schema.fitted``; it has been, with what it is made of."""
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read: those of the row that the others stand in."""
        heads = (n.partition(".")[0] if n in self.paths else n for n in self.inner.columns)
        return tuple(dict.fromkeys(heads))

    @property
    def options(self) -> Mapping[str, str]:
        """See ``Schema.options``."""
        return dict(self.inner.options)

    def __str__(self) -> str:
        return str(self.inner)

    def records(self, row: Fields) -> Sequence[Exchange]:
        """See ``Schema.records``."""
        found = self.inner.records(dict(row) | _reached(row, self.paths))
        return [e._replace(segments=tuple(self._inside(row, s) for s in e.segments)) for e in found]

    def _inside(self, row: Fields, segment: Segment) -> Segment:
        head = segment.path[0]
        if head not in self.paths:
            return segment
        return segment._replace(path=(*_steps(row, str(head)), *segment.path[1:]))


def widened(row: Fields, options: SchemaOptions) -> dict[str, object]:
    """A row with the fields that options name by paths, and those that stand beside them."""
    paths = [name for _, name in options.named if name not in row and "." in name]
    wide = dict(row)
    for path in paths:
        inside = path.rpartition(".")[0]
        holder = value_at(row, inside)
        if isinstance(holder, Mapping):
            wide |= {f"{inside}.{name}": value for name, value in holder.items()}
        elif (value := value_at(row, path)) is not _MISSING:
            wide[path] = value
    return wide


def value_at(row: Fields, path: str) -> Any:
    """The value at a path; a name that holds dots itself goes before one that is a path."""
    value: Any = row
    for step in _steps(row, path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return value


def _reached(row: Fields, paths: tuple[str, ...]) -> dict[str, object]:
    found = ((path, value_at(row, path)) for path in paths)
    return {path: value for path, value in found if value is not _MISSING}


def _steps(row: Fields, path: str) -> Path:
    """A path's steps; digits lead into a list."""
    value: Any = row
    steps: list[str | int] = []
    for name in path.split("."):
        step = int(name) if name.isdigit() and isinstance(value, list | tuple) else name
        steps.append(step)
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
    return tuple(steps)
