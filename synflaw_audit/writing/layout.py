"""Where the files of a corpus stand in the folder that holds them again."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from synflaw_audit.remote import FilePath, RemotePath, is_remote, local_path, remote_path


def root_of(named: Sequence[str | os.PathLike[str]], files: Sequence[FilePath]) -> Path:
    """The folder that the places of a corpus's files are told from.

    Of a folder that was named it is that folder, of a file the one it stands in, of a pattern the
    last folder before anything in it is magic; of several names the folder that holds all of these.

    Args:
        named: What the caller named as the corpus.
        files: Every file of it.
    """
    # Links are not followed: a file has the place that the caller gave it.
    roots = [root for name in named if (root := _root(name))]
    absolute = [_absolute(file) for file in files]
    if roots:
        root = Path(os.path.commonpath(roots))
        if all(file.is_relative_to(root) for file in absolute):
            return root
    return Path(os.path.commonpath([file.parent for file in absolute]))


def place_of(file: FilePath, root: Path) -> Path:
    """A file's path from the root."""
    return _absolute(file).relative_to(root)


def _absolute(path: FilePath) -> Path:
    return path.mirror if isinstance(path, RemotePath) else Path(os.path.abspath(path))  # noqa: PTH100


def _root(name: str | os.PathLike[str]) -> Path | None:
    if is_remote(name):
        there = remote_path(name)
        return there.mirror.parent if not there.pattern and there.kind() == "file" else there.mirror
    path = Path(os.path.abspath(local_path(os.fspath(name))))  # noqa: PTH100
    if path.is_dir():
        return path
    if path.exists():
        return path.parent
    fixed = next((n for n, part in enumerate(path.parts) if glob.has_magic(part)), None)
    return None if fixed is None else Path(*path.parts[:fixed])
