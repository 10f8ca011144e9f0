"""Audits every question-answer corpus of a folder, each in a process of its own.

    python benchmarks/shared_corpora.py --data FOLDER

The table shows for every Parquet file with the columns ``question`` and ``answer`` (and, where a
column ``origin`` has both, for its human and synthetic rows apart): the verdict, the risk, the
share of flagged rows, the largest template, wall-clock seconds and peak memory of the process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from environment import heading


def corpora(folder: Path, scratch: Path) -> Iterator[tuple[str, int, Path]]:
    """Name, number of rows and file of every corpus; rows without an answer are left out."""
    for file in sorted(folder.glob("*.parquet")):
        rows = pd.read_parquet(file)
        if "answer" not in rows or file.name.startswith("eval_"):
            continue
        yield file.stem, len(rows), file
        if rows["origin"].nunique() > 1:
            for origin, side in rows.groupby("origin"):
                part = scratch / f"{file.stem}-{origin}.parquet"
                side.to_parquet(part)
                yield f"{file.stem}, {origin}", len(side), part


def audited(file: Path) -> tuple[dict[str, object], float]:
    """The report of one audit, and the peak memory of its process in MB."""
    code = (
        "import resource, sys; from synflaw_audit import audit; report = audit(sys.argv[1]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); print(report.to_json())"
    )
    out = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, str(file)], check=True, capture_output=True, text=True
    ).stdout
    peak, _, report = out.partition("\n")
    return json.loads(report), int(peak) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    print(heading("benchmarks/shared_corpora.py --data FOLDER"))
    print(
        "| corpus | rows | verdict | risk | templates | openings | flagged | seconds | MB |", end=""
    )
    print(" largest template |\n|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name, rows, file in corpora(options.data, Path(scratch)):
            report, peak = audited(file)
            score = {check["name"]: check["score"] for check in report["checks"]}
            largest = next((t for t in report["templates"] if t["id"].startswith("A")), None)
            shown = json.dumps(largest["pattern"][:110], ensure_ascii=False) if largest else ""
            risk, flagged = report["risk"]["score"], report["flagged"]["share"]
            print(
                f"| {name} | {rows} | {report['verdict']} | {risk:.2f} "
                f"| {score['answer-template']:.3f} | {score['answer-opening']:.3f} "
                f"| {flagged:.3f} | {report['seconds']['total']:.1f} | {peak:.0f} "
                f"| {shown.replace('|', chr(92) + '|')} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
