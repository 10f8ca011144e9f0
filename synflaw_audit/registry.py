"""Parts by name: our own, and those that installed packages add through entry points.

A package adds a part of a kind by an entry point of the kind's group::

    [project.entry-points."synflaw_audit.measures"]
    politeness = "my_package.politeness:Politeness"

A part is imported when it is asked for by its name, and not before: our own cost nothing until they
are used, and one that cannot be imported breaks nothing but its own use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from synflaw_audit.errors import PluginError, SynflawError

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Registry(Mapping[str, T], Generic[T]):
    """The parts of one kind; a mapping from names that imports what it is asked for.

    Attributes:
        kind: What they are, in the singular: "measure".
        group: The group of entry points.
        own: Where our own are, as ``module:attribute``, by name. A name of ours stays ours.
        requires: What a part must have, as names of its attributes.
        error: What is raised for a name that is not known.
    """

    kind: str
    group: str
    own: Mapping[str, str]
    requires: tuple[str, ...] = ()
    error: type[SynflawError] = PluginError

    def __getitem__(self, name: str) -> T:
        """Imports a part.

        Raises:
            KeyError: There is none of that name; ``find`` says which there are.
            PluginError: It cannot be imported or is no such part, or two packages add one of that
                name; the message names the packages.
        """
        if name in self.own:
            module, _, attribute = self.own[name].partition(":")
            return cast(T, getattr(import_module(module), attribute))
        found = self._foreign.get(name, ())
        if not found:
            raise KeyError(name)
        if len(found) > 1:
            packages = " and ".join(sorted({_package(each) for each in found}))
            raise PluginError(f"the {self.kind} {name!r} is added by {packages}; uninstall one")
        return self._loaded(found[0])

    def __iter__(self) -> Iterator[str]:
        """Their names, ours first."""
        yield from self.own
        yield from (name for name in sorted(self._foreign) if name not in self.own)

    def __len__(self) -> int:
        return len({*self.own, *self._foreign})

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self._foreign

    def find(self, name: str) -> T:
        """The part of that name, for a user who may have misspelt it.

        Raises:
            SynflawError: Of the kind ``error``: there is none; names the nearest and all.
            PluginError: As for the mapping's items.
        """
        if name not in self:
            near = get_close_matches(name, list(self), n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            known = ", ".join(sorted(self))
            raise self.error(f"unknown {self.kind} {name!r}.{hint} Known: {known}")
        return self[name]

    def origin(self, name: str) -> str:
        """The package that a part comes from."""
        return "synflaw-audit" if name in self.own else _package(self._foreign[name][0])

    @cached_property
    def _foreign(self) -> Mapping[str, tuple[EntryPoint, ...]]:
        found: dict[str, tuple[EntryPoint, ...]] = {}
        for entry in entry_points(group=self.group):
            # A package that stands twice on the path adds its parts twice.
            if entry not in found.get(entry.name, ()):
                found[entry.name] = (*found.get(entry.name, ()), entry)
        return found

    def _loaded(self, entry: EntryPoint) -> T:
        what = f"the {self.kind} {entry.name!r} of the package {_package(entry)} ({entry.value})"
        try:
            part = entry.load()
        except Exception as error:  # whatever a stranger's module does when it is imported
            raise PluginError(
                f"{what} cannot be imported: {type(error).__name__}: {error}. Mend or uninstall it"
            ) from error
        missing = [name for name in self.requires if not hasattr(part, name)]
        if missing:
            raise PluginError(f"{what} is no {self.kind}: it has no {' and no '.join(missing)}")
        return cast(T, part)


def _package(entry: EntryPoint) -> str:
    return "an unknown package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
