"""What becomes of a gate when something goes wrong: kills, signals, full disks, changed inputs.

    python benchmarks/faults.py [--rows 300000] [--kills 30] [--out benchmarks/results/faults.md]

Each fault is brought about, and held to what must be true after it: an exit code of 0 or 1 only
with a decision, whole and this run's own; no output that could be taken for a result otherwise; an
input that is as it was; and a run afterwards, with ``--resume``, that ends with what an undisturbed
one ends with, byte for byte. The disk is a small tmpfs, which only root can mount; where it cannot
be had, that fault is said to be left out.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from environment import heading
from resume import names, write

GATE = [sys.executable, "-m", "synflaw_audit", "gate"]
COMPARED = (
    "clean.parquet",
    "quarantined.parquet",
    "clean",
    "quarantined",
    "flagged.parquet",
    "rejected.jsonl",
    "gate.json",
)
SETS = {*COMPARED, "run.json", "report.json", "report.md", "report.html"}


@dataclass(frozen=True)
class Tried:
    """One fault, brought about once; ``wrong`` is what was not as it must be."""

    fault: str
    code: int
    wrong: tuple[str, ...]


class Bench:
    """A corpus, its undisturbed result, and a place for the disturbed ones."""

    def __init__(self, scratch: Path, rows: int) -> None:
        self.scratch = scratch
        self.corpus = scratch / "corpus"
        self.corpus.mkdir()
        write(rows, 2, self.corpus)
        self.inputs = {path: path.read_bytes() for path in self.corpus.iterdir()}
        self.run(scratch / "compiled")  # the loops, once for all runs
        started = time.monotonic()
        self.code = self.run(scratch / "whole").returncode
        self.wall = time.monotonic() - started
        self.expected = outputs(scratch / "whole")

    def run(self, out: Path, *options: str, **how: object) -> subprocess.CompletedProcess[str]:
        """A gate that runs to its end, whatever that is."""
        command = [*GATE, str(self.corpus), "--out", str(out), "-q", *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, **how)  # type: ignore[call-overload] # noqa: S603

    def started(self, out: Path, *options: str) -> subprocess.Popen[bytes]:
        """A gate that has just begun."""
        command = [*GATE, str(self.corpus), "--out", str(out), "-q", *options]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603

    def judged(self, fault: str, out: Path, code: int, allowed: set[int]) -> Tried:
        """What is wrong just after a fault, and after a run that nothing disturbs."""
        wrong = [] if code in allowed else [f"exit code {code}"]
        there = {path.name for path in out.iterdir()} & SETS if out.is_dir() else set()
        if code in (0, 1) and outputs(out) != self.expected:
            wrong.append("a decision without its outputs")
        if code not in (0, 1) and "run.json" not in there and there - {"rejected.jsonl"}:
            wrong.append(f"left {sorted(there)}")
        if {path: path.read_bytes() for path in self.inputs} != self.inputs:
            wrong.append("an input was touched")
        again = self.run(out, "--resume")
        if again.returncode != self.code or outputs(out) != self.expected:
            wrong.append(f"afterwards: {again.returncode} {again.stderr.strip()[-200:]}")
        if left := names(out) - names(self.scratch / "whole"):
            wrong.append(f"left over: {sorted(left)}")
        shutil.rmtree(out, ignore_errors=True)
        return Tried(fault, code, tuple(wrong))


def outputs(out: Path) -> dict[str, bytes | None]:
    return {n: (out / n).read_bytes() if (out / n).is_file() else None for n in COMPARED}


def ended_by(bench: Bench, number: signal.Signals, moment: float, out: Path) -> int | None:
    """The exit code of a run that is sent a signal; None if it ended before."""
    process = bench.started(out)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        return process.wait()
    return None


def signalled(bench: Bench, number: signal.Signals, times: int, seed: int) -> Iterator[Tried]:
    rng = random.Random(seed)  # noqa: S311
    codes = {-9} if number == signal.SIGKILL else {128 + number, -number}
    done = 0
    while done < times:
        out = bench.scratch / "out"
        code = ended_by(bench, number, rng.uniform(0, bench.wall), out)
        if code is None:
            shutil.rmtree(out, ignore_errors=True)
            continue
        yield bench.judged(f"{number.name} at a random moment", out, code, codes)
        done += 1


def full_disk(bench: Bench) -> Iterator[Tried]:
    """Disks on which one byte after the other of what a run writes finds no more room."""
    disk = bench.scratch / "disk"
    disk.mkdir()
    needed = sum(path.stat().st_size for path in (bench.scratch / "whole").iterdir())
    for part in (0.02, 0.2, 0.5, 0.8, 0.95):
        size = f"size={max(int(needed * part), 1 << 15)}"
        mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:  # noqa: S603
            say("no tmpfs can be mounted here: full disks are left out")
            return
        try:
            code = bench.run(disk / "out").returncode
            larger = ["mount", "-o", f"remount,size={4 * needed + (64 << 20)}", str(disk)]
            subprocess.run(larger, check=True)  # noqa: S603
            yield bench.judged(f"disk full at {part:.0%} of the outputs", disk / "out", code, {2})
        finally:
            subprocess.run(["umount", str(disk)], check=True)  # noqa: S603, S607


def limited(kind: int, limit: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (limit, limit))


def few_handles(bench: Bench) -> Iterator[Tried]:
    for handles in (8, 16, 32):
        how = limited(resource.RLIMIT_NOFILE, handles)
        code = bench.run(bench.scratch / "out", preexec_fn=how).returncode
        yield bench.judged("few file handles", bench.scratch / "out", code, {2, bench.code})


def little_memory(bench: Bench) -> Iterator[Tried]:
    for megabytes in (100, 200, 300, 500, 700):
        how = limited(resource.RLIMIT_AS, megabytes << 20)
        code = bench.run(bench.scratch / "out", preexec_fn=how).returncode
        yield bench.judged("little memory", bench.scratch / "out", code, {2})


def changed_input(bench: Bench) -> Iterator[Tried]:
    """A row is rewritten, of the same size and time, at several moments of a run."""
    path = sorted(bench.inputs)[0]
    for part in (0.5, 0.7, 0.9):
        out = bench.scratch / "out"
        process = bench.started(out)
        time.sleep(part * bench.wall)
        status, text = path.stat(), bench.inputs[path]
        at = text.rindex(b"e")
        path.write_bytes(text[:at] + b"a" + text[at + 1 :])
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        code = process.wait()
        whole = code == 2 or outputs(out)["gate.json"] is not None
        path.write_bytes(text)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        tried = bench.judged("input changed, same size and time", out, 2, {2})
        yield Tried(tried.fault, code, tried.wrong if whole else ("no decision", *tried.wrong))


def two_at_once(bench: Bench) -> Iterator[Tried]:
    out = bench.scratch / "out"
    first, second = bench.started(out), bench.started(out)
    codes = sorted((first.wait(), second.wait()))
    tried = bench.judged("two runs into one folder", out, codes[0], {bench.code})
    wrong = () if codes == sorted((bench.code, 2)) else (f"exit codes {codes}",)
    yield Tried(tried.fault, codes[1], tried.wrong + wrong)


def clock_set_back(bench: Bench) -> Iterator[Tried]:
    """The input says that it is of tomorrow, and the outputs of an earlier run too."""
    out = bench.scratch / "out"
    bench.run(out)
    tomorrow = time.time() + 86_400
    for path in (*bench.inputs, *out.iterdir()):
        os.utime(path, (tomorrow, tomorrow))
    code = bench.run(out).returncode
    yield bench.judged("clock set back", out, code, {bench.code})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--signals", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a Markdown file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(Path(temporary), options.rows)
        say(f"undisturbed: exit code {bench.code} after {bench.wall:.1f} s")
        tried: list[Tried] = []
        for trial in trials(bench, options):
            tried.append(trial)
            say(f"{trial}")
    text = render(options, bench, tried)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    print(text)
    sys.exit(any(trial.wrong for trial in tried))


def trials(bench: Bench, options: argparse.Namespace) -> Iterator[Tried]:
    yield from full_disk(bench)
    yield from few_handles(bench)
    yield from little_memory(bench)
    yield from changed_input(bench)
    yield from two_at_once(bench)
    yield from clock_set_back(bench)
    for number in (signal.SIGINT, signal.SIGTERM):
        yield from signalled(bench, number, options.signals, options.seed)
    yield from signalled(bench, signal.SIGKILL, options.kills, options.seed)


def render(options: argparse.Namespace, bench: Bench, tried: list[Tried]) -> str:
    command = (
        f"benchmarks/faults.py --rows {options.rows} --kills {options.kills} "
        f"--signals {options.signals} --seed {options.seed} --out benchmarks/results/faults.md"
    )
    lines = [
        "# Faults\n",
        heading(command),
        f"{options.rows:,} rows in two files; undisturbed, the gate exits with {bench.code} after "
        f"{bench.wall:.1f} s. After each fault the run that goes on with `--resume` must end with "
        "the undisturbed run's outputs, byte for byte, and leave nothing over.\n",
        "| fault | times | exit codes | all held | what did not |",
        "|---|---:|---|---:|---|",
    ]
    for fault in dict.fromkeys(t.fault for t in tried):
        of_it = [t for t in tried if t.fault == fault]
        codes = ", ".join(map(str, sorted({t.code for t in of_it})))
        held = sum(not t.wrong for t in of_it)
        wrong = "; ".join(dict.fromkeys(w for t in of_it for w in t.wrong)) or "nothing"
        lines.append(f"| {fault} | {len(of_it)} | {codes} | {held} | {wrong} |")
    return "\n".join(lines) + "\n"


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
