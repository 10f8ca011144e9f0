"""Folders that a cluster writes, in place of what is there."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path


def write_folders(writers: Mapping[str, Callable[[str], object]]) -> None:
    """Writes folders, in place of what is there.

    In this machine's file system ("file:") they appear when all of them are complete. Elsewhere
    each appears as its writer has it: Spark's committers put ``_SUCCESS`` into a complete one, but
    what was there before is gone when they start.

    Args:
        writers: By target, a URI in which nothing is encoded. A writer is given the URI to write
            to, and replaces what is there.
    """
    staged: dict[Path, Path] = {}
    try:
        for target, write in writers.items():
            if not target.startswith("file:"):
                write(target)
                continue
            path = Path(re.sub("^file:(//)?", "", target))
            staged[path] = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
            write(f"file://{staged[path]}")
        for path, staging in staged.items():
            _replace(path, staging)
    finally:
        for staging in staged.values():
            shutil.rmtree(staging, ignore_errors=True)


def _replace(path: Path, staging: Path) -> None:
    old = staging.with_suffix(".old")
    if path.exists():
        path.rename(old)
    staging.rename(path)
    if old.is_dir():
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)
