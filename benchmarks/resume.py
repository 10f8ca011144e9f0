"""Kills an audit at random moments, resumes it, and compares what it wrote with a whole run's.

    python benchmarks/resume.py [--rows 1000000] [--kills 10] [--out benchmarks/results/resume.md]

The corpus is generated, with some lines that cannot be read, in ``--files`` files. Every second
time SIGKILL goes to the process alone, and otherwise also to its children. What stands in the
folder just after the kill must be a whole file or none; after ``--resume``, ``flagged.parquet`` and
``rejected.jsonl`` must be those of the run that was not interrupted, byte for byte, and
``report.json`` too but for its ``seconds``; and no other files may be there.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import orjson
from environment import heading
from generated_corpora import Generator
from resources import cost_of

OUTPUTS = ("flagged.parquet", "rejected.jsonl", "report.json")
SPOILT_EVERY = 10_007  # rows from one line that cannot be read to the next
SYNFLAW = Path(sys.executable).with_name("synflaw")

Outputs = dict[str, bytes | None]


@dataclass(frozen=True)
class Kill:
    """One interrupted run.

    Attributes:
        moment: Seconds from its start to the kill.
        children: Whether its children were killed too.
        there: Outputs that stood there after the kill.
        journal: Other files that stood there then, from which to go on.
        early: Outputs that stood there and are not what the whole run wrote.
        wall: Seconds that the resumed run took.
        different: Outputs of the resumed run that are not those of the whole run; or why it failed.
        left: Files that the resumed run left there and the whole one did not.
    """

    moment: float
    children: bool
    there: list[str]
    journal: int
    early: list[str]
    wall: float
    different: list[str]
    left: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=1)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scratch", type=Path, help="where the corpus and the results are kept")
    parser.add_argument("--out", type=Path, help="a Markdown file")
    options = parser.parse_args()
    usage = subprocess.run([SYNFLAW, "audit", "--help"], capture_output=True, text=True)  # noqa: S603
    if "--resume" not in usage.stdout:
        sys.exit("this synflaw audit has no --resume")
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.scratch or Path(temporary)
        corpus = scratch / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        write(options.rows, options.files, corpus)
        shutil.rmtree(scratch / "whole", ignore_errors=True)
        whole = cost_of([*audit(corpus), "--out", scratch / "whole"])
        say(f"whole run: {whole.wall:.1f} s")
        expected = outputs(scratch / "whole")
        kills = []
        for kill in killed(corpus, scratch, whole.wall, options, expected):
            kills.append(kill)
            say(f"{kill}")
        text = render(options, whole.wall, expected, kills)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    print(text)
    sys.exit(any(kill.early or kill.different or kill.left for kill in kills))


def audit(corpus: Path) -> list[str | Path]:
    return [SYNFLAW, "audit", corpus, "-q"]


def write(rows: int, files: int, folder: Path) -> None:
    """Generated rows in files of equal length, some of them cut off in the middle."""
    batches = Generator().tables(rows)
    lines = chain.from_iterable(map(orjson.dumps, batch.to_pylist()) for batch in batches)
    ends = [rows * (number + 1) // files for number in range(files)]
    number = 0
    for name, end in enumerate(ends):
        with (folder / f"part-{name:03}.jsonl").open("wb") as file:
            while number < end:
                line = next(lines)
                spoilt = number % SPOILT_EVERY == SPOILT_EVERY // 2
                file.write((line[: len(line) // 2] if spoilt else line) + b"\n")
                number += 1


def killed(
    corpus: Path, scratch: Path, wall: float, options: argparse.Namespace, expected: Outputs
) -> Iterator[Kill]:
    """Interrupt and resume as often as was asked; a run that ends too soon is started again."""
    rng = random.Random(options.seed)  # noqa: S311
    done = 0
    while done < options.kills:
        moment = rng.uniform(0, wall)
        children = done % 2 == 1
        out = scratch / f"killed-{done}"
        took = interrupted([*audit(corpus), "--out", out], moment, children)
        if took is not None:
            wall = min(wall, took)  # on a busy machine the whole run may have been a slow one
        else:
            there = outputs(out)
            journal = len(names(out) - names(scratch / "whole"))
            standing = [name for name in OUTPUTS if there[name] is not None]
            early = [name for name in standing if there[name] != expected[name]]
            again, different = resumed(corpus, out, expected)
            left = sorted(names(out) - names(scratch / "whole"))
            yield Kill(moment, children, standing, journal, early, again, different, left)
            done += 1


def resumed(corpus: Path, out: Path, expected: Outputs) -> tuple[float, list[str]]:
    """The seconds that a resumed audit takes, and its outputs that are not as expected."""
    try:
        cost = cost_of([*audit(corpus), "--out", out, "--resume"])
    except subprocess.CalledProcessError as error:
        return math.nan, (error.stderr.splitlines() or [f"exit code {error.returncode}"])[-1:]
    found = outputs(out)
    different = [name for name in OUTPUTS if found[name] != expected[name]]
    return cost.wall, different


def names(folder: Path) -> set[str]:
    """All files under a folder that need not be there."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def interrupted(command: list[str | Path], moment: float, children: bool) -> float | None:
    """Kill a command after ``moment`` seconds; if it ends before that, how long it took."""
    shutil.rmtree(command[-1], ignore_errors=True)
    start = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True)  # noqa: S603
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        if children:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        return None
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(map(str, command)))
    return time.monotonic() - start


def outputs(folder: Path) -> Outputs:
    """By name the bytes of each output, None if it is not there; of the report, without seconds."""
    found: Outputs = {}
    for name in OUTPUTS:
        path = folder / name
        found[name] = path.read_bytes() if path.exists() else None
    if report := found["report.json"]:
        try:
            values = orjson.loads(report)
        except orjson.JSONDecodeError:
            return found  # half a file, which will be told
        del values["seconds"]
        found["report.json"] = orjson.dumps(values, option=orjson.OPT_INDENT_2)
    return found


def render(options: argparse.Namespace, wall: float, expected: Outputs, kills: list[Kill]) -> str:
    command = (
        f"benchmarks/resume.py --rows {options.rows} --files {options.files} "
        f"--kills {options.kills} --seed {options.seed} --out benchmarks/results/resume.md"
    )
    sizes = ", ".join(f"`{name}` {len(expected[name] or b''):,}" for name in OUTPUTS)
    same = sum(not kill.different for kill in kills)
    whole = sum(not kill.early for kill in kills)
    clean = sum(not kill.left for kill in kills)
    lines = [
        "# Audits killed and resumed\n",
        heading(command),
        f"{options.rows:,} rows; the run that was not interrupted took {wall:.1f} s. Bytes: "
        f"{sizes} (the report without its seconds).\n",
        f"Same bytes after `--resume`: {same} of {len(kills)}. No half-written output after the "
        f"kill: {whole} of {len(kills)}. Nothing left over: {clean} of {len(kills)}.\n",
        "| killed after, s | of the whole run | SIGKILL to | outputs there then | half-written "
        "| journal files | resumed in, s | different | left over |",
        "|---:|---:|---|---|---|---:|---:|---|---|",
    ]
    for kill in sorted(kills, key=lambda kill: kill.moment):
        cells = (
            f"{kill.moment:.1f}",
            f"{kill.moment / wall:.0%}",
            "process and children" if kill.children else "process",
            listed(kill.there),
            listed(kill.early),
            str(kill.journal),
            f"{kill.wall:.1f}",
            listed(kill.different),
            listed(kill.left),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
