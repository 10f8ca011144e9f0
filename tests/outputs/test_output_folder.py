"""The outputs of a run appear together or not at all, and replace nothing but a run's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from synflaw_audit.errors import InputError
from synflaw_audit.outputs import folder
from synflaw_audit.outputs.folder import OutputFolder, output_folder
from synflaw_audit.outputs.manifest import Manifest, fingerprint, read_manifest
from synflaw_audit.outputs.names import MANIFEST_FILE, WORK_FOLDER

NAMES = ("flagged.parquet", "rejected.jsonl", "gate.json")
MANIFEST = Manifest("pass", {}, {}, {}, {})


class Killed(BaseException):
    """Like a signal."""


def run(out: Path, text: str = "new", names: tuple[str, ...] = NAMES) -> None:
    with output_folder(out, NAMES) as opened:
        for name in names:
            (opened.staging / name).write_text(text)
        opened.publish(MANIFEST)


def standing(out: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in out.iterdir() if path.is_file()}


def test_a_set_appears_with_its_manifest_and_nothing_else(tmp_path: Path) -> None:
    run(tmp_path / "a" / "out")
    out = tmp_path / "a" / "out"
    assert {path.name for path in out.iterdir()} == {*NAMES, MANIFEST_FILE}
    manifest = read_manifest(out)
    assert manifest is not None
    assert manifest.outputs == {name: fingerprint(out / name) for name in NAMES}


def test_an_earlier_set_goes_even_where_the_new_one_has_fewer_files(tmp_path: Path) -> None:
    run(tmp_path, "old")
    run(tmp_path, "new", NAMES[:1])
    assert standing(tmp_path).keys() == {NAMES[0], MANIFEST_FILE}


def test_after_an_error_no_set_is_there_and_the_earlier_one_is_kept_aside(tmp_path: Path) -> None:
    run(tmp_path, "old")
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            run(tmp_path, names=(NAMES[0], "none/none"))
        assert standing(tmp_path) == {}
        kept = tmp_path / WORK_FOLDER / "previous"
        assert standing(kept).keys() == {*NAMES, MANIFEST_FILE}
        assert (kept / NAMES[0]).read_text() == "old"
    run(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*NAMES, MANIFEST_FILE}


def test_a_folder_made_for_nothing_is_removed(tmp_path: Path) -> None:
    with pytest.raises(Killed), output_folder(tmp_path / "out", NAMES):
        raise Killed
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [*NAMES, MANIFEST_FILE])
@pytest.mark.parametrize("earlier", [False, True])
def test_what_no_run_wrote_is_never_replaced(tmp_path: Path, name: str, earlier: bool) -> None:
    if earlier:
        run(tmp_path)
    (tmp_path / name).write_text("mine, with care")
    before = standing(tmp_path)
    with pytest.raises(InputError, match="is not as a run of synflaw left it"):
        run(tmp_path)
    assert standing(tmp_path) == before


def test_what_comes_to_stand_there_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = OutputFolder.publish

    def late(self: OutputFolder, manifest: Manifest) -> None:
        (tmp_path / "gate.json").write_text("mine")
        publish(self, manifest)

    monkeypatch.setattr(OutputFolder, "publish", late)
    with pytest.raises(InputError, match=r"gate\.json: is not"):
        run(tmp_path)
    assert standing(tmp_path) == {"gate.json": "mine"}


def test_a_file_that_this_run_does_not_write_stays(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("mine")
    run(tmp_path)
    assert standing(tmp_path)["report.json"] == "mine"


def test_a_folder_is_an_output_like_a_file(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with output_folder(tmp_path, NAMES) as opened:
            (opened.staging / NAMES[0]).mkdir()
            (opened.staging / NAMES[0] / "part-0").write_text(text)
            opened.publish(MANIFEST)
    assert (tmp_path / NAMES[0] / "part-0").read_text() == "new"
    (tmp_path / NAMES[0] / "part-0").write_text("changed")
    with pytest.raises(InputError, match="is not as a run of synflaw left it"):
        run(tmp_path)


def killed_at(move: int, out: Path) -> bool:
    """Run, and be killed at this move; whether the run had so many."""
    moves, replace, remove = 0, Path.replace, folder._remove

    def moved(self: Path, target: Path) -> Path:
        nonlocal moves
        if moves == move:
            raise Killed
        moves += 1
        return replace(self, target)

    def removed(path: Path) -> None:
        if moves < move:  # the dead do not clean up
            remove(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", moved)
        patch.setattr(folder, "_remove", removed)
        try:
            run(out, "new")
        except Killed:
            return True
    return False


def test_a_run_killed_at_any_move_is_swept_by_the_next(tmp_path: Path) -> None:
    out, move = tmp_path / "out", 0
    run(tmp_path / "old", "old")
    shutil.copytree(tmp_path / "old", out)
    while killed_at(move, out):
        there = standing(out)
        if MANIFEST_FILE in there:  # a set that says that it is whole is
            assert [there.get(name) for name in NAMES] == ["old"] * len(NAMES)
        run(out, "newest")
        assert {path.name for path in out.iterdir()} == {*NAMES, MANIFEST_FILE}
        assert {standing(out)[name] for name in NAMES} == {"newest"}
        shutil.rmtree(out)
        shutil.copytree(tmp_path / "old", out)
        move += 1
    assert move == 2 * len((*NAMES, MANIFEST_FILE))


def test_a_second_run_is_refused_and_a_dead_one_holds_nothing_up(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from synflaw_audit.outputs.folder import "
        "output_folder\n"
        "with output_folder(Path(sys.argv[1]), ()):\n    print('there', flush=True); input()"
    )
    other = subprocess.Popen(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"there\n"
        with pytest.raises(InputError, match="another run is writing here"):
            run(tmp_path)
        other.kill()
    run(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*NAMES, MANIFEST_FILE}


def test_two_runs_of_one_process_are_two_runs(tmp_path: Path) -> None:
    with (
        output_folder(tmp_path, NAMES),
        pytest.raises(InputError, match="another run"),
        output_folder(tmp_path, NAMES),
    ):
        pass
