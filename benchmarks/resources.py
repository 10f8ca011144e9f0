"""What a command costs: CPU seconds, wall-clock seconds and peak memory, of it and its children.

The command is started by a small process of its own, this file run as a script: the peak memory
that the kernel reports for a process begins with that of the process that started it. The small
process also adopts what the command leaves behind, so that all of it is counted (Linux only).
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SAMPLED_EVERY = 0.25  # seconds; several processes share pages, and only samples tell how many


class Cost:
    """Of one command.

    Attributes:
        cpu: User and system CPU seconds, of the process and everything it started.
        wall: Wall-clock seconds until the process ended.
        peak: Peak memory in MB (10^6 bytes): resident, of the largest process, or, where more
            than one ran at once, the most that all of them together held (proportional set size,
            sampled) if that is more.
        output: What it wrote to stdout.
    """

    def __init__(self, cpu: float, wall: float, peak: float, output: str = "") -> None:
        self.cpu, self.wall, self.peak, self.output = cpu, wall, peak, output


def cost_of(command: Sequence[str | Path]) -> Cost:
    """Run a command and say what it cost.

    Raises:
        subprocess.CalledProcessError: It failed; ``output`` and ``stderr`` hold what it wrote.
    """
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "cost.json"
        # Without site-packages the process between is as small as can be.
        between = [sys.executable, "-I", "-S", __file__, str(written)]
        whole = [*between, *map(str, command)]
        done = subprocess.run(whole, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            raise subprocess.CalledProcessError(
                done.returncode, list(map(str, command)), done.stdout, done.stderr
            )
        return Cost(**json.loads(written.read_text()), output=done.stdout)


def _main(written: str, command: list[str]) -> int:
    linux = sys.platform == "linux"
    if linux:
        _adopt_orphans()
    start = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    together = _watched(child) if linux else 0.0
    cpu, largest, status = 0.0, 0.0, 0
    wall = 0.0
    while True:
        try:
            ended, code, usage = os.wait4(-1, 0)
        except ChildProcessError:
            break
        if ended == child:
            status, wall = code, time.perf_counter() - start
        cpu += usage.ru_utime + usage.ru_stime
        # Kilobytes on Linux, bytes on macOS.
        largest = max(largest, usage.ru_maxrss * (1024 if linux else 1) / 1e6)
    found = {"cpu": cpu, "wall": wall, "peak": max(largest, together)}
    Path(written).write_text(json.dumps(found))
    return os.waitstatus_to_exitcode(status)


def _adopt_orphans() -> None:
    import ctypes

    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def _watched(child: int) -> float:
    """Wait until the child ends; the most memory in MB that it and its children held at once."""
    most = 0.0
    ending = os.pidfd_open(child)
    while not select.select([ending], [], [], SAMPLED_EVERY)[0]:
        tree = _tree()
        if len(tree) > 1:
            most = max(most, sum(map(_proportional, tree)))
    os.close(ending)
    return most


def _tree() -> list[int]:
    """All processes under this one."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, left = [], [os.getpid()]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def _proportional(process: int) -> float:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0  # it has ended
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], sys.argv[2:]))
