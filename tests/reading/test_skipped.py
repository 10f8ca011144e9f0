"""What a folder holds and is not read is named, with the reason; what must not be opened is not."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from synflaw_audit.errors import InputError
from synflaw_audit.reading import open_source

ROW = '{"question": "q", "answer": "a"}\n'


def skipped(root: Path, source: str | Path | None = None) -> dict[str, str]:
    """Why each thing below the root is not read; only ``good.jsonl`` is."""
    opened = open_source(source or root)
    assert sum(batch.num_rows for batch in opened.batches()) == 1
    assert opened.files == (str(root / "good.jsonl"),)
    found = opened.accounts().skipped
    assert found == opened.skipped
    return {str(Path(item.path).relative_to(root)): item.reason for item in found}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "good.jsonl").write_text(ROW)
    return folder


@pytest.mark.parametrize("source", ["corpus", "corpus/*", "corpus/**"])
def test_everything_that_is_not_read_is_named(root: Path, source: str) -> None:
    for name in ("notes.txt", "rows.zip", "rows.pkl", "dataset_info.json", "sub.d/pic.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(ROW)
    (root / "elsewhere").symlink_to(root.parent)
    (root / "nothing.jsonl").symlink_to(root / "missing")
    (root / "itself.jsonl").symlink_to(root / "itself.jsonl")
    (root / "same.jsonl").symlink_to(root / "good.jsonl")
    os.mkfifo(root / "pipe.jsonl")
    found = skipped(root, root.parent / source)
    ending = "unknown kind of file"
    expected = {
        "notes.txt": "plain text: nothing tells where a row ends",
        "rows.zip": "an archive; unpack it, and name the folder",
        "rows.pkl": "a pickle, and reading one runs whatever code it holds",
        "sub.d/pic.png": ending,
        "dataset_info.json": "describes a data set and holds no rows",
        "nothing.jsonl": "a link to nothing",
        "itself.jsonl": "a link to itself",
        "same.jsonl": f"the same file as {root / 'good.jsonl'}",
        "pipe.jsonl": "a pipe",
        "elsewhere": "a link to a folder; name it to have it read",
    }
    assert found == expected


def test_a_link_that_the_caller_names_is_followed(root: Path) -> None:
    (root.parent / "link").symlink_to(root)
    for source in (root.parent / "link", root.parent / "link" / "*.jsonl"):
        assert open_source(str(source)).files == (str(root.parent / "link" / "good.jsonl"),)


def test_what_is_hidden_is_named_once_and_not_entered(root: Path) -> None:
    (root / ".cache" / "deep").mkdir(parents=True)
    (root / ".cache" / "deep" / "a.jsonl").write_text(ROW)
    (root / ".hidden.jsonl").write_text(ROW)
    assert skipped(root) == {".cache": "hidden", ".hidden.jsonl": "hidden"}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bound(path: Path) -> None:
    socket.socket(socket.AF_UNIX).bind(str(path))


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("suffix", [".jsonl", ".csv.gz", ".parquet", ".arrow", ".json"])
@pytest.mark.parametrize(
    ("make", "kind"), [(fifo, "a pipe"), (bound, "a socket"), (device, "a device")]
)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_pipes_sockets_and_devices_are_never_opened(
    root: Path,
    suffix: str,
    make: Callable[[Path], None],
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(root)  # the name of a socket may not be long
    path = Path(f"odd{suffix}")
    make(path)
    assert skipped(root) == {path.name: kind}
    with pytest.raises(InputError, match=rf"odd{suffix}: is {kind}, not a file"):
        open_source(path)


def test_a_file_that_turns_into_a_pipe_is_not_opened(root: Path) -> None:
    source = open_source(root)
    (root / "good.jsonl").unlink()
    os.mkfifo(root / "good.jsonl")
    with pytest.raises(InputError, match=r"good.jsonl: is a pipe"):
        list(source.batches())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["closed.jsonl", "closed"])
def test_without_permission_it_is_an_error(root: Path, name: str) -> None:
    closed = root / name
    closed.write_text(ROW) if closed.suffix else closed.mkdir()
    closed.chmod(0)
    with pytest.raises(InputError, match=rf"{name}: cannot be read: [Pp]ermission denied"):
        open_source(root)


def test_a_folder_that_cannot_be_listed_is_an_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "closed").mkdir()
    scandir = os.scandir

    def denied(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(InputError, match="closed: cannot be read: Permission denied"):
        open_source(root)


def test_a_file_that_may_not_be_read_is_an_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("good.jsonl"))
    with pytest.raises(InputError, match=r"good.jsonl: cannot be read: permission denied"):
        open_source(root)
