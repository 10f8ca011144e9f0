"""The house as CONTRIBUTING.md draws it is the one that stands, in the order that is enforced."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

from synflaw_audit.testing import KINDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "synflaw_audit"
STRANGER = ROOT / "tests" / "extension" / "package"
# Where the seams are, by the names of their groups of entry points.
GROUPS = sorted(
    {
        group
        for path in PACKAGE.rglob("*.py")
        for group in re.findall(
            r'Registry[^"]*\(\s*[^)]*?"synflaw_audit\.(\w+)"', path.read_text(encoding="utf-8")
        )
    }
)


def rooms() -> list[str]:
    """Those of the table, from the top."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| room |")[2].partition("\n\n")[0]
    cells = (line.split("|")[1] for line in table.splitlines()[2:])
    return [name for cell in cells for name in re.findall(r"`([\w.]+)/?`", cell)]


def test_every_room_is_drawn() -> None:
    there = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py"}
    there |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(rooms()) == there - {"__init__.py"}


def test_rooms_stand_in_the_order_of_the_layers() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    floor = {
        name: number for number, layer in enumerate(layers) for name in re.findall(r"\w+", layer)
    }
    floors = [floor[name.removesuffix(".py")] for name in rooms()]
    assert floors == sorted(floors)


def test_every_long_module_is_named_with_its_reason() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    reasons = guide.partition("A module stays under 300 lines.")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([\w/]+\.py)`", reasons))
    long = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > 300
    }
    assert named == long


def kind_of(group: str) -> str:
    """A part of it, in the singular."""
    return "loss" if group == "losses" else group.removesuffix("s")


def test_every_contract_is_of_a_seam() -> None:
    assert {kind_of(group) for group in GROUPS} == set(KINDS)


@pytest.mark.parametrize("group", GROUPS)
def test_every_seam_has_a_recipe_a_contract_and_a_part_of_a_strangers(group: str) -> None:
    kind = kind_of(group)
    assert f"`synflaw_audit.{group}`" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    stranger = tomllib.loads((STRANGER / "pyproject.toml").read_text(encoding="utf-8"))
    assert stranger["project"]["entry-points"][f"synflaw_audit.{group}"]
    tests = "".join(path.read_text() for path in (STRANGER / "tests").glob("*.py"))
    assert re.search(rf'parametrize_with_checks\(\s*"{kind}"', tests)


def test_every_test_module_has_a_name_of_its_own() -> None:
    # They are imported by their names alone.
    paths = (ROOT / "tests").rglob("test_*.py")
    names = [path.name for path in paths if STRANGER not in path.parents]
    assert sorted(names) == sorted(set(names))


def test_no_two_public_classes_share_a_name() -> None:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in PACKAGE.rglob("*.py"):
        for name in re.findall(r"^class ([A-Za-z]\w*)", path.read_text(encoding="utf-8"), re.M):
            found[name].append(path.relative_to(PACKAGE).as_posix())
    assert not {name: files for name, files in found.items() if len(files) > 1}
