"""The documentation builds without a warning, and whatever it tells people to type works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.methods.described import ways
from synflaw_audit.rewriting.settings import load_settings
from synflaw_audit.verdicts.catalogue import load_checks
from synflaw_audit.verdicts.policy import load_policy

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
EXIT_CODE = re.compile(r"# exits with (\d)$")
EXTRA = re.compile(r"pip install 'synflaw-audit\[([\w,]+)\]'")


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a page: its language, the file that it is, and its text."""

    language: str
    file: str
    text: str


def snippets(page: str) -> list[Snippet]:
    fences = (t for t in MarkdownIt().parse((DOCS / page).read_text()) if t.type == "fence")
    found = []
    for fence in fences:
        title = re.search(r'title="([^"]+)"', fence.info)
        found.append(Snippet(fence.info.split()[0], title[1] if title else "", fence.content))
    return found


def commands(text: str) -> Iterator[tuple[str, int]]:
    """Each line that begins with a prompt, and the exit code that it says it has."""
    for line in text.splitlines():
        if line.startswith("$ "):
            code = EXIT_CODE.search(line)
            yield line.removeprefix("$ "), int(code[1]) if code else 0


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder in which ``synflaw`` is this code, and the samples lie."""
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    synflaw = tmp_path / ".bin" / "synflaw"
    synflaw.parent.mkdir()
    synflaw.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m synflaw_audit "$@"\n')
    synflaw.chmod(0o755)
    return tmp_path


def run(command: list[str], workplace: Path) -> subprocess.CompletedProcess[str]:
    path = f"{workplace / '.bin'}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(  # noqa: S603
        command, cwd=workplace, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_to_type_works(page: str, workplace: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    python = ""
    for snippet in snippets(page):
        if snippet.file:
            file = workplace / snippet.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(snippet.text)
        elif snippet.language == "console":
            for command, code in commands(snippet.text):
                if extra := EXTRA.match(command):
                    assert set(extra[1].split(",")) <= project["optional-dependencies"].keys()
                elif "--engine spark" not in command or shutil.which("java"):
                    done = run(["bash", "-c", command], workplace)
                    assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"
        elif snippet.language == "python":  # a page's blocks go on from each other
            python += snippet.text + "\n"
        elif snippet.language != "text":  # what needs a network is text, and is only shown
            raise AssertionError(f"{page}: nothing runs {snippet.language!r} without a title")
    if python:
        done = run([sys.executable, "-c", python], workplace)
        assert done.returncode == 0, done.stderr


def test_every_file_that_a_page_shows_is_valid(tmp_path: Path) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    hooks = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    for page in PAGES:
        for snippet in snippets(page):
            file = tmp_path / Path(snippet.file or "unnamed").name
            file.write_text(snippet.text)
            if snippet.file == "settings.toml":
                RepairConfig(**tomllib.loads(snippet.text))
            elif snippet.file == "rewriting.toml":
                load_settings(file)
            elif snippet.language == "toml":
                load_policy(file, load_checks())
            elif snippet.language == "yaml":
                given = yaml.safe_load(snippet.text)
                for step in _steps(given):
                    if "/synflaw-audit@" in step.get("uses", ""):
                        assert set(step["with"]) <= set(action["inputs"])
                for repository in given.get("repos", ()):
                    assert {hook["id"] for hook in repository["hooks"]} <= hooks


def _steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow.get("jobs", {}).values():
        yield from job["steps"]


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = {path.parent.name for path in (tmp_path / "checks").glob("*/index.html")}
    assert pages == {check.name for check in load_checks()}
    methods = {path.parent.name for path in (tmp_path / "methods").glob("*/index.html")}
    assert methods == {way.name for way in ways()}
    loaded = re.findall(
        r'<(?:script|img|link)[^>]+(?:src|href)="(https?://[^"]+)"',
        (tmp_path / "index.html").read_text(),
    )
    assert not [address for address in loaded if "canonical" not in address]
