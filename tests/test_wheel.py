"""What is shipped works: the wheel, installed into a fresh environment, outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import orjson
import pytest

ROOT = Path(__file__).parent.parent


def run(*command: object, cwd: Path, exits: int = 0) -> str:
    # Nothing of the checkout may help: neither the path nor the working directory leads there.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(  # noqa: S603 - our own commands
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exits, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    # Without isolation the build needs no network: hatchling is in the group dev.
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of a fresh environment with the wheel in it.

    The dependencies are borrowed, by their path, from the environment that runs the tests: to
    install them again would need the network.
    """
    home = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(python, "-c", ask, cwd=home).strip())
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index")
    run(*pip, "--quiet", "--disable-pip-version-check", wheel, cwd=home)
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    # Lines of a .pth file that are paths are appended, after the environment's own packages; .pth
    # files in there are not followed, so an editable install of the checkout does not come along.
    (site / "borrowed.pth").write_text("\n".join(sorted(borrowed)), encoding="utf-8")
    return python.parent


def test_the_wheel_holds_what_it_needs_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"synflaw_audit"}
    inside = "synflaw_audit/_checks/"
    shipped = {name.removeprefix(inside) for name in names if name.startswith(inside)}
    checks = ROOT / "checks"
    assert shipped == {file.relative_to(checks).as_posix() for file in checks.rglob("*.toml")}
    for needed in ("py.typed", "findings/report.schema.json", "report/report.html.jinja"):
        assert f"synflaw_audit/{needed}" in names
    assert not [name for name in names if "__pycache__" in name or "test" in Path(name).name]


def test_the_package_is_the_installed_one_with_its_checks(installed: Path, tmp_path: Path) -> None:
    code = """
import synflaw_audit, synflaw_audit.verdicts.catalogue as c, synflaw_audit.findings.report as m
print(synflaw_audit.__file__, c.bundled_directory(), len(c.load_checks()), bool(m.schema()))
"""
    package, checks, count, schema = run(installed / "python", "-c", code, cwd=tmp_path).split()
    assert Path(package).is_relative_to(installed.parent)
    assert Path(checks) == Path(package).parent / "_checks"
    assert (int(count), schema) == (len(list((ROOT / "checks").glob("*.toml"))), "True")


def test_the_command_runs(installed: Path, tmp_path: Path) -> None:
    synflaw = installed / "synflaw"
    assert run(synflaw, "--version", cwd=tmp_path).startswith("synflaw-audit ")
    assert "answer-template" in run(synflaw, "checks", "list", cwd=tmp_path)
    rows = [
        {"question": f"What is {row}?", "answer": f"Sure, here is what I know: {row * 7919 % 997}"}
        for row in range(80)
    ]
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    (tmp_path / "checks").mkdir()  # somebody's own folder of that name changes nothing
    shown = run(synflaw, "audit", corpus, "--out", tmp_path / "out", "--json", cwd=tmp_path)
    assert orjson.loads(shown)["dataset"]["records"] == 80
    assert (tmp_path / "out" / "report.html").read_text("utf-8").startswith("<!doctype html>")
    # Every answer opens alike: a gate that lets them pass would be of no use.
    run(synflaw, "gate", corpus, "--out", tmp_path / "gate", "--quiet", cwd=tmp_path, exits=1)
    assert (tmp_path / "gate" / "clean.parquet").is_file()
