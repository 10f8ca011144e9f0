"""The house as CONTRIBUTING.md draws it is the one that stands, in the order that is enforced."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def rooms() -> list[str]:
    """Those of the table, from the top."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| room |")[2].partition("\n\n")[0]
    cells = (line.split("|")[1] for line in table.splitlines()[2:])
    return [name for cell in cells for name in re.findall(r"`([\w.]+)/?`", cell)]


def test_every_room_is_drawn() -> None:
    package = ROOT / "synflaw_audit"
    there = {path.name for path in package.iterdir() if path.suffix == ".py"}
    there |= {path.parent.name for path in package.glob("*/__init__.py")}
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
