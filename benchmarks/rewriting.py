"""Rewrites flagged rows of real corpora, and tells what came of it.

    python benchmarks/rewriting.py --data FOLDER [--with rules|MODEL|URL] [--rows 500]

Of every corpus (Parquet, in its own columns) a part is taken: so many rows that the audit of the
whole flags, and as many that it does not, or all there are; the part is rewritten by ``synflaw fix
--rewrite-with`` and audited again. The table shows

- accepted: the share of flagged answers that got a rewrite which every judge accepts;
- facts: of all facts in the accepted answers' contents, the share that their rewrites have, and how
  many they have that neither answer nor question has, both counted anew;
- lost, invented, format, shared, doubted: why the others got none, as shares of the flagged;
- flagged after: the share of the fixed part's records that its audit flags;
- risk before and after;
- openings: the commonest first three words of the accepted answers, as a share, before and after;
- ratio: the compression ratio (zstd, level 3) of the accepted answers, before and after;
- seconds of CPU for it all, two audits among them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from environment import heading

from synflaw_audit import audit
from synflaw_audit.fixing.strategies import outside
from synflaw_audit.rewriting.facts import Facts

CORPORA = ("chatdoctor5k", "templated_boolq", "llmadapters_math_cot")
REASONS = {
    "lost": "lost:",
    "invented": "invented:",
    "shared": "has a format in common",
    "doubted": ("does not belong", "unsure"),
    "format": ("answer-", "template-", "question-", "structural-", "self-", "format-"),
}


def part(corpus: Path, rows: int, folder: Path) -> Path:
    """So many flagged rows of a corpus, and as many others, in their order."""
    audit(str(corpus), out=folder / "audit")
    flagged = set(pq.read_table(folder / "audit" / "flagged.parquet")["row"].to_pylist())
    table = pq.read_table(corpus)
    chance = Random(0)  # noqa: S311 - no secret
    others = [row for row in range(table.num_rows) if row not in flagged]
    chosen = [
        *chance.sample(sorted(flagged), min(rows, len(flagged))),
        *chance.sample(others, min(rows, len(others))),
    ]
    path = folder / corpus.name
    pq.write_table(table.take(pa.array(sorted(chosen))), path)
    return path


def rewritten(corpus: Path, name: str, out: Path, candidates: int) -> float:
    """Rewrites a corpus into a folder; the seconds of CPU that took."""
    settings = out.with_suffix(".toml")
    settings.write_text(f"candidates = {candidates}\n", encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "synflaw_audit", "fix", str(corpus), "--rewrite-with", name]
    command += ["--cap", "20", "--rewriting", str(settings), "-q", "--out", str(out)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if not (out / "fix.json").exists():
        raise SystemExit(done.stderr)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ratio(texts: Sequence[str]) -> float:
    """How many times smaller all texts become."""
    data = "\n".join(texts).encode()
    return len(data) / max(len(zstandard.compress(data, 3)), 1)


def opening(texts: Sequence[str]) -> float:
    """The share of the commonest three first words."""
    counts = Counter(" ".join(text.lower().split()[:3]) for text in texts)
    return counts.most_common(1)[0][1] / len(texts) if texts else 0.0


def reason(why: str) -> str:
    """Which judge spoke, of those in the table; "other" else."""
    return next((name for name, begins in REASONS.items() if why.startswith(begins)), "other")


def facts_of(rows: Sequence[dict[str, Any]], corpus: Path) -> tuple[int, int, int]:
    """Facts of the accepted answers' contents; those their rewrites have; those that are new."""
    columns = pq.read_table(corpus, columns=["question", "answer"]).to_pydict()
    facts = Facts.of(text or "" for texts in columns.values() for text in texts)
    had = lost = new = 0
    for row in rows:
        spans = tuple((span["start"], span["end"]) for span in row["template_spans"])
        content = outside(row["original"], spans)
        missing, invented = facts.differences(
            content, row["rewritten"], known=f"{row['question']}\n{row['original']}"
        )
        had += len(facts(content))
        lost += len(missing)
        new += len(invented)
    return had, had - lost, new


def line(corpus: Path, out: Path, seconds: float) -> str:
    """One line of the table."""
    rows = pq.read_table(out / "rewrites.parquet").to_pylist()
    told = orjson.loads((out / "fix.json").read_bytes())
    accepted = [row for row in rows if row["accepted"]]
    had, kept, new = facts_of(accepted, corpus)
    why = Counter(reason(row["why"]) for row in rows if not row["accepted"])
    texts = [[row[side] for row in accepted] for side in ("original", "rewritten")]
    before, after = told["before"], told["after"]
    shares = " | ".join(
        f"{why[kind] / len(rows):.0%}"
        for kind in ("lost", "invented", "format", "shared", "doubted")
    )
    return (
        f"| {corpus.stem} | {len(rows)} | {len(accepted) / len(rows):.0%} "
        f"| {kept:,} of {had:,} | {new} | {shares} | {why['other'] / len(rows):.0%} "
        f"| {after['flagged'] / max(after['records'], 1):.1%} "
        f"| {before['risk']['score']:.2f} to {after['risk']['score']:.2f} ({told['outcome']}) "
        f"| {opening(texts[0]):.0%} to {opening(texts[1]):.0%} "
        f"| {ratio(texts[0]):.1f} to {ratio(texts[1]):.1f} | {seconds:.0f} |"
    )


HEADER = (
    "| corpus | flagged | accepted | facts kept | invented | lost | invented by others | format "
    "| shared | doubted | other | flagged after | risk | openings | ratio | CPU s |\n"
    "|---|" + "---:|" * 15
)


def lines(args: argparse.Namespace, folder: Path) -> Iterator[str]:
    for name in args.only or CORPORA:
        out = folder / name
        out.mkdir(parents=True, exist_ok=True)
        corpus = part(args.data / f"{name}.parquet", args.rows, out)
        seconds = rewritten(corpus, args.rewriter, out / "out", args.candidates)
        yield line(corpus, out / "out", seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--with", dest="rewriter", default="rules")
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--candidates", type=int, default=4)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--keep", type=Path)
    args = parser.parse_args()
    command = f"benchmarks/rewriting.py --data DATA --with {Path(args.rewriter).name}"
    print(heading(f"{command} --rows {args.rows} --candidates {args.candidates}"))
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for each in lines(args, args.keep or Path(scratch)):
            print(each, flush=True)


if __name__ == "__main__":
    main()
