"""Whatever leads from an input to an output is seen before anything is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from synflaw_audit.errors import InputError
from synflaw_audit.outputs.names import OUTPUT_FILES
from synflaw_audit.outputs.overlap import require_disjoint


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "out"
    folder.mkdir(parents=True)
    (folder / "clean.parquet").write_bytes(b"PAR1")
    (folder / "mine.jsonl").write_text("{}")
    return folder


def linked(out: Path, name: str, *, hard: bool) -> Path:
    """A link to an output, in a directory of its own."""
    path = out.parent / "links" / name
    path.parent.mkdir()
    os.link(out / "clean.parquet", path) if hard else path.symlink_to(out / "clean.parquet")
    return path


@pytest.mark.parametrize("name", OUTPUT_FILES)
def test_an_output_by_its_path(out: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"is an input, and would be overwritten by the .*{name}"):
        require_disjoint(out, [out / name])


WAYS = {
    "dots": lambda out: out.parent / "out" / ".." / "out" / "clean.parquet",
    "relative": lambda out: os.path.relpath(out / "clean.parquet"),
    "symbolic link": lambda out: linked(out, "l.parquet", hard=False),
    "hard link": lambda out: linked(out, "l.parquet", hard=True),
    "symbolic link in a directory": lambda out: linked(out, "l.parquet", hard=False).parent,
    "hard link in a directory": lambda out: linked(out, "l.parquet", hard=True).parent,
    "hard link by a pattern": lambda out: f"{linked(out, 'h.parquet', hard=True).parent}/h*",
    "letter case": lambda out: out / "CLEAN.Parquet",
    "letter case of the folder": lambda out: out.parent / "OUT" / "clean.parquet",
    "URI": lambda out: f"file://{out}/clean.parquet",
    "short URI": lambda out: f"file:{out}/clean.parquet",
    "file of a folder": lambda out: out / "flagged.parquet" / "part-0.parquet",
    "file put aside": lambda out: out / ".synflaw-audit" / "previous" / "clean.parquet",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_an_output_by_another_way(out: Path, way: Callable[[Path], Path | str]) -> None:
    with pytest.raises(InputError, match="is an input, and would be overwritten"):
        require_disjoint(out, [way(out)])


def test_an_output_through_a_link_to_its_folder(out: Path) -> None:
    (out.parent / "linked").symlink_to(out)
    with pytest.raises(InputError, match="is an input, and would be overwritten"):
        require_disjoint(out.parent / "linked", [out / "gate.json"])


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize(
    "named",
    ["{out}", "{data}", "{data}/..", "{data}/*", "{data}/**", "{data}/**/*.parquet", "{out}/*.json",
     "{data}/*/*.jsonl", "{data}/[o]ut", "{DATA}", "file://{data}"],
)  # fmt: skip
def test_a_folder_among_the_inputs(out: Path, named: str, new: bool) -> None:
    folder = out / "new" if new and "{out}" not in named and "/*/" not in named else out
    shown = named.format(out=out, data=out.parent, DATA=str(out.parent).replace("data", "data/"))
    with pytest.raises(InputError, match=r"read as input|is an input"):
        require_disjoint(folder, [shown])


@pytest.mark.parametrize(
    "named",
    ["{out}/mine.jsonl", "{data}/corpus", "{data}/*.txt", "{data}/part-*", "{data}/*/mine.jsonl",
     "org/name", "s3://bucket/out/clean.parquet", "{out}/m*.jsonl", "missing.jsonl"],
)  # fmt: skip
def test_what_is_apart_passes(out: Path, named: str) -> None:
    (out.parent / "corpus").mkdir()
    (out.parent / "part-0.jsonl").write_text("{}")
    require_disjoint(out, [named.format(out=out, data=out.parent)])


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}")
    require_disjoint(tmp_path / "new" / "out", [tmp_path / "a.jsonl"])
    with pytest.raises(InputError, match="lies in"):
        require_disjoint(tmp_path / "new" / "out", [tmp_path])
