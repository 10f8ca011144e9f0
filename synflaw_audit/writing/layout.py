"""Where the files of a corpus stand in the folder that holds them again."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path


def root_of(named: Sequence[str | os.PathLike[str]], files: Sequence[Path]) -> Path:
    """The folder that the places of a corpus's files are told from.

    Of a folder that was named it is that folder, of a file the one it stands in, of a pattern the
    last folder before anything in it is magic; of several names the folder that holds all of these.

    Args:
        named: What the caller named as the corpus.
        files: Every file of it.
    """
    # Links are not followed: a file has the place that the caller gave it.
    roots = [root for name in named if (root := _root(Path(os.path.abspath(name))))]  # noqa: PTH100
    absolute = [Path(os.path.abspath(file)) for file in files]  # noqa: PTH100
    if roots:
        root = Path(os.path.commonpath(roots))
        if all(file.is_relative_to(root) for file in absolute):
            return root
    return Path(os.path.commonpath([file.parent for file in absolute]))


def place_of(file: Path, root: Path) -> Path:
    """A file's path from the root."""
    return Path(os.path.abspath(file)).relative_to(root)  # noqa: PTH100


def _root(path: Path) -> Path | None:
    if path.is_dir():
        return path
    if path.exists():
        return path.parent
    fixed = next((n for n, part in enumerate(path.parts) if glob.has_magic(part)), None)
    return None if fixed is None else Path(*path.parts[:fixed])
