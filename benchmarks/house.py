"""How the package is built, then and now: lines by room, and the way of a record, file by file.

Counts the lines of every room of two commits, lists the modules of more than 300 lines, and follows
an audit of 200 templated rows by one check: which files it calls, in the order of the first call,
and which of them call one another. The audit runs once before, so that neither imports nor compiled
loops are part of the way. Run as ``python benchmarks/house.py --before COMMIT``; writes
``results/house.md``, all but the last section of it, which ``same_results.py`` is the source of.
Needs git, and the commits in it.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path

PACKAGE = "synflaw_audit"
LARGE = 300
RESULT = Path(__file__).parent / "results" / "house.md"
ROWS, CODE = 200, "SF101"
SAME = "\n## The same results\n"  # what stands from here on is kept

# What the way is longer by, in words; the figures beside it are counted.
WHY = """The way was to become shorter, and is longer by as many files: the audit does more. A row
goes by every family of layouts before it is said which it has, and each is a file of
`reading/schemas`; every row and byte is accounted for (`ledger`, `accounts`, `signatures`);
outputs are published as one folder (`outputs`); the words in a template's slots and the sentences
that recur are learned (`slots`, `refrains`, `descriptions`); and the page's densities are drawn
from the same pass (`picture`, `densities`, `structural`)."""

# Runs in each commit's own tree. Threads of the audit are followed too.
FOLLOW = """
import importlib, json, os, sys, threading
from pathlib import Path
try:
    catalogue = importlib.import_module("synflaw_audit.verdicts.catalogue")
except ImportError:
    catalogue = importlib.import_module("synflaw_audit.catalogue")
from synflaw_audit import audit
import synflaw_audit
root = os.path.dirname(synflaw_audit.__file__) + os.sep
checks = [check for check in catalogue.load_checks() if check.code == sys.argv[2]]
audit(sys.argv[1], checks=checks, out=Path(sys.argv[3], "first"))
order, calls = {}, set()
def file_of(frame):
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(root) and frame.f_code.co_name != "<module>":
            return name[len(root):]
        frame = frame.f_back
    return None
def follow(frame, event, argument):
    if event == "call" and frame.f_code.co_filename.startswith(root):
        to, by = file_of(frame), file_of(frame.f_back)
        if to is not None:
            order.setdefault(to)
            if by not in (None, to):
                calls.add((by, to))
threading.setprofile(follow)
sys.setprofile(follow)
audit(sys.argv[1], checks=checks, out=Path(sys.argv[3], "second"))
sys.setprofile(None)
mutual = sorted({tuple(sorted(pair)) for pair in calls if pair[::-1] in calls})
print(json.dumps({"order": list(order), "calls": len(calls), "mutual": mutual}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", required=True, help="the commit to compare with")
    parser.add_argument("--after", default="HEAD")
    parser.add_argument("--lines-only", action="store_true", help="follow no audit")
    options = parser.parse_args()
    commits = [git("rev-parse", "--short", c).strip() for c in (options.before, options.after)]
    with tempfile.TemporaryDirectory() as name:
        corpus = Path(name, "corpus.jsonl")
        source = Path(__file__).parent.parent / "sample_data" / "templated.jsonl"
        lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
        corpus.write_text("".join(lines[:ROWS]), encoding="utf-8")
        trees = [unpacked(commit, Path(name)) for commit in commits]
        ways = [] if options.lines_only else [followed(tree, corpus) for tree in trees]
        known = RESULT.read_text(encoding="utf-8") if RESULT.exists() else ""
        text = written(commits, trees, ways) + "".join(known.partition(SAME)[1:])
        RESULT.write_text(text, encoding="utf-8")


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout  # noqa: S603, S607


def unpacked(commit: str, folder: Path) -> Path:
    """A commit's tree."""
    tree = folder / commit
    packed = subprocess.run(["git", "archive", commit], check=True, capture_output=True).stdout  # noqa: S603, S607
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tree, filter="data")
    return tree


def followed(tree: Path, corpus: Path) -> dict[str, list[str]]:
    """The files that an audit calls."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", FOLLOW, str(corpus), CODE, out]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        done = subprocess.run(  # noqa: S603 - our own interpreter and code
            command, check=True, capture_output=True, text=True, cwd=tree, env=environment
        )
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def rooms(tree: Path) -> tuple[Counter[str], Counter[str]]:
    """Lines and modules of every room; a module at the top is a room of its own."""
    lines, modules = Counter[str](), Counter[str]()
    for path in sorted((tree / PACKAGE).rglob("*.py")):
        room = path.relative_to(tree / PACKAGE).parts[0]
        lines[room] += length(path)
        modules[room] += 1
    return lines, modules


def length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def written(commits: list[str], trees: list[Path], ways: list[dict[str, list[str]]]) -> str:
    counts = [rooms(tree) for tree in trees]
    names = sorted({name for lines, _ in counts for name in lines})
    text = [
        "# The house",
        "",
        f"`python benchmarks/house.py --before {commits[0]}{'' if ways else ' --lines-only'}`, at "
        f"{commits[1]}.",
        "",
        "## Lines by room",
        "",
        f"| room | {commits[0]}: lines | modules | {commits[1]}: lines | modules |",
        "|---|---|---|---|---|",
    ]
    for name in names:
        cells = [f"{part[name] or '':,}" if part[name] else "" for c in counts for part in c]
        text.append(f"| `{name}` | {' | '.join(cells)} |")
    totals = " | ".join(f"{sum(part.values()):,}" for c in counts for part in c)
    text += [f"| all | {totals} |", "", f"## Modules of more than {LARGE} lines", ""]
    for commit, tree in zip(commits, trees, strict=True):
        large = {p.relative_to(tree / PACKAGE): length(p) for p in (tree / PACKAGE).rglob("*.py")}
        ordered = sorted(large.items(), key=lambda item: -item[1])
        shown = ", ".join(f"`{path}` {lines}" for path, lines in ordered if lines > LARGE)
        text += [f"{commit}: {shown or 'none'}.", ""]
    if ways:
        text += [
            f"## The way of {ROWS} rows through an audit by one check, the flagged included",
            "",
        ]
    for commit, way in zip(commits, ways, strict=False):
        mutual = "; ".join(" and ".join(f"`{file}`" for file in pair) for pair in way["mutual"])
        order = " → ".join(f"`{file.removesuffix('.py')}`" for file in way["order"])
        text += [
            f"{commit}: {len(way['order'])} files, {way['calls']} calls from one to another. Those "
            f"that call each other: {mutual or 'none'}.",
            "",
            order,
            "",
        ]
    if ways:
        text += [*per_room(commits, ways), WHY, ""]
    return "\n".join(text)


def per_room(commits: list[str], ways: list[dict[str, list[str]]]) -> list[str]:
    """How many files of each room are on each way."""
    told = []
    for commit, way in zip(commits, ways, strict=True):
        counts = Counter(Path(file).parts[0].removesuffix(".py") for file in way["order"])
        rooms = ", ".join(f"`{room}` {count}" for room, count in counts.most_common() if count > 1)
        told += [f"Rooms of {commit} with more than one file on it: {rooms}.", ""]
    return told


if __name__ == "__main__":
    main()
