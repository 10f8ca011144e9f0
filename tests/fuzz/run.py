"""Reads hostile files in numbers, passes some of them through the gate, and says what came of it.

    make fuzz N=10000

Every file is read twice, every ``--gate-every``th goes through ``synflaw gate`` with all its
outputs. Exits with 1 if anything does not hold; the seeds that failed reproduce it:

    python tests/fuzz/run.py --first SEED --inputs 1 --gate-every 1
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hostile import hostile
from invariants import check_gate, check_reading

_MEGABYTE = 1024 if sys.platform == "linux" else 1024 * 1024  # of ru_maxrss


@dataclass
class Summary:
    """What came of some seeds; megabytes, and seconds of processor time."""

    outcomes: Counter[str] = field(default_factory=Counter)
    damages: Counter[str] = field(default_factory=Counter)
    exits: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "none")
    largest: tuple[float, str] = (0.0, "none")
    peak: float = 0.0
    seconds: float = 0.0

    def add(self, other: Summary) -> None:
        """Takes in what came of other seeds."""
        self.outcomes += other.outcomes
        self.damages += other.damages
        self.exits += other.exits
        self.failures += other.failures
        self.slowest = max(self.slowest, other.slowest)
        self.largest = max(self.largest, other.largest)
        self.peak = max(self.peak, other.peak)
        self.seconds += other.seconds


def fuzz(seeds: range, gate_every: int) -> Summary:
    """Tries some seeds, one after another."""
    warnings.simplefilter("error", ResourceWarning)
    found = Summary()
    with tempfile.TemporaryDirectory() as folder:
        # What is imported and compiled once is no file's.
        check_gate(hostile(0), Path(folder))
        found.peak = _peak()
        started = time.process_time()
        for seed in seeds:
            file = hostile(seed)
            name = f"seed {seed}: {file.name}, {file.damage}, {len(file.data):,} bytes"
            begun = time.process_time()
            try:
                found.outcomes[check_reading(file, Path(folder))] += 1
                if seed % gate_every == 0:
                    found.exits[check_gate(file, Path(folder))] += 1
            except Exception as error:
                found.failures.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
                traceback.print_exc()
            found.damages[file.damage] += 1
            found.slowest = max(found.slowest, (time.process_time() - begun, name))
            if (peak := _peak()) > found.peak:
                found.largest = max(found.largest, (peak - found.peak, name))
                found.peak = peak
            (Path(folder) / file.name).unlink(missing_ok=True)
    found.seconds = time.process_time() - started
    return found


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MEGABYTE


def main() -> int:
    """Tries the seeds, in several processes if asked to, and writes the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--gate-every", type=int, default=25)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a Markdown file for the summary")
    options = parser.parse_args()
    end = options.first + options.inputs
    shares = [range(start, min(start + 250, end)) for start in range(options.first, end, 250)]
    found = Summary()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
        for number, part in enumerate(
            pool.map(partial(fuzz, gate_every=options.gate_every), shares)
        ):
            found.add(part)
            print(f"{shares[number].stop - 1}: {len(found.failures)} failed", flush=True)
    text = f"""# Hostile files

`make fuzz N={options.inputs}` (`tests/fuzz`): seeds {options.first} to {end - 1}, every format with
odd values in its rows, and damage on top. Each is read twice; every {options.gate_every}th goes
through `synflaw gate` with all its outputs. Processes at a time: {options.processes}.

| | |
|---|---|
| files | {options.inputs:,} |
| read whole | {found.outcomes["read"]:,} |
| damaged: read as far as possible, and said to be | {found.outcomes["damaged"]:,} |
| refused with an error that names the file | {found.outcomes["refused"]:,} |
| gated: exit 0, 1, 2 | {found.exits[0]:,}, {found.exits[1]:,}, {found.exits[2]:,} |
| uncaught exceptions, rows unaccounted for, wrong exits | {len(found.failures)} |
| seconds of processor time | {found.seconds:,.0f} |
| slowest file | {found.slowest[0]:.2f} s ({found.slowest[1]}) |
| peak memory of a process | {found.peak:,.0f} MB |
| most memory added by one file | {found.largest[0]:,.0f} MB ({found.largest[1]}) |

Damage: {", ".join(f"{name} {count:,}" for name, count in sorted(found.damages.items()))}.
"""
    print(text)
    print("\n".join(found.failures))
    if options.out is not None:
        failures = "".join(f"\n- {failure}" for failure in found.failures)
        options.out.write_text(text + failures, encoding="utf-8")
    return bool(found.failures)


if __name__ == "__main__":
    sys.exit(main())
