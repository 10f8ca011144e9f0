"""What starting costs: the command's help, the import, and an audit of 5,000 rows.

CPU seconds, the median of several runs, as ratios to ``python -c pass`` and ``import pyarrow`` in
the same minutes: seconds differ from machine to machine, ratios much less. The first audit after an
installation compiles its loops and stores them; a run with an empty cache of its own shows what
that costs. Run as ``python benchmarks/startup.py``; prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from statistics import median

from resources import cost_of

ROWS = 5000
COMMAND = "from synflaw_audit.commands.main import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        audit = (COMMAND, "audit", corpus(folder), "--out", folder / "out", "--quiet")
        seconds = {
            "python -c pass": cpu(runs, "pass"),
            "import pyarrow": cpu(runs, "import pyarrow"),
            "import synflaw_audit": cpu(runs, "import synflaw_audit"),
            "synflaw --help": cpu(runs, COMMAND, "--help"),
            "synflaw audit --help": cpu(runs, COMMAND, "audit", "--help"),
            f"audit of {ROWS:,} rows, the loops compiled": warm(runs, *audit),
            f"audit of {ROWS:,} rows, the first": first(folder, *audit),
        }
    bare, arrow = seconds["python -c pass"], seconds["import pyarrow"]
    print("| what | CPU s | of `python -c pass` | of `import pyarrow` |\n|---|---|---|---|")
    for what, spent in seconds.items():
        print(f"| {what} | {spent:.2f} | {spent / bare:.0f} | {spent / arrow:.1f} |")


def cpu(runs: int, code: str, *arguments: object) -> float:
    """The median CPU seconds of some runs."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return median(cost_of(command).cpu for _ in range(runs))


def warm(runs: int, code: str, *arguments: object) -> float:
    """The same after a run that nobody counts."""
    cpu(1, code, *arguments)
    return cpu(runs, code, *arguments)


def first(folder: Path, code: str, *arguments: object) -> float:
    """CPU seconds of a run that finds no compiled loop."""
    before = os.environ.get("NUMBA_CACHE_DIR")
    os.environ["NUMBA_CACHE_DIR"] = str(folder / "numba")
    try:
        return cpu(1, code, *arguments)
    finally:
        os.environ.pop("NUMBA_CACHE_DIR")
        if before is not None:
            os.environ["NUMBA_CACHE_DIR"] = before


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
