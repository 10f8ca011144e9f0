"""Whether two commits find the same: what the gate writes for every corpus, compared.

Gates each corpus (and so audits it) from both commits' own trees, and compares ``report.json`` but
for the seconds and the versions, ``flagged.parquet`` row by row, ``gate.json``, ``rejected.jsonl``
and every file of ``clean`` and ``quarantined`` byte by byte, and the exit code. Run as
``python benchmarks/same_results.py --before COMMIT --data FOLDER``; prints a table. ``--work``
keeps what was compared, so that an interrupted run goes on. Needs git, and the commits in it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from house import git, unpacked

SAMPLE_DATA = Path(__file__).parents[1] / "sample_data"
ENDINGS = {".jsonl", ".parquet"}
UNLIKE = ("seconds", "versions")  # fields of report.json that differ from run to run


@dataclass(frozen=True)
class Comparison:
    """What two commits said of one corpus.

    Attributes:
        corpus: Its name.
        code: The exit code of the first.
        records: That were audited; None where the gate refused the corpus.
        flagged: Of these.
        differences: What differs, by file and field; nothing if all is the same.
    """

    corpus: str
    code: int
    records: int | None
    flagged: int | None
    differences: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", required=True)
    parser.add_argument("--after", default="HEAD")
    parser.add_argument("--data", type=Path, help="a folder of further corpora")
    parser.add_argument("--without", default="text_", help="beginning of the names to leave out")
    parser.add_argument("--work", type=Path, help="keeps what has been compared")
    options = parser.parse_args()
    commits = [git("rev-parse", "--short", c).strip() for c in (options.before, options.after)]
    with tempfile.TemporaryDirectory() as name:
        work = options.work or Path(name)
        trees = [unpacked(commit, work) for commit in commits]
        found = []
        for corpus in corpora(options.data, options.without):
            known = work / f"{'-'.join(commits)}-{corpus.stem}.json"
            if not known.exists():
                comparison = compared(corpus, trees, work)
                known.write_text(json.dumps(asdict(comparison)), encoding="utf-8")
                print(comparison, file=sys.stderr)
            found.append(Comparison(**json.loads(known.read_text(encoding="utf-8"))))
    print(written(commits, found))


def corpora(data: Path | None, without: str) -> list[Path]:
    """The sample data, and the files of a folder, the small ones first."""
    folders = [SAMPLE_DATA, *([] if data is None else [data])]
    files = [path for folder in folders for path in folder.iterdir()]
    chosen = (p for p in files if p.suffix in ENDINGS and not p.name.startswith(without))
    return sorted((p.resolve() for p in chosen), key=lambda path: (path.stat().st_size, path))


def compared(corpus: Path, trees: list[Path], folder: Path) -> Comparison:
    """Gates one corpus with both trees."""
    outs = [folder / "outputs" / tree.name for tree in trees]
    codes = [gated(corpus, tree, out) for tree, out in zip(trees, outs, strict=True)]
    differences = [] if codes[0] == codes[1] else [f"exit code: {codes[0]}, {codes[1]}"]
    names = sorted({path.relative_to(out) for out in outs for path in files(out)})
    for name in names:
        before, after = (out / name for out in outs)
        if not (before.exists() and after.exists()):
            differences.append(f"{name}: only one")
        else:
            differences += difference(before, after, str(name))
    report = outs[0] / "report.json"
    found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else None
    return Comparison(
        corpus.name,
        codes[0],
        found and found["dataset"]["records"],
        found and found["flagged"]["records"],
        tuple(differences),
    )


def gated(corpus: Path, tree: Path, out: Path) -> int:
    """The gate's exit code; what it wrote lies in ``out``."""
    command = [sys.executable, "-m", "synflaw_audit", "gate", corpus, "--out", out, "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    remove(out)
    return subprocess.run(  # noqa: S603 - our own interpreter and code
        [*map(str, command)], check=False, cwd=tree, env=environment, stderr=subprocess.DEVNULL
    ).returncode


def remove(out: Path) -> None:
    """Removes what an earlier gate wrote."""
    for path in sorted(out.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def files(out: Path) -> Iterator[Path]:
    """What is compared of a gate's outputs."""
    for name in ("report.json", "gate.json", "flagged.parquet", "rejected.jsonl"):
        if (out / name).exists():
            yield out / name
    for side in ("clean", "quarantined"):
        yield from (path for path in (out / side).rglob("*") if path.is_file())


def difference(before: Path, after: Path, name: str) -> list[str]:
    """What differs between a file of one run and that of the other."""
    if name == "report.json":
        one, other = (json.loads(path.read_text(encoding="utf-8")) for path in (before, after))
        return [f"{name}: {field}" for field in fields(one, other)]
    if name == "flagged.parquet":
        return [] if pq.read_table(before).equals(pq.read_table(after)) else [name]
    return [] if before.read_bytes() == after.read_bytes() else [name]


def fields(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The fields of a report that differ."""
    names = sorted({*one, *other} - {*UNLIKE})
    return [name for name in names if one.get(name) != other.get(name)]


def written(commits: list[str], found: list[Comparison]) -> str:
    """A table of all corpora."""
    lines = [
        f"{commits[0]} and {commits[1]}:",
        "",
        "| corpus | exit code | records | flagged | differences |",
        "|---|---|---|---|---|",
    ]
    for each in found:
        counts = ("none" if n is None else f"{n:,}" for n in (each.records, each.flagged))
        differing = "; ".join(each.differences) or "none"
        lines.append(f"| {each.corpus} | {each.code} | {' | '.join(counts)} | {differing} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
