"""What each output costs beside the audit alone.

    python benchmarks/output_cost.py [--rows N] [--turns N] > benchmarks/results/output_cost.md

A generated corpus (``generated_corpora.py``) of JSON lines is put through the commands that write
something, turn by turn, each as a process of its own. The table has the median of its CPU seconds,
user and system, over the turns, and the ratio to that of ``synflaw audit`` in the same turn.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import heading

HERE = Path(__file__).parent
# What is added, and the command without its corpus and its folder.
COMMANDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("the audit alone: report, flagged and rejected rows", ("audit",)),
    ("and the risk without the flagged rows", ("audit", "--what-if")),
    ("and each file by itself", ("audit", "--by", "file")),
    ("the decision, and every record once", ("gate", "--no-corpus")),
    ("the corpus in its own format", ("gate",)),
    ("for code hosts and CI servers", ("gate", "--sarif", "--junit", "--github")),
    ("a repaired corpus: rows left out, audited again", ("fix", "--drop")),
    ("a repaired corpus: format cut out, audited again", ("fix", "--cut", "--cap", "20")),
    ("and every change, row by row", ("fix", "--cut", "--cap", "20", "--diff")),
)


def seconds(command: tuple[str, ...], corpus: Path, out: Path) -> float:
    """CPU seconds of one run, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = [command[0], str(corpus), *command[1:], "-q", "--out", str(out)]
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "synflaw_audit", *arguments],
        check=False,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        corpus = folder / "corpus.jsonl"
        making = ("--rows", str(options.rows), "--out", str(corpus))
        command = [sys.executable, str(HERE / "generated_corpora.py"), *making]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        took: dict[str, list[float]] = {name: [] for name, _ in COMMANDS}
        for turn in range(options.turns):
            for number, (name, command_line) in enumerate(COMMANDS):
                out = folder / f"{turn}-{number}"
                took[name].append(seconds(command_line, corpus, out))
        size = corpus.stat().st_size >> 20
    alone = took[COMMANDS[0][0]]
    print("# What each output costs\n")
    print(heading(f"benchmarks/output_cost.py --rows {options.rows} --turns {options.turns}"))
    print(f"{options.rows:,} rows, {size} MiB of JSON lines; medians of {options.turns} turns.\n")
    print("| output | command | CPU, s | of the audit |\n|---|---|---|---|")
    for name, command_line in COMMANDS:
        ratio = statistics.median(one / other for one, other in zip(took[name], alone, strict=True))
        median = statistics.median(took[name])
        print(f"| {name} | `{' '.join(command_line)}` | {median:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
