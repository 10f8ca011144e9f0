"""What the checks say of corpora that hold one record over and over, at any size.

    python benchmarks/heavy_copies.py --spark --out benchmarks/results/heavy_copies.md

A share of the records are copies of one question with one answer, the others have questions and
answers of their own. Every corpus is read and scored in a process of its own, whose CPU time and
peak memory are told; with ``--spark`` by Spark too, on two cores of this machine, whose scores have
to be the same to the last digit.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from environment import heading

SHARES = (0.001, 0.01, 0.1, 0.5)
CODES = ("SF101", "SF102", "SF301", "SF302")
PIECE = 200_000  # records that are made at a time
REFUSAL = "I am sorry, but as a language model I cannot help you with that request of yours."


def free_text(rng: np.random.Generator, rows: int, words: int) -> pa.Array:
    """Texts of so many words, drawn by Zipf's law from 20,000."""
    known = pa.array([f"{chr(97 + n % 26)}{n:x}" for n in range(20_000)])
    columns = [known.take(pa.array(rng.zipf(1.3, rows) % 20_000)) for _ in range(words)]
    return pc.binary_join_element_wise(*columns, " ")


def write(file: Path, records: int, share: float, seed: int) -> None:
    """Writes a corpus in which a share of the records are copies."""
    rng = np.random.default_rng(seed)
    schema = pa.schema([("question", pa.string()), ("answer", pa.string())])
    with pq.ParquetWriter(file, schema) as out:
        for start in range(0, records, PIECE):
            rows = min(PIECE, records - start)
            copied = pa.array(rng.random(rows) < share)
            question = pc.if_else(copied, "What is it?", free_text(rng, rows, 9))
            answer = pc.if_else(copied, REFUSAL, free_text(rng, rows, 22))
            out.write_table(pa.table([question, answer], schema=schema))


def scores(file: str, engine: str) -> dict[str, Any]:
    """What one process finds: the scores, the seconds of CPU and the peak of memory in MB."""
    from synflaw_audit.engines.registry import open_engine
    from synflaw_audit.run import measure
    from synflaw_audit.settings import AuditSettings
    from synflaw_audit.verdicts.catalogue import load_checks, selected

    settings = AuditSettings(engine=engine, master="local[2]" if engine == "spark" else None)
    checks = selected(load_checks(), ",".join(CODES))
    begun = time.perf_counter()
    found = measure(open_engine([file], settings), checks).judge().findings
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "scores": {f.code: (f.score, f.low, f.high) for f in found},
        "cpu": used.ru_utime + used.ru_stime,
        "clock": time.perf_counter() - begun,
        "memory": used.ru_maxrss / 1000,
    }


def apart(file: Path, engine: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", str(file), "--engine", engine]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def line(records: int, share: float, found: dict[str, Any], same: str) -> str:
    shown = ["{:.4f} ({:.4f} to {:.4f})".format(*found["scores"][code]) for code in CODES]
    cost = [f"{found['cpu']:.0f}", f"{found['memory']:.0f}"]
    return f"| {' | '.join([f'{records:,}', f'{share:.1%}', *shown, *cost, same])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--spark", action="store_true", help="Also by Spark, up to a million.")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--engine", default="local", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(scores(options.one, options.engine)))
        return
    command = f"benchmarks/heavy_copies.py --sizes {' '.join(map(str, options.sizes))}"
    command += " --spark" if options.spark else ""
    lines = [
        "# One record over and over",
        "",
        heading(f"{command} --out {options.out}"),
        f"| records | copies | {' | '.join(CODES)} | CPU s | MB | Spark |",
        "| --: | --: | --- | --- | --- | --- | --: | --: | --- |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for records in options.sizes:
            for number, share in enumerate(options.shares):
                file = Path(folder) / "corpus.parquet"
                write(file, records, share, seed=number)
                found, same = apart(file, "local"), ""
                if options.spark and records <= 1_000_000:
                    same = "same" if apart(file, "spark")["scores"] == found["scores"] else "OTHER"
                lines.append(line(records, share, found, same))
                options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
