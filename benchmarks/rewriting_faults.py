"""Rewrites a corpus through an endpoint that fails in every way, and counts rows lost and doubled.

    python benchmarks/rewriting_faults.py [--rows 200]

A server on the loopback answers as a well-behaved editor would, and meets requests with timeouts,
broken connections, 429, 500, half of an answer and a page instead of one, a third of them in all,
then dies half-way; the same command goes on at another address. The outcome is compared with that
of an endpoint that never fails, row by row.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
from environment import heading

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from chat_server import FAULTS, Served, serving  # noqa: E402 - a helper of the tests

OPENING = "Sure thing: "


def editor(prompt: str) -> str:
    """Says the content otherwise, the same for the same prompt."""
    content = re.search(r"Answer: (.*?)\n\n", prompt + "\n\n", re.DOTALL)
    form = re.search(r"Form: (.*)", prompt)
    starts = ["Well, {}", "{} That is all.", "Here is what is known: {}", "{}"]
    said = Random(form[1] if form else "").choice(starts)  # noqa: S311 - no secret
    return said.format(content[1].strip() if content else "")


def run(corpus: Path, out: Path, url: str) -> int:
    settings = corpus.with_name("rewriting.toml")
    settings.write_text(
        'candidates = 2\npause = 0.01\ntimeout = 1.0\nrequests_per_minute = 100000\nmodel = "m"\n'
        "retries = 12\n"
    )
    command = [sys.executable, "-m", "synflaw_audit", "fix", str(corpus), "--out", str(out)]
    command += ["--select", "answer-opening", "--rewrite-with", url, "--rewriting", str(settings)]
    environment = {**os.environ, "OPENAI_API_KEY": "sk-of-the-benchmark"}
    done = subprocess.run(command, check=False, capture_output=True, env=environment)  # noqa: S603
    return done.returncode


def rewrites(out: Path) -> list[dict[str, object]]:
    return list(pq.read_table(out / "rewrites.parquet").drop_columns("rewriter").to_pylist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch) / "rows.jsonl"
        lines = (ROOT / "sample_data" / "natural.jsonl").read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines[: args.rows]]
        for row in rows[::2]:
            row["answer"] = OPENING + row["answer"]
        corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with serving(Served(editor)) as calm:
            run(corpus, Path(scratch) / "calm", calm.url)
        chance = Random(0)  # noqa: S311 - no secret
        faults = [chance.choice([*FAULTS, *[""] * 12]) for _ in range(20 * args.rows)]
        half = len(calm.asked) // 2
        with serving(Served(editor, faults, dies_after=2 * half)) as stormy:
            died = run(corpus, Path(scratch) / "out", stormy.url)
        with serving(Served(editor, faults[::-1])) as back:
            ended = run(corpus, Path(scratch) / "out", back.url)
        asked = [*stormy.asked, *back.asked]
        one, other = (rewrites(Path(scratch) / name) for name in ("calm", "out"))
        places = [(row["file"], row["row"], row["turn"]) for row in other]
        print(heading(f"benchmarks/rewriting_faults.py --rows {args.rows}"))
        print("| | |\n|---|---:|")
        print(f"| flagged rows | {len(one)} |")
        print(f"| prompts, asked without faults | {len(calm.asked)} |")
        failed = stormy.requests + back.requests - len(asked)
        print(f"| requests that failed, those of the dead server among them | {failed} |")
        print(f"| exit codes, when it died and when it went on | {died}, {ended} |")
        print(f"| rows lost | {len(one) - len(set(places))} |")
        print(f"| rows doubled | {len(places) - len(set(places))} |")
        again = len(asked) - len(set(asked))
        print(f"| prompts answered again, the first answer being too late | {again} |")
        print(f"| rows that differ from the run without faults | {_differing(one, other)} |")
        folders = (Path(scratch) / name / "fixed" for name in ("calm", "out"))
        texts = {(folder / corpus.name).read_bytes() for folder in folders}
        same = "yes" if len(texts) == 1 else "no"
        print(f"| the fixed corpus is the same to the byte | {same} |")


def _differing(one: list[dict[str, object]], other: list[dict[str, object]]) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


if __name__ == "__main__":
    main()
