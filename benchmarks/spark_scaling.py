"""The audit on Spark beside the audit on one machine: the same findings, and how long they take.

    python benchmarks/spark_scaling.py [--rows 1000000] [--partitions 1 2 4 8]
        [--master local[2]] [--out benchmarks/results/spark_scaling.md]

Both are the installed command over one Parquet file of generated rows. CPU seconds and memory are
those of all processes together, Spark's JVM and Python workers too.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from environment import heading
from generated_corpora import write
from resources import Cost, cost_of

SYNFLAW = Path(sys.executable).with_name("synflaw")
PLACE = ("file", "row")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--scratch", type=Path, help="where the corpus and the results are kept")
    parser.add_argument("--out", type=Path, help="a Markdown file")
    options = parser.parse_args()
    usage = subprocess.run([SYNFLAW, "audit", "--help"], capture_output=True, text=True)  # noqa: S603
    if missing := [o for o in ("--engine", "--master", "--partitions") if o not in usage.stdout]:
        sys.exit(f"this synflaw audit has no {', '.join(missing)}")
    partitions = " ".join(map(str, options.partitions))
    command = (
        f"benchmarks/spark_scaling.py --rows {options.rows} --partitions {partitions} "
        f"--master '{options.master}' --out benchmarks/results/spark_scaling.md"
    )
    lines = [
        "# The audit on Spark\n",
        heading(command),
        f"{options.rows:,} generated rows in one Parquet file.\n",
        "| engine | wall s | to local | CPU s | peak MB | flagged rows | same flags "
        "| same row numbers | largest difference of a score | same verdicts |",
        "|---|---:|---:|---:|---:|---:|---|---|---:|---|",
    ]
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        corpus = scratch / f"generated-0-{options.rows}.parquet"
        if not corpus.exists():
            write(options.rows, corpus)
        for line in measured(corpus, scratch, options.master, options.partitions):
            lines.append(line)
            print(line, flush=True)
            if options.out:
                options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def measured(corpus: Path, scratch: Path, master: str, partitions: Sequence[int]) -> Iterator[str]:
    """The table's lines: the local engine, then Spark with each number of partitions."""
    whole, local = audit(corpus, scratch / "local", [])
    yield row("local", local, local, whole, whole)
    for number in partitions:
        spark = ["--engine", "spark", "--master", master, "--partitions", str(number)]
        out, cost = audit(corpus, scratch / f"spark-{number}", spark)
        plural = "" if number == 1 else "s"
        yield row(f"Spark {master}, {number} partition{plural}", cost, local, out, whole)


def audit(corpus: Path, out: Path, options: list[str]) -> tuple[Path, Cost]:
    return out, cost_of([SYNFLAW, "audit", corpus, "--out", out, "-q", *options])


def row(name: str, cost: Cost, local: Cost, out: Path, expected: Path) -> str:
    flags, theirs = flagged(out), flagged(expected)
    report, other = (orjson.loads((each / "report.json").read_bytes()) for each in (out, expected))
    cells = (
        name,
        f"{cost.wall:.1f}",
        f"{cost.wall / local.wall:.2f}",
        f"{cost.cpu:.1f}",
        f"{cost.peak:.0f}",
        f"{flags.num_rows:,}",
        yes(contents(flags) == contents(theirs)),
        yes(sorted(flags["row"].to_pylist()) == sorted(theirs["row"].to_pylist())),
        f"{difference(report, other):.0e}",
        yes(verdicts(report) == verdicts(other)),
    )
    return f"| {' | '.join(cells)} |"


def flagged(out: Path) -> pa.Table:
    """The flagged rows; a folder of Parquet files is read as one."""
    return pq.read_table(out / "flagged.parquet")


def contents(flags: pa.Table) -> Counter[bytes]:
    """The flagged rows in no order, without their places: Spark knows no first row."""
    kept = flags.drop_columns([name for name in PLACE if name in flags.schema.names])
    return Counter(orjson.dumps(each) for each in kept.to_pylist())


def difference(report: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest difference of a check's score or bounds; infinite if the checks are others."""
    ours, theirs = (
        {
            check["code"]: [check[key] for key in ("score", "low", "high")]
            for check in each["checks"]
        }
        for each in (report, other)
    )
    if ours.keys() != theirs.keys():
        return math.inf
    pairs = ((a, b) for code in ours for a, b in zip(ours[code], theirs[code], strict=True))
    return max(abs(a - b) for a, b in pairs)


def verdicts(report: dict[str, Any]) -> list[str]:
    return [report["verdict"], *(f"{c['code']} {c['verdict']}" for c in report["checks"])]


def yes(same: bool) -> str:
    return "yes" if same else "no"


if __name__ == "__main__":
    main()
