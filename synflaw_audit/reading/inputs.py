"""What a caller names as a corpus, as files and tables that can be read again and again."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from synflaw_audit.errors import InputError
from synflaw_audit.findings.accounts import Skipped
from synflaw_audit.outputs.manifest import read_manifest
from synflaw_audit.outputs.names import MANIFEST_FILE
from synflaw_audit.reading.base import FileInput, Input
from synflaw_audit.reading.containers import COMPRESSIONS, kind_of, require_regular
from synflaw_audit.reading.descriptions import described
from synflaw_audit.reading.refused import advice, reason_not_read
from synflaw_audit.reading.registry import READERS
from synflaw_audit.reading.splits import known_split, split_of
from synflaw_audit.reading.stdin import NAME as STDIN
from synflaw_audit.reading.stdin import spooled
from synflaw_audit.reading.tables import DataFrameInput, TableInput
from synflaw_audit.remote import (
    FilePath,
    RemotePath,
    is_remote,
    local_path,
    remote_path,
    why,
    without_credentials,
)

if TYPE_CHECKING:
    import datasets
    import pandas as pd

SourceLike: TypeAlias = (
    "str | Path | Sequence[str | Path] | pd.DataFrame | pa.Table | "
    "datasets.Dataset | datasets.DatasetDict"
)

_BEHIND_LINK = "a link to a folder; name it to have it read"
_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:/([\w.-]+))?(?::([\w.-]+))?")


@dataclass
class FoundInputs:
    """What a caller means by a corpus.

    Attributes:
        inputs: Every file or table, in a stable order, each once.
        skipped: What was found beside them and is not read.
    """

    inputs: list[Input] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def skip(self, path: str | os.PathLike[str], reason: str) -> None:
        """Notes something that is not read."""
        at = path if isinstance(path, RemotePath) else Path(path)
        self.skipped.append(Skipped(_name(at), reason))


def find_inputs(source: SourceLike) -> FoundInputs:
    """Finds every file or table that a caller means.

    Args:
        source: See ``open_source``.

    Raises:
        InputError: There is no such thing, it may not be read, or nothing in it is readable.
    """
    # Whoever holds a DataFrame has imported pandas; nobody else pays for it.
    if (pandas := sys.modules.get("pandas")) and isinstance(source, pandas.DataFrame):
        return FoundInputs([DataFrameInput("<DataFrame>", source)])
    if isinstance(source, pa.Table):
        return FoundInputs([TableInput("<Table>", source)])
    if type(source).__module__.partition(".")[0] == "datasets":
        return FoundInputs(list(_dataset_inputs(source, "<Dataset{}>")))
    names = [source] if isinstance(source, str | os.PathLike) else source
    if not isinstance(names, Sequence) or not all(isinstance(n, str | os.PathLike) for n in names):
        raise InputError(
            f"a corpus is a path, a sequence of paths, a DataFrame, a pyarrow Table or a Dataset, "
            f"not {type(source).__name__}"
        )
    if not names:
        raise InputError("no input: give at least one file, directory, pattern or data set")
    found = FoundInputs()
    for name in names:
        _add_named(name, found)
    return _each_once(found)


def _each_once(found: FoundInputs) -> FoundInputs:
    """Leaves out a file that was found before, under this or another name."""
    kept: dict[object, Input] = {}
    for item in found.inputs:
        key = _identity(item.path) if isinstance(item, FileInput) else item.name
        known = kept.setdefault(key, item)
        if known.name != item.name:
            found.skip(item.name, f"the same file as {known.name}")
    read = {item.name for item in kept.values()}
    skipped = {skipped.path: skipped for skipped in found.skipped if skipped.path not in read}
    return FoundInputs(list(kept.values()), list(skipped.values()))


def _identity(path: FilePath) -> object:
    return path if isinstance(path, RemotePath) else path.resolve()


def _add_named(name: str | os.PathLike[str], found: FoundInputs) -> None:
    if is_remote(name):
        _add_remote(os.fspath(name), found)
        return
    name = local_path(name) if isinstance(name, str) else name
    path = Path(name)
    if name == "-":
        found.inputs.append(_stdin())
    elif path.is_dir():
        _add_all(str(path), _walk(path, found), found)
    elif _is_there(path):
        require_regular(_name(path), path)
        found.inputs.append(_readable_file(path))
    elif glob.has_magic(str(name)):
        _add_all(str(name), _matched(str(name), found), found)
    elif (part := _split_named(str(name))) is not None:
        _add_split(*part, found)
    else:
        hub = _HUB_NAME.fullmatch(name) if isinstance(name, str) else None
        # With a folder of that name here, a path was meant: nobody waits for the network.
        if not hub or _ending(path) or path.parent.exists():
            raise InputError(f"{name}: no such file or directory")
        found.inputs += _hub_inputs(str(name), *hub.groups())


def _readable_file(path: FilePath) -> FileInput:
    if (file := _file_input(path)) is None:
        reason = reason_not_read(path)
        raise InputError(f"{path}: {reason}; {advice(path)}readable are {_readable()}")
    if reason := described(path):
        raise InputError(f"{path}: {reason}; name a file of rows, or the folder")
    return file


def _add_remote(name: str, found: FoundInputs) -> None:
    """Adds what a URI names: a file, a folder with all below it, a pattern, or a split of one.

    Raises:
        InputError: There is no such thing, nothing in it is readable, or it cannot be reached.
    """
    path = remote_path(name)
    try:
        kind = "folder" if path.pattern else path.kind()
        if kind == "file":
            found.inputs.append(_readable_file(path))
        elif kind == "folder":
            _add_remote_files(without_credentials(name), path, found)
        elif ":" in path.name:
            uri, mark, query = name.partition("?")
            whole, _, split = uri.rpartition(":")
            part = FoundInputs()
            _add_remote(whole + mark + query, part)
            _add_chosen(without_credentials(whole), split, part, found)
        else:
            raise InputError(f"{without_credentials(name)}: no such file or folder")
    except OSError as error:
        raise InputError(f"{without_credentials(name)}: cannot be read: {why(error)}") from error


def _add_remote_files(where: str, folder: RemotePath, found: FoundInputs) -> None:
    inputs, skipped = len(found.inputs), len(found.skipped)
    for path in folder.below():
        parts = path.uri.removeprefix(folder.uri).strip("/").split("/")
        if any(part.startswith(".") for part in parts):
            found.skip(path, "hidden")
        elif (file := _file_input(path)) is None:
            found.skip(path, reason_not_read(path))
        elif reason := described(path):
            found.skip(path, reason)
        else:
            found.inputs.append(file)
    _require_some(where, found, inputs, skipped)


def _stdin() -> Input:
    path = spooled()
    ending = str(_ending(path))
    return READERS[ending](STDIN, path, ending)


def _split_named(name: str) -> tuple[Path, str] | None:
    """The file or folder and the split that "PATH:split" means, if there is such a path."""
    path, colon, split = name.rpartition(":")
    return (Path(path), split) if colon and split and path and _is_there(Path(path)) else None


def _add_split(path: Path, split: str, found: FoundInputs) -> None:
    """Adds the files of one split: those in a folder of its name, or whose names tell it.

    Raises:
        InputError: There is no such split; names those that there are.
    """
    if (path / split).is_dir():
        _add_named(path / split, found)
        return
    whole = FoundInputs()
    _add_named(path, whole)
    _add_chosen(str(path), split, whole, found)


def _add_chosen(where: str, split: str, whole: FoundInputs, found: FoundInputs) -> None:
    """Adds those of some files that are of one split."""
    root = where.rstrip("/").rpartition("/")[0]
    splits = {item.name: split_of(item.name.removeprefix(root)) for item in whole.inputs}
    chosen = [item for item in whole.inputs if splits[item.name] == known_split(split)]
    if not chosen:
        known = ", ".join(sorted({split for split in splits.values() if split})) or "none"
        raise InputError(f"{where}:{split}: no split {split!r} in {where}; splits there: {known}")
    found.inputs += chosen
    found.skipped += whole.skipped


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # such as a folder on the way that may not be entered
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _ending(path: FilePath) -> str | None:
    """The ending of a file's name by which it is read; None if there is no reader for it."""
    suffix = path.suffix.lower()
    if packed := suffix in COMPRESSIONS:
        suffix = Path(path.stem).suffix.lower()
    ending = suffix.removeprefix(".")
    if ending not in READERS or (packed and not _may_be_packed(ending)):
        return None
    return ending


def _may_be_packed(ending: str) -> bool:
    return bool(getattr(READERS[ending], "packed", False))


def _file_input(path: FilePath) -> FileInput | None:
    ending = _ending(path)
    return None if ending is None else READERS[ending](_name(path), path, ending)


def _readable() -> str:
    """The endings that can be read, for a message."""
    packed = ", ".join(f".{ending}" for ending in READERS.own if _may_be_packed(ending))
    plain = [f".{ending}" for ending in READERS.own if not _may_be_packed(ending)]
    foreign = [f".{name} ({READERS.origin(name)})" for name in READERS if name not in READERS.own]
    return ", ".join([f"{packed} (each also {' or '.join(COMPRESSIONS)})", *plain, *foreign])


def _name(path: FilePath) -> str:
    """How records and messages name a file; one that is not UTF-8 is shown escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _add_all(where: str, paths: Iterable[Path], found: FoundInputs) -> None:
    """Adds what is readable of what a folder or a pattern holds; the rest is skipped.

    Raises:
        InputError: Nothing is.
    """
    inputs, skipped = len(found.inputs), len(found.skipped)
    root = _fixed(where)
    manifests: dict[Path, frozenset[str]] = {}
    for path in paths:
        if _is_output(path, root, manifests):
            found.skip(path, "written by an earlier run; to read it, name the file itself")
        elif reason := _unreadable(path):
            found.skip(path, reason)
        elif file := _file_input(path):
            found.inputs.append(file)
    _require_some(where, found, inputs, skipped)


def _require_some(where: str, found: FoundInputs, inputs: int, skipped: int) -> None:
    """Refuses a folder or a pattern by which no input was added to so many."""
    if len(found.inputs) == inputs:
        others = [f"{other.path} ({other.reason})" for other in found.skipped[skipped:]]
        shown = ", ".join(others[:10]) + (", ..." if len(others) > 10 else "")
        only = f"only {shown}" if others else "no files"
        raise InputError(f"{where}: nothing to read: {only}; readable are {_readable()}")


def _fixed(where: str) -> Path:
    """What was named, up to where a pattern begins."""
    if Path(where).is_dir():
        return Path(where)
    return Path(*takewhile(lambda part: not glob.has_magic(part), Path(where).parts))


def _is_output(path: Path, root: Path, manifests: dict[Path, frozenset[str]]) -> bool:
    """Whether a run wrote the file, or a folder that it stands in, as the manifest there says.

    Args:
        path: The file.
        root: What was named: who names a run's folder ``clean`` means what it holds.
        manifests: What is known of folders already: the names of a run's outputs in each.
    """
    for output in (path, *path.parents):
        if output == root:
            break
        folder = output.parent
        if folder not in manifests:
            known = read_manifest(folder)
            names = frozenset() if known is None else frozenset((*known.outputs, MANIFEST_FILE))
            manifests[folder] = names
        if output.name in manifests[folder]:
            return True
    return False


def _unreadable(path: Path) -> str:
    """Why something in a folder is not read; "" if it is."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "a link to nothing" if path.is_symlink() else "gone"
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link to itself"
        raise InputError(f"{_name(path)}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        return kind_of(mode)
    if _ending(path) is None:
        return reason_not_read(path)
    if not os.access(path, os.R_OK):
        raise InputError(f"{_name(path)}: cannot be read: permission denied")
    return described(path)


def _matched(pattern: str, found: FoundInputs) -> Iterator[Path]:
    """Every file that a pattern matches, and those below the folders that it matches."""
    parts = Path(pattern).parts
    literal = next(n for n, part in enumerate(parts) if glob.has_magic(part))
    for name in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207 - any root, and **
        path = Path(name)
        if (link := _link_to_folder(path, literal)) is not None:
            found.skip(link, _BEHIND_LINK)
        elif path.is_dir():
            yield from _walk(path, found)
        else:
            yield path


def _link_to_folder(path: Path, literal: int) -> Path | None:
    """The link on the way to a file, or the file itself, if that stands for a folder.

    Args:
        path: The file.
        literal: So many parts of its path are as the caller named them, links or not.
    """
    on_the_way = [path, *path.parents][: max(1, len(path.parts) - literal)]
    links = [folder for folder in reversed(on_the_way) if folder.is_symlink() and folder.is_dir()]
    return links[0] if links else None


def _walk(root: Path, found: FoundInputs) -> Iterator[Path]:
    """Every file below, by name; what is hidden, and folders behind links, are skipped.

    Raises:
        InputError: A folder may not be read.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{_name(Path(error.filename))}: cannot be read: {error.strerror}")

    for folder, below, files in os.walk(root, onerror=refuse):
        below.sort()
        for name in (name for name in [*below] if name.startswith(".")):
            below.remove(name)
            found.skip(Path(folder, name), "hidden")
        for name in below:
            if Path(folder, name).is_symlink():  # os.walk does not follow it
                found.skip(Path(folder, name), _BEHIND_LINK)
        for name in sorted(files):
            if name.startswith("."):
                found.skip(Path(folder, name), "hidden")
            else:
                yield Path(folder, name)


def _dataset_inputs(data: Any, name: str) -> Sequence[Input]:
    """A ``datasets`` data set, in memory or streamed; a dictionary of them gives one a split."""
    if isinstance(data, dict):
        return [TableInput(name.format(f":{split}"), part) for split, part in data.items()]
    if not hasattr(data, "with_format") or not hasattr(data, "iter"):
        raise InputError(f"{type(data).__name__} of the datasets library holds no rows")
    return [TableInput(name.format(""), data)]


def _hub_inputs(
    name: str, repository: str, config: str | None, split: str | None
) -> Sequence[Input]:
    """A data set of the Hugging Face hub, as "org/name", "org/name/config", with ":split"."""
    import datasets

    try:
        data = datasets.load_dataset(repository, config, split=split, trust_remote_code=False)
    except Exception as error:  # whatever the network and the data set's files can raise
        raise InputError(
            f"{name}: no such file or directory, and no data set of that name could be loaded "
            f"from the hub: {type(error).__name__}: {error}"
        ) from error
    return _dataset_inputs(data, name + "{}")
