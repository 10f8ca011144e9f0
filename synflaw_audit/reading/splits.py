"""Which part of a data set a file holds, as its name tells: train, test, validation."""

from __future__ import annotations

import re

_SPLIT = re.compile(r"(?<![a-z])(train|test|valid(?:ation)?|dev|eval)(?![a-z])", re.IGNORECASE)
_SPLITS = {"valid": "validation", "dev": "validation", "eval": "test"}


def split_of(file: str) -> str | None:
    """The split that a file's or table's name tells, such as "train"; None if it tells none.

    The part after a colon counts before the file's name, and that before its folders'.
    """
    path, _, named = file.rstrip(">").rpartition(":")
    parts = [named, *reversed(path.replace("\\", "/").split("/"))] if path else [named]
    parts = [part for name in parts for part in reversed(name.replace("\\", "/").split("/"))]
    for part in parts:
        if found := _SPLIT.search(part):
            return known_split(found[1])
    return None


def known_split(name: str) -> str:
    """A split by the name that all its names stand for."""
    split = name.lower()
    return _SPLITS.get(split, split)
