"""A folder that gets the outputs of one run at a time, all of them together or none.

A run holds the folder's lock, writes into a hidden folder inside it, and moves its files into place
when the last is complete, ``run.json`` at the very end. What stands there of an earlier run is put
aside first, so that whatever becomes of this run, nothing in the folder can be taken for its
result: known is what a ``run.json`` names with size and content. A file that none names is
somebody's own, and stops the run that would replace it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from synflaw_audit.errors import InputError
from synflaw_audit.outputs.manifest import Manifest, fingerprint, read_manifest
from synflaw_audit.outputs.names import MANIFEST_FILE, OUTPUT_FILES, WORK_FOLDER
from synflaw_audit.outputs.overlap import require_disjoint


class OutputFolder:
    """The folder of a run's outputs; ``output_folder`` opens one.

    Attributes:
        path: Where the outputs appear.
        staging: Where they are written.
        journal: What an interrupted run has finished is kept here.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path = path
        self._names = (*names, MANIFEST_FILE)
        self._work = path / WORK_FOLDER
        self.staging = self._work / "staging"
        self.journal = self._work / "journal"
        self._previous = self._work / "previous"

    def below(self, name: str) -> OutputFolder:
        """A folder in this one, for a part of the outputs; it is published with this one."""
        part = OutputFolder(self.path / name, ())
        part.staging, part.journal = self.staging / name, self.journal / name
        part.staging.mkdir()
        return part

    def publish(self, manifest: Manifest) -> None:
        """Moves all that was written into place, the manifest last.

        Args:
            manifest: Of the run, without outputs.

        Raises:
            InputError: Something that no run wrote has come to stand in the place of an output.
        """
        names = sorted(path.name for path in self.staging.iterdir())
        written = {name: fingerprint(self.staging / name) for name in names}
        complete = replace(manifest, outputs=written)
        (self.staging / MANIFEST_FILE).write_bytes(complete.to_json())
        self._require_free((*names, MANIFEST_FILE))
        moved: list[Path] = []
        try:
            for name in (*names, MANIFEST_FILE):
                (self.staging / name).replace(self.path / name)
                moved.append(self.path / name)
        except BaseException:
            for path in moved:
                _remove(path)
            raise
        _remove(self._previous)
        _remove(self.journal)

    def _begin(self) -> None:
        """Puts aside what an earlier run published, and sweeps what a killed one left."""
        known = (read_manifest(each) for each in (self.path, self.staging, self._previous))
        manifests = [manifest for manifest in known if manifest is not None]
        standing = [name for name in OUTPUT_FILES if self._is_of(name, manifests)]
        self._require_free(set(self._names) - set(standing))
        if MANIFEST_FILE in standing:
            _remove(self._previous)
        if standing:
            self._previous.mkdir(exist_ok=True)
        # Its manifest goes first: what it names is known there too, should this be interrupted.
        for name in sorted(standing, key=lambda name: name != MANIFEST_FILE):
            if _exists(self._previous / name):  # this one is of a run that was killed
                _remove(self.path / name)
            else:
                (self.path / name).replace(self._previous / name)
        _remove(self.staging)
        self.staging.mkdir()

    def _is_of(self, name: str, manifests: Sequence[Manifest]) -> bool:
        """Whether what stands in an output's place is what a run wrote."""
        if name == MANIFEST_FILE:
            return read_manifest(self.path) is not None
        expected = [m.outputs[name] for m in manifests if name in m.outputs]
        path = self.path / name
        return bool(expected) and path.exists() and fingerprint(path) in expected

    def _require_free(self, names: Iterable[str]) -> None:
        """Nothing stands where outputs are to appear."""
        for name in sorted(names):
            if _exists(self.path / name):
                raise InputError(
                    f"{self.path / name}: is not as a run of synflaw left it, and would be "
                    "replaced; move it away, or choose another --out"
                )

    def _abandon(self) -> None:
        """Leaves nothing of this run but its journal."""
        _remove(self.staging)


@contextmanager
def output_folder(
    path: Path, names: Sequence[str], inputs: Iterable[str | os.PathLike[str]] = ()
) -> Iterator[OutputFolder]:
    """Opens a folder for the outputs of a run; who opens it publishes them.

    What an earlier run published there is put aside, into a hidden folder, and removed when this
    run publishes. After an error the folder holds no outputs.

    Args:
        path: The folder; made if need be.
        names: Of the outputs, besides ``run.json``.
        inputs: All that the run reads, as a caller names it; see ``require_disjoint``.

    Raises:
        InputError: It is no folder, cannot be written to, holds an input or lies among them, is
            being written by another run, or holds a file in an output's place that no run wrote.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file; --out needs a directory")
    require_disjoint(path, inputs)
    made = not path.exists()
    folder = OutputFolder(path, names)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise InputError(f"{path}: this directory cannot be written to")
        with _locked(path):
            folder._begin()
            try:
                yield folder
            except BaseException:
                folder._abandon()
                raise
    finally:
        if made:
            with suppress(OSError):  # it holds something: outputs, or what to resume from
                path.rmdir()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the lock of the runs that write to a folder; the system frees it if this one dies."""
    work = path / WORK_FOLDER
    work.mkdir(exist_ok=True)
    lock = FileLock(work / "lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(
            f"{path}: another run is writing here; wait for it, or choose another --out"
        ) from None
    try:
        yield
    finally:
        # Who has opened the file meanwhile will see that it has no name any more, and make one.
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
        for left in (work / "staging", work):
            with suppress(OSError):  # something is kept there, or another run has begun
                left.rmdir()


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
