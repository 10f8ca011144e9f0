"""Compares ``Report.what_if`` with really auditing the rows that are left.

    python benchmarks/what_if.py --data FOLDER

Every Parquet file with the columns ``question`` and ``answer`` is audited and split; the clean part
is audited again. So are the rows of all files together, of which the audit keeps a sample. The
table shows the risk before, the risk that ``what_if`` tells, and the one that the second audit
finds with its interval; the records left, told and true; how many of the verdicts agree; and the
seconds of CPU of the audit and of ``what_if``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from environment import heading

from synflaw_audit import audit

COLUMNS = ["question", "answer"]


def corpora(folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """The name and the rows of every corpus, and of all together."""
    every = []
    for file in sorted(folder.glob("*.parquet")):
        rows = pd.read_parquet(file)
        if "answer" in rows and not file.name.startswith("eval_"):
            every.append(rows[COLUMNS])
            yield file.stem, rows[COLUMNS]
    yield "all of them", pd.concat(every)


def compared(name: str, rows: pd.DataFrame, out: Path) -> str:
    """One line of the table."""
    started = time.process_time()
    report = audit(rows, out=out, split=True)
    audited = time.process_time()
    told = report.what_if()
    answered = time.process_time()
    line = f"| {name} | {len(rows)} | {report.flagged_summary.share:.3f} | {report.risk.score:.3f} "
    if report.flagged_summary.records == report.dataset.records:
        return f"{line}| nothing is left |"
    clean = audit(out / "clean.parquet")
    found = {finding.name: finding.verdict for finding in clean.checks}
    alike = sum(found[check] == verdict for check, verdict in told.verdicts.items())
    return (
        f"{line}| {told.risk.score:.3f} | {clean.risk.score:.3f} ({clean.risk.low:.3f} to "
        f"{clean.risk.high:.3f}) | {told.records} | {clean.dataset.records} | {alike} of "
        f"{len(told.checks)} | {audited - started:.1f} | {answered - audited:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    print(heading("benchmarks/what_if.py --data FOLDER"))
    print("| corpus | rows | flagged | risk | told | found | left, told | left | verdicts ", end="")
    print("| audit, s | what_if, s |\n|---|---|---|---|---|---|---|---|---|---|---|")
    for name, rows in corpora(options.data):
        with tempfile.TemporaryDirectory() as out:
            print(compared(name, rows, Path(out)), flush=True)


if __name__ == "__main__":
    main()
