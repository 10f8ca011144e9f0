"""No output is an input: the two are told apart before anything is opened for writing."""

from __future__ import annotations

import glob
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import unquote

from synflaw_audit.errors import InputError
from synflaw_audit.outputs.names import OUTPUT_FILES, WORK_FOLDER

OUTPUTS = (*OUTPUT_FILES, WORK_FOLDER)


def require_disjoint(
    out: Path, inputs: Iterable[str | os.PathLike[str]], names: Iterable[str] = OUTPUTS
) -> None:
    """Refuses a folder for outputs of which one is an input, or that lies among the inputs.

    Two paths are one file if they have one name once links are followed, whatever the case of its
    letters, or if they lead to one inode.

    Args:
        out: The folder; need not exist.
        inputs: Files, directories, patterns, "file:" URIs, as a caller names them. What is none of
            these on this machine (a table, a data set's name) cannot be an output.
        names: Of the outputs.

    Raises:
        InputError: Names both.
    """
    targets = _Targets(out, names)
    for given in inputs:
        named = os.fspath(given)
        path = _local(named)
        if path is None:
            continue
        if path.is_dir():
            targets.require_outside(path, named)
            targets.require_other(_walk(path), named)
        elif path.exists() or not glob.has_magic(str(path)):
            targets.require_other([path], named)
        else:
            targets.require_unmatched(str(path), named)
            for found in map(Path, glob.glob(str(path), recursive=True)):  # noqa: PTH207
                if found.is_dir():
                    targets.require_outside(found, named)
                targets.require_other(_walk(found) if found.is_dir() else [found], named)


class _Targets:
    """The outputs in a folder, as what an input must not be."""

    def __init__(self, out: Path, names: Iterable[str]) -> None:
        self._out = out
        self._home = _real(out)
        self._names = {_folded(name): name for name in names}
        paths = ((name, self._home / name) for name in self._names.values())
        self._nodes = {node: name for name, path in paths if (node := _node(path))}

    def require_outside(self, directory: Path, named: str) -> None:
        """They do not lie in a directory that is read, at any depth."""
        above = (self._home, *self._home.parents)
        if _folded(_real(directory)) in map(_folded, above):
            raise InputError(
                f"{self._out}: lies in {named}, which is read as input, so that the next run would "
                "read the outputs of this one; choose an --out outside of it, or name the files"
            )

    def require_unmatched(self, pattern: str, named: str) -> None:
        """No output, and no folder that holds them, matches a pattern that is read."""
        parts = _pattern_parts(pattern)
        outputs = (self._home / name for name in self._names.values())
        for path in (self._home, *self._home.parents, *outputs):
            if _matches(Path(_folded(path)).parts, parts):
                raise InputError(
                    f"{self._out}: {path} matches {named}, which is read as input, so that the "
                    "next run would read the outputs of this one; choose another --out, or name "
                    "the files"
                )

    def require_other(self, files: Iterable[Path], named: str) -> None:
        """None of them is one of the files, nor holds one."""
        within = _folded(self._home) + os.sep
        for file in files:
            real = _folded(_real(file))
            name = self._nodes.get(_node(file) or (-1, -1))
            if name is None and real.startswith(within):
                name = self._names.get(real.removeprefix(within).partition(os.sep)[0])
            if name is not None:
                shown = named if str(file) == named else f"{file} (of {named})"
                raise InputError(
                    f"{shown}: is an input, and would be overwritten by the output {name} in "
                    f"{self._out}; choose another --out"
                )


def _local(named: str) -> Path | None:
    """A path of this machine; None if it is something else."""
    if named.startswith("file:"):
        return Path("/" + unquote(named.removeprefix("file:")).lstrip("/"))
    return None if "://" in named else Path(named)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _node(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _walk(root: Path) -> Iterator[Path]:
    for folder, _, files in os.walk(root):
        yield from (Path(folder, name) for name in files)


def _folded(path: str | Path) -> str:
    """A path as file systems that do not tell letter case or normal forms apart see it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(path)).casefold())


def _pattern_parts(pattern: str) -> tuple[str, ...]:
    """A pattern's parts, its beginning resolved as far as nothing in it is magic."""
    parts = Path(os.path.abspath(pattern)).parts  # noqa: PTH100 - nothing is resolved yet
    fixed = next(n for n, part in enumerate(parts) if glob.has_magic(part))
    root = Path(_folded(_real(Path(*parts[:fixed]))))
    return (*root.parts, *map(_folded, parts[fixed:]))


def _matches(path: Sequence[str], parts: Sequence[str]) -> bool:
    if not parts:
        return not path
    if parts[0] == "**":
        return any(_matches(path[n:], parts[1:]) for n in range(len(path) + 1))
    return bool(path) and fnmatch(path[0], parts[0]) and _matches(path[1:], parts[1:])
