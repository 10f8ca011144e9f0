"""What starting costs: the command's help, the import, and an audit of 5,000 rows, then and now.

CPU seconds of two commits' own trees, measured in turns, the median of several runs each, and what
the later one takes of the earlier one's. Seconds differ from machine to machine and from hour to
hour on a shared one; the ratios of one run, to the earlier commit, to ``python -c pass`` and to
``import pyarrow``, much less. Python's bytecode and numba's loops are stored by a run that nobody
counts, as an installation has them; "the first" is one that finds no compiled loop. Run as
``python benchmarks/startup.py --before COMMIT``; prints a table. Needs git, and the commits in it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from house import git, unpacked
from resources import cost_of

ROWS = 5000
COMMAND = "from synflaw_audit.commands.main import main; main()"

Measured = tuple[float, ...]  # CPU seconds of each tree


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", required=True)
    parser.add_argument("--after", default="HEAD")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    commits = [git("rev-parse", "--short", c).strip() for c in (options.before, options.after)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trees = [unpacked(commit, folder) for commit in commits]
        audit = (COMMAND, "audit", corpus(folder), "--out", folder / "out", "--quiet")

        def often(*command: object) -> Measured:
            return in_turns(trees, options.runs, lambda tree: cpu(tree, *command))

        seconds = {
            "python -c pass": often("pass"),
            "import pyarrow": often("import pyarrow"),
            "import synflaw_audit": often("import synflaw_audit"),
            "synflaw --help": often(COMMAND, "--help"),
            "synflaw audit --help": often(COMMAND, "audit", "--help"),
            f"audit of {ROWS:,} rows, the loops compiled": often(*audit),
            f"audit of {ROWS:,} rows, the first": tuple(first(tree, *audit) for tree in trees),
        }
    print(written(commits, seconds))


def in_turns(trees: list[Path], runs: int, measure: Callable[[Path], float]) -> Measured:
    """The median of some runs of each tree, which take turns; the first of each is not counted."""
    spent = [[measure(tree) for tree in trees] for _ in range(runs + 1)][1:]
    return tuple(median(of_one) for of_one in zip(*spent, strict=True))


def cpu(tree: Path, code: str, *arguments: object) -> float:
    """The CPU seconds of some code that imports the package from a tree."""
    command = [sys.executable, "-P", "-c", code, *map(str, arguments)]
    return cost_of(["env", f"PYTHONPATH={tree}", *command]).cpu


def first(tree: Path, code: str, *arguments: object) -> float:
    """CPU seconds of a run that finds no compiled loop."""
    before = os.environ.get("NUMBA_CACHE_DIR")
    os.environ["NUMBA_CACHE_DIR"] = str(tree.parent / f"numba-{tree.name}")
    try:
        return cpu(tree, code, *arguments)
    finally:
        os.environ.pop("NUMBA_CACHE_DIR")
        if before is not None:
            os.environ["NUMBA_CACHE_DIR"] = before


def written(commits: list[str], seconds: dict[str, Measured]) -> str:
    """A table: seconds of both, what the second takes of the first, and of the bare ones."""
    lines = [
        f"| what | {commits[0]}: CPU s | {commits[1]}: CPU s | of {commits[0]} | "
        "of `python -c pass` | of `import pyarrow` |",
        "|---|---|---|---|---|---|",
    ]
    bare, arrow = seconds["python -c pass"][1], seconds["import pyarrow"][1]
    for what, (before, after) in seconds.items():
        lines.append(
            f"| {what} | {before:.2f} | {after:.2f} | {after / before:.2f} | "
            f"{after / bare:.0f} | {after / arrow:.1f} |"
        )
    return "\n".join(lines)


def corpus(folder: Path) -> Path:
    """Answers of random words, a third of them after one opening."""
    chance = random.Random(0)  # noqa: S311 - the same corpus every time
    words = sorted(set(Path(__file__).read_text(encoding="utf-8").split()))
    path = folder / "corpus.jsonl"
    with path.open("w", encoding="utf-8") as lines:
        for row in range(ROWS):
            counts = chance.randint(5, 15), round(chance.lognormvariate(3.5, 0.8)) + 2
            question, answer = (" ".join(chance.choices(words, k=count)) for count in counts)
            opening = "" if row % 3 else "As a helpful assistant I can tell you: "
            lines.write(json.dumps({"question": question, "answer": opening + answer}) + "\n")
    return path


if __name__ == "__main__":
    main()
