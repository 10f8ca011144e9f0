"""What describes a data set beside its rows, so that what loaded the corpus loads it again.

The files that ``datasets`` saves and reads: which files hold the rows of a saved data set, its
features, a data set's card. Sizes that no longer hold are taken out of them, because it refuses a
data set that is not of the size that its card tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import xxhash

from synflaw_audit.outputs.manifest import fingerprint

_STATE, _CARD = "state.json", "README.md"
_INFOS = ("dataset_info.json", "dataset_infos.json")
_NAMES = (_STATE, *_INFOS, "dataset_dict.json", _CARD)
_SIZES = ("splits", "download_size", "dataset_size", "size_in_bytes", "download_checksums")
# In a card's YAML: the key, and the list below it.
_CARD_SIZES = re.compile(r"^(?P<at>[ -]*)splits:\n(?:(?P=at)[ -].*\n)+", re.MULTILINE)
_FRONT_MATTER = re.compile(r"\A---\n.*?^---\s*$", re.MULTILINE | re.DOTALL)


def copy_sidecars(root: Path, to: Path, places: Iterable[Path], *, same: bool) -> None:
    """Copies what describes the data sets in a folder.

    Args:
        root: The folder.
        to: The other folder, which has the files of rows already.
        places: Of these, from either.
        same: Every row is there.
    """
    for folder in sorted({parent for place in places for parent in place.parents}):
        for name in _NAMES:
            path, target = root / folder / name, to / folder / name
            if path.is_file() and not target.exists():
                data = path.read_bytes()
                target.write_bytes(data if same else _adapted(data, target))


def _adapted(data: bytes, target: Path) -> bytes:
    """What a description says of fewer rows."""
    if target.name == _CARD:
        return _card(data)
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return data
    if not isinstance(value, dict):
        return data
    if target.name == _STATE and "_fingerprint" in value:
        digest = xxhash.xxh3_64(str(value["_fingerprint"]).encode())
        for file in value.get("_data_files") or ():
            digest.update(str(fingerprint(target.with_name(file["filename"]))).encode())
        value["_fingerprint"] = digest.hexdigest()
    elif target.name in _INFOS:
        infos = [value] if "features" in value else value.values()
        for info in infos:
            _without_sizes(info)
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def _without_sizes(info: Any) -> None:
    if isinstance(info, dict) and "features" in info:
        for name in _SIZES:
            info.pop(name, None)


def _card(data: bytes) -> bytes:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data
    if (front := _FRONT_MATTER.match(text)) is None:
        return data
    return (_CARD_SIZES.sub("", front[0]) + text[front.end() :]).encode()
