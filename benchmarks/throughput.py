"""What a whole audit costs, beside the floor and beside what others offer, in one run.

    python benchmarks/throughput.py [--sizes 10000 100000 1000000 10000000] [--data FOLDER]
        [--peers-python PYTHON] [--out benchmarks/results/throughput.md]

Every corpus is audited by the installed command, ``synflaw audit CORPUS --out FOLDER -q``: both
passes, every default check, the reports and the flagged rows. The floor runs before and after each
audit. The result is written anew after each corpus, so a run that is ended early leaves what it
measured. ``resources.py`` says how cost is measured, ``floor.py`` what the floor is, and
``speed_peers.py`` what is asked of the peers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from environment import heading
from generated_corpora import write
from resources import Cost, cost_of
from speed_peers import PEERS
from throughput_tables import render

HERE = Path(__file__).parent
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
FIRST = 1_000  # rows
REPEATED_UP_TO = 100_000  # rows; larger corpora are audited once


@dataclass
class Corpus:
    """A JSONL file, ``path``, and the file to audit: the same, or a Parquet file of its rows."""

    name: str
    path: Path
    audited: Path
    generated: bool


@dataclass
class Measured:
    """One corpus, audited.

    ``floor`` is what ``floor.floor`` gives, with the median CPU seconds of all its runs;
    ``seconds`` stands in the report: wall-clock, by stage and by measure.
    """

    name: str
    generated: bool
    rows: int
    cost: Cost
    floor: dict[str, float]
    floors: list[float]
    seconds: dict[str, float]


@dataclass
class Results:
    """Everything measured so far.

    ``first`` is the CPU seconds of ``first_audit``; ``peers`` holds by name what was found, or why
    nothing was.
    """

    heading: str
    first: float = 0.0
    audits: list[Measured] = field(default_factory=list)
    compared: Measured | None = None
    peers: dict[str, dict[str, Any] | str] = field(default_factory=dict)


def main() -> None:
    options = arguments()
    results = Results(f"{heading(command(options))}\n{surroundings()}")
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        results.first = first_audit(scratch)
        for corpus in corpora(options, scratch):
            results.audits.append(measured(corpus, options.repeats))
            report(results, options.out)
        if options.peers_python:
            compare(results, options, scratch)
            report(results, options.out)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--sizes", type=int, nargs="*", default=[10_000, 100_000], help="rows to generate")
    add("--formats", nargs="+", choices=("jsonl", "parquet"), default=["jsonl"])
    add("--seed", type=int, default=0, help="of the generated corpora")
    add("--data", type=Path, help="a folder of Parquet files with questions and answers")
    add("--repeats", type=int, default=3, help=f"audits of a corpus up to {REPEATED_UP_TO:,} rows")
    add("--peers-python", type=Path, help="the Python of an environment with the peers")
    add("--peer-rows", type=int, default=52_000, help="rows for the peers")
    add("--scratch", type=Path, help="where corpora are written, and kept for another run")
    add("--out", type=Path, help="a Markdown file")
    return parser.parse_args()


def command(options: argparse.Namespace) -> str:
    """The command, without paths of this machine."""
    parts = ["benchmarks/throughput.py --sizes", *map(str, sorted(options.sizes))]
    parts += ["--formats", *options.formats, f"--seed {options.seed} --repeats {options.repeats}"]
    parts += ["--data FOLDER"] * bool(options.data)
    if options.peers_python:
        parts.append(f"--peers-python PYTHON --peer-rows {options.peer_rows}")
    return " ".join([*parts, "--out benchmarks/results/throughput.md"])


def first_audit(scratch: Path) -> float:
    """CPU seconds of an audit of a few rows, before all others.

    After an installation it compiles what numba keeps on disk for all later ones.
    """
    path = scratch / "first.jsonl"
    write(FIRST, path)
    return audit(path)[0].cpu


def surroundings() -> str:
    """What else bears on the figures: other work of the machine, and limits on threads."""
    limits = [f"`{name}={os.environ[name]}`" for name in THREADS if name in os.environ]
    found = f"Load average before the first run: {os.getloadavg()[0]:.1f}; "
    return found + (
        f"threads limited by {', '.join(limits)}." if limits else "no limit on threads."
    )


def report(results: Results, out: Path | None) -> None:
    text = render(results)
    if out:
        out.write_text(text, encoding="utf-8")
    else:
        print(text, flush=True)


def corpora(options: argparse.Namespace, scratch: Path) -> Iterator[Corpus]:
    """The corpora to audit, small ones first, each written when its turn comes."""
    for rows in sorted(options.sizes):
        lines = scratch / f"generated-{options.seed}-{rows}.jsonl"
        for ending in options.formats:
            path = lines.with_suffix(f".{ending}")
            for wanted in (lines, path):
                if not wanted.exists():
                    say(f"writing {wanted.name}")
                    # A file that is there is a whole one.
                    part = wanted.with_suffix(f".part{wanted.suffix}")
                    write(rows, part, options.seed)
                    part.rename(wanted)
            yield Corpus(f"generated, {ending}", lines, path, generated=True)
    if options.data:
        path = scratch / "shared.jsonl"
        write_lines(mix(options.data), path)
        yield Corpus("shared corpora, jsonl", path, path, generated=False)


def mix(folder: Path) -> list[tuple[str, str]]:
    """Questions and answers of all Parquet files that have both, shuffled."""
    pairs: list[tuple[str, str]] = []
    for file in sorted(folder.glob("*.parquet")):
        if {"question", "answer"} <= set(pq.read_schema(file).names):
            rows: pa.Table = pq.read_table(file, columns=["question", "answer"]).drop_null()
            pairs += zip(*(column.to_pylist() for column in rows.columns), strict=True)
    order = np.random.default_rng(0).permutation(len(pairs))
    return [pairs[place] for place in order]


def write_lines(pairs: list[tuple[str, str]], path: Path) -> None:
    lines = (orjson.dumps({"question": question, "answer": answer}) for question, answer in pairs)
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def measured(corpus: Corpus, repeats: int) -> Measured:
    """The floor and the audit in turn; of several audits, the one of the median CPU seconds."""
    floors = [floor(corpus.path)]
    audits = []
    rows = int(floors[0]["rows"])
    for _ in range(repeats if rows <= REPEATED_UP_TO else 1):
        say(f"auditing {rows:,} rows, {corpus.name}")
        audits.append(audit(corpus.audited))
        floors.append(floor(corpus.path))
    audits.sort(key=lambda audit: audit[0].cpu)
    cost, seconds = audits[(len(audits) - 1) // 2]
    every = [each["cpu"] for each in floors]
    usual = floors[0] | {"cpu": statistics.median(every)}
    say(f"{cost.cpu:.1f} CPU s, {cost.peak:.0f} MB; the floor {usual['cpu']:.2f} CPU s")
    return Measured(corpus.name, corpus.generated, rows, cost, usual, every, seconds)


def floor(path: Path) -> dict[str, float]:
    # A process of its own: its memory is fresh, as the audit's is.
    found: dict[str, float] = json.loads(cost_of([sys.executable, HERE / "floor.py", path]).output)
    return found


def audit(path: Path) -> tuple[Cost, dict[str, float]]:
    """What one audit cost, and the seconds by stage and by measure that its report states."""
    synflaw = Path(sys.executable).with_name("synflaw")
    with tempfile.TemporaryDirectory() as out:
        cost = cost_of([synflaw, "audit", path, "--out", out, "-q"])
        report = json.loads((Path(out) / "report.json").read_bytes())
    return cost, flat(report["seconds"])


def flat(seconds: dict[str, Any]) -> dict[str, float]:
    """Nested seconds by names with a dot, as in ``measure.compression``."""
    found: dict[str, float] = {}
    for name, value in seconds.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": each for inner, each in flat(value).items()}
        else:
            found[name] = value
    return found


def compare(results: Results, options: argparse.Namespace, scratch: Path) -> None:
    """Run the peers, and the audit, on the same rows: of the shared corpora where given."""
    path = scratch / f"compared-{options.peer_rows}.jsonl"
    if options.data:
        with (scratch / "shared.jsonl").open("rb") as file:
            path.write_bytes(b"".join(islice(file, options.peer_rows)))
    else:
        write(options.peer_rows, path, options.seed)
    origin = "shared corpora" if options.data else "generated"
    corpus = Corpus(f"{origin}, the peers' rows", path, path, generated=False)
    results.compared = measured(corpus, options.repeats)
    for name in PEERS:
        say(f"running {name}")
        results.peers[name] = peer(name, path, options.peers_python)


def peer(name: str, path: Path, python: Path) -> dict[str, Any] | str:
    """What a peer's run said and the peak memory of its process, or why it failed."""
    try:
        cost = cost_of([python, HERE / "speed_peers.py", name, path])
    except subprocess.CalledProcessError as error:
        return (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
    found: dict[str, Any] = json.loads(cost.output.splitlines()[-1])
    return found | {"peak": cost.peak}


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
