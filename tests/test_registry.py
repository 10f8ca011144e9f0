"""Parts by name: ours, strangers', broken ones."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from synflaw_audit.errors import InputError, PluginError
from synflaw_audit.registry import Registry


def installed(site: Path, package: str, parts: dict[str, str], code: str = "") -> None:
    """A package as an installer leaves it."""
    module = package.replace("-", "_")
    (site / f"{module}.py").write_text(code, encoding="utf-8")
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = (f"{name} = {module}:{attribute}" for name, attribute in parts.items())
    (info / "entry_points.txt").write_text("\n".join(["[some.group]", *lines]))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    return site


def registry() -> Registry[object]:
    own = {"path": "pathlib:Path", "odd": "no.such.module:Part"}
    return Registry("part", "some.group", own, requires=("good",), error=InputError)


def test_what_nobody_asks_for_is_not_imported(site: Path) -> None:
    installed(site, "acme-parts", {"fine": "Fine"}, "raise RuntimeError('imported')")
    parts = registry()
    assert list(parts) == ["path", "odd", "fine"]
    assert len(parts) == 3
    assert "fine" in parts
    assert "odd" in parts
    assert parts["path"] is Path
    assert "acme_parts" not in sys.modules


def test_a_strangers_part_is_found_and_its_package_known(site: Path) -> None:
    installed(site, "acme-fine", {"fine": "Fine"}, "class Fine:\n    good = True\n")
    parts = registry()
    assert parts["fine"].good is True  # type: ignore[attr-defined]
    assert parts.find("fine") is parts["fine"]
    assert parts.origin("fine") == "acme-fine 1.0"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise RuntimeError('oh')", "RuntimeError: oh"),
        ("import no_such_library", "no_such_library"),
        ("def broken(:", "SyntaxError"),
        ("", "has no attribute 'Fine'"),
        ("class Fine: pass", "has no good"),
    ],
)
def test_a_broken_part_is_named_with_its_package(site: Path, code: str, says: str) -> None:
    package = f"acme-{abs(hash(code))}"
    installed(site, package, {"fine": "Fine"}, code)
    with pytest.raises(PluginError, match=f"'fine' of the package {package} 1.0") as caught:
        registry()["fine"]
    assert says in str(caught.value)
    assert registry()["path"] is Path


def test_an_unknown_name_is_an_error_with_the_choices(site: Path) -> None:
    installed(site, "acme-more", {"fine": "Fine"})
    with pytest.raises(InputError, match=r"unknown part 'pathh'\. Did you mean 'path'\?") as caught:
        registry().find("pathh")
    assert str(caught.value).endswith("Known: fine, odd, path")
    with pytest.raises(KeyError, match="pathh"):
        registry()["pathh"]


def test_two_packages_with_one_name_are_both_named(site: Path) -> None:
    for package in ("acme-one", "acme-two"):
        installed(site, package, {"fine": "Fine"}, "class Fine: good = True")
    with pytest.raises(PluginError, match=r"acme-one 1\.0 and acme-two 1\.0"):
        registry()["fine"]


def test_our_name_stays_ours(site: Path) -> None:
    installed(site, "acme-thief", {"path": "Fine"}, "class Fine: good = True")
    assert registry()["path"] is Path
    assert registry().origin("path") == "synflaw-audit"


def test_a_part_that_stands_twice_on_the_path_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [EntryPoint("fine", "builtins:int", "some.group")] * 2
    monkeypatch.setattr("synflaw_audit.registry.entry_points", lambda group: twice)
    parts: Registry[type] = Registry("part", "some.group", {})
    assert parts["fine"] is int
    assert parts.origin("fine") == "an unknown package"
