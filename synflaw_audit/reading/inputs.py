"""What a caller names as a corpus, as files and tables that can be read again and again."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from synflaw_audit.errors import InputError
from synflaw_audit.reading.containers import COMPRESSIONS
from synflaw_audit.reading.rows import Input
from synflaw_audit.reading.tables import Frame, Table, TableFile
from synflaw_audit.reading.text import TextFile

if TYPE_CHECKING:
    import datasets
    import pandas as pd

SourceLike: TypeAlias = (
    "str | Path | Sequence[str | Path] | pd.DataFrame | pa.Table | "
    "datasets.Dataset | datasets.DatasetDict"
)

_TEXT = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv"}
_TABLES = {".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow"}
_READABLE = f"{', '.join(_TEXT)} (each also {' or '.join(COMPRESSIONS)}), {', '.join(_TABLES)}"
# What `datasets` writes beside the Arrow files of a data set saved to disk.
_DATASET_NOTES = frozenset(
    {"dataset_dict.json", "dataset_info.json", "dataset_infos.json", "state.json"}
)
_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:/([\w.-]+))?(?::([\w.-]+))?")


def find_inputs(source: SourceLike) -> tuple[Input, ...]:
    """Finds every file or table that a caller means, in a stable order, each once.

    Args:
        source: See ``open_source``.

    Raises:
        InputError: There is no such thing, or nothing readable in it.
    """
    # Whoever holds a DataFrame has imported pandas; nobody else pays for it.
    if (pandas := sys.modules.get("pandas")) and isinstance(source, pandas.DataFrame):
        return (Frame("<DataFrame>", source),)
    if isinstance(source, pa.Table):
        return (Table("<Table>", source),)
    if type(source).__module__.partition(".")[0] == "datasets":
        return tuple(_dataset_inputs(source, "<Dataset{}>"))
    names = [source] if isinstance(source, str | os.PathLike) else source
    if not isinstance(names, Sequence) or not all(isinstance(n, str | os.PathLike) for n in names):
        raise InputError(
            f"a corpus is a path, a sequence of paths, a DataFrame, a pyarrow Table or a Dataset, "
            f"not {type(source).__name__}"
        )
    if not names:
        raise InputError("no input: give at least one file, directory, pattern or data set")
    found: dict[object, Input] = {}
    for name in names:
        for item in _named_inputs(name):
            key = item.path.resolve() if isinstance(item, TextFile | TableFile) else item.name
            found.setdefault(key, item)
    return tuple(found.values())


def _named_inputs(name: str | os.PathLike[str]) -> Sequence[Input]:
    path = Path(name)
    if path.is_dir():
        return _directory_inputs(path)
    if path.exists():
        if (file := _file_input(path)) is None:
            raise InputError(f"{path}: unknown kind of file; readable are {_READABLE}")
        return (file,)
    if glob.has_magic(str(name)):
        return _pattern_inputs(str(name))
    hub = _HUB_NAME.fullmatch(name) if isinstance(name, str) else None
    # With a folder of that name here, a path was meant: nobody is made to wait for the network.
    if hub and not _format(path) and not path.parent.exists():
        return _hub_inputs(str(name), *hub.groups())
    raise InputError(f"{name}: no such file or directory")


def _format(path: Path) -> tuple[type[TextFile | TableFile], str] | None:
    suffix = path.suffix.lower()
    if suffix in _TABLES:
        return TableFile, _TABLES[suffix]
    if suffix in COMPRESSIONS:
        suffix = Path(path.stem).suffix.lower()
    return (TextFile, _TEXT[suffix]) if suffix in _TEXT else None


def _file_input(path: Path) -> Input | None:
    if (known := _format(path)) is None:
        return None
    kind, form = known
    # A name that is not UTF-8 cannot stand in a record; shown escaped it still names the file.
    name = os.fsencode(path).decode("utf-8", "backslashreplace")
    return kind(name, path, form)


def _directory_inputs(root: Path) -> Sequence[Input]:
    inputs, others = _sorted_out(_walk(root))
    if not inputs:
        raise _nothing_readable(str(root), others)
    return inputs


def _pattern_inputs(pattern: str) -> Sequence[Input]:
    paths: list[Path] = []
    for name in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207 - any root, and **
        path = Path(name)
        paths += _walk(path) if path.is_dir() else [path]
    inputs, others = _sorted_out(paths)
    if not inputs:
        raise _nothing_readable(pattern, others)
    return inputs


def _walk(root: Path) -> Iterator[Path]:
    """Every file below, by name; hidden ones and what ``datasets`` adds are no data."""
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        saved = "state.json" in files or "dataset_dict.json" in files
        for name in sorted(files):
            if not name.startswith(".") and not (saved and name in _DATASET_NOTES):
                yield Path(folder, name)


def _sorted_out(paths: Iterable[Path]) -> tuple[list[Input], list[str]]:
    inputs: list[Input] = []
    others: list[str] = []
    for path in paths:
        if file := _file_input(path):
            inputs.append(file)
        else:
            others.append(str(path))
    return inputs, others


def _nothing_readable(where: str, others: list[str]) -> InputError:
    shown = ", ".join(others[:10]) + (", ..." if len(others) > 10 else "")
    found = f"only {shown}" if others else "no files"
    return InputError(f"{where}: nothing to read: {found}; readable are {_READABLE}")


def _dataset_inputs(data: Any, name: str) -> Sequence[Input]:
    """A ``datasets`` data set, in memory or streamed; a dictionary of them gives one a split."""
    if isinstance(data, dict):
        return [Table(name.format(f":{split}"), part) for split, part in data.items()]
    if not hasattr(data, "with_format") or not hasattr(data, "iter"):
        raise InputError(f"{type(data).__name__} of the datasets library holds no rows")
    return [Table(name.format(""), data)]


def _hub_inputs(
    name: str, repository: str, config: str | None, split: str | None
) -> Sequence[Input]:
    """A data set of the Hugging Face hub, as "org/name", "org/name/config", with ":split"."""
    import datasets

    try:
        data = datasets.load_dataset(repository, config, split=split)
    except Exception as error:  # whatever the network and the data set's files can raise
        raise InputError(
            f"{name}: no such file or directory, and no data set of that name could be loaded "
            f"from the hub: {type(error).__name__}: {error}"
        ) from error
    return _dataset_inputs(data, name + "{}")
