"""Reads hostile files in numbers, passes some of them through the gate, and says what came of it.

    make fuzz N=10000

Every file is read twice, every ``--gate-every``th goes through ``synflaw gate`` with all its
outputs. Exits with 1 if anything does not hold; the seeds that failed reproduce it:

    python tests/fuzz/run.py --first SEED --inputs 1
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

from hostile import hostile
from invariants import check_gate, check_reading

_MEGABYTE = 1024 if sys.platform == "linux" else 1024 * 1024  # ru_maxrss


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--gate-every", type=int, default=25)
    parser.add_argument("--out", type=Path, help="a Markdown file for the summary")
    options = parser.parse_args()
    warnings.simplefilter("error", ResourceWarning)
    outcomes: Counter[str] = Counter()
    damages: Counter[str] = Counter()
    exits: Counter[int] = Counter()
    failures: list[str] = []
    slowest, largest = (0.0, ""), (0.0, "")
    with tempfile.TemporaryDirectory() as folder:
        # What is imported and compiled once is no input's.
        check_gate(hostile(0), Path(folder))
        started, peak = time.process_time(), _peak()
        base = peak
        for number, seed in enumerate(range(options.first, options.first + options.inputs)):
            file = hostile(seed)
            name = f"seed {seed}: {file.name}, {file.damage}, {len(file.data):,} bytes"
            begun = time.process_time()
            try:
                outcomes[check_reading(file, Path(folder))] += 1
                if number % options.gate_every == 0:
                    exits[check_gate(file, Path(folder))] += 1
            except Exception as error:
                failures.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
                traceback.print_exc()
            damages[file.damage] += 1
            slowest = max(slowest, (time.process_time() - begun, name))
            if _peak() > peak:
                largest = max(largest, (_peak() - peak, name))
                peak = _peak()
            (Path(folder) / file.name).unlink(missing_ok=True)
    seconds = time.process_time() - started
    text = f"""# Hostile files

`make fuzz N={options.inputs}` (`tests/fuzz`): seeds {options.first} to
{options.first + options.inputs - 1}, every format with odd values in its rows, and damage on top.
Each is read twice; every {options.gate_every}th goes through `synflaw gate` with all its outputs.

| | |
|---|---|
| files | {options.inputs:,} |
| read whole | {outcomes["read"]:,} |
| damaged: read as far as possible, and said to be | {outcomes["damaged"]:,} |
| refused with an error that names the file | {outcomes["refused"]:,} |
| gated: exit 0, 1, 2 | {exits[0]:,}, {exits[1]:,}, {exits[2]:,} |
| uncaught exceptions, rows unaccounted for, wrong exits | {len(failures)} |
| seconds of processor time | {seconds:,.0f} |
| slowest file | {slowest[0]:.2f} s ({slowest[1]}) |
| peak memory | {peak:,.0f} MB, of which {base:,.0f} MB are there before the first file |
| most memory added by one file | {largest[0]:,.0f} MB ({largest[1] or "none"}) |

Damage: {", ".join(f"{name} {count:,}" for name, count in sorted(damages.items()))}.
"""
    print(text)
    print("\n".join(failures))
    if options.out is not None:
        options.out.write_text(text + "".join(f"\n- {failure}" for failure in failures))
    return bool(failures)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MEGABYTE


if __name__ == "__main__":
    sys.exit(main())
