"""Repairs real corpora by every strategy, and tells what that cost and what it mended.

    python benchmarks/fix.py --data FOLDER [--only NAME ...] [--keep FOLDER]

Every corpus (Parquet, in its own columns) is repaired by ``synflaw fix --drop``, ``--cap 20``,
``--cut`` and ``--cut --cap 20``, and audited again. The table shows the gate's verdict and the risk
before and after, the rows left and those with a new answer, how much of the flagged answers'
content is left (characters outside of the format's spans, blanks and case aside), how much of the
content of the answers that were cut is still in them, and the seconds of CPU of it all, two audits
among them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from environment import heading

CORPORA = ("chatdoctor5k", "templated_boolq", "llmadapters_math_cot")
STRATEGIES = (("--drop",), ("--cap", "20"), ("--cut",), ("--cut", "--cap", "20"))


def fixed(corpus: Path, strategy: tuple[str, ...], out: Path) -> tuple[dict[str, Any] | str, float]:
    """What ``fix.json`` says, or why there is none; and the seconds of CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "synflaw_audit", "fix", str(corpus), *strategy]
    done = subprocess.run(  # noqa: S603
        [*command, "--diff", "-q", "--out", str(out)], check=False, capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    file = out / "fix.json"
    if done.returncode > 1 and not file.exists():
        return done.stderr.strip().rpartition("synflaw: ")[2].partition(";")[0], seconds
    return orjson.loads(file.read_bytes()), seconds


def line(name: str, strategy: tuple[str, ...], told: dict[str, Any] | str, seconds: float) -> str:
    """One line of the table."""
    start = f"| {name} | `{' '.join(strategy)}` "
    if isinstance(told, str):
        return f"{start}| {told.partition(' by ')[0]} | | | | | | {seconds:.0f} |"
    rows, content = told["rows"], told["content"]
    before, after = told["before"], told["after"]
    seen = rows["remaining"] + rows["dropped"] + rows["unreadable"] + rows["unwritten"]
    cut_kept = f"{content['cut_kept_share']:.1%}" if rows["cut"] else ""
    return (
        f"{start}| {before['verdict']} to {told['outcome']} "
        f"| {before['risk']['score']:.2f} to {after['risk']['score']:.2f} "
        f"| {rows['remaining']:,} of {seen:,} | {rows['cut']:,} "
        f"| {content['kept_share']:.1%} | {cut_kept} | {seconds:.0f} |"
    )


def lines(options: argparse.Namespace, scratch: Path) -> Iterator[str]:
    """The table's."""
    for name in options.only or CORPORA:
        for strategy in STRATEGIES:
            out = scratch / f"{name}{''.join(strategy)}"
            told, seconds = fixed(options.data / f"{name}.parquet", strategy, out)
            yield line(name, strategy, told, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="A folder with the corpora.")
    parser.add_argument("--only", nargs="*", help="These corpora; three if not given.")
    parser.add_argument("--keep", type=Path, help="Keep what is written here.")
    options = parser.parse_args()
    print("# Repairing real corpora\n")
    print(heading("benchmarks/fix.py --data FOLDER"))
    print(
        "| corpus | strategy | gate | risk | rows left | cut | content left | of cut answers ",
        end="",
    )
    print("| CPU, s |\n|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        for each in lines(options, options.keep or Path(temporary)):
            print(each, flush=True)


if __name__ == "__main__":
    main()
