"""Audits the same rows in the layouts that corpora come in, and compares the reports.

    python benchmarks/layouts.py --data FOLDER --only NAME ... [--rows N]

The first rows of every corpus (Parquet, in its own columns) are read once, and each record is
written again in eight layouts. Every one is audited; the table shows how it was recognised, its
records, and how far the scores of all checks, the risk and the flagged rows are from those of the
plain pairs. The rows stand in the same order everywhere, so that all that is drawn is the same.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from environment import heading

import synflaw_audit
from synflaw_audit.findings.report import Report
from synflaw_audit.reading import open_source

Pairs = Sequence[tuple[str, str]]


def pairs_of(corpus: Path, rows: int) -> Pairs:
    """The first records of a corpus that have a question, without what one layout or another eats.

    Those are blanks around a text, which a chat template takes away, and marks of reasoning.
    """
    records = (r for batch in open_source(str(corpus)).batches() for r in batch.to_pylist())
    pairs = ((r["question"].strip(), r["answer"].strip()) for r in records if not r["reasoning"])
    return list(islice((pair for pair in pairs if all(pair)), rows))


def _lines(path: Path, rows: Iterator[object]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _messages(pair: tuple[str, str], *keys: str) -> list[dict[str, object]]:
    role, content, user, assistant = keys
    return [{role: user, content: pair[0]}, {role: assistant, content: pair[1]}]


def plain(pairs: Pairs, folder: Path) -> Path:
    path = folder / "pairs.jsonl"
    _lines(path, ({"question": q, "answer": a} for q, a in pairs))
    return path


def openai(pairs: Pairs, folder: Path) -> Path:
    path = folder / "messages.jsonl"
    keys = ("role", "content", "user", "assistant")
    _lines(path, ({"messages": _messages(pair, *keys)} for pair in pairs))
    return path


def sharegpt(pairs: Pairs, folder: Path) -> Path:
    path = folder / "sharegpt.json"
    rows = [{"conversations": _messages(pair, "from", "value", "human", "gpt")} for pair in pairs]
    path.write_text(json.dumps(rows, indent=1))
    return path


def alpaca(pairs: Pairs, folder: Path) -> Path:
    path = folder / "alpaca.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["instruction", "input", "output"])
        writer.writerows([q, "", a] for q, a in pairs)
    return path


def struct_of_lists(pairs: Pairs, folder: Path) -> Path:
    path = folder / "structs.parquet"
    rows = [{"messages": {"role": ["user", "assistant"], "content": [*pair]}} for pair in pairs]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def chatml(pairs: Pairs, folder: Path) -> Path:
    path = folder / "chatml.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for q, a in pairs:
            text = f"<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n{a}<|im_end|>\n"
            file.write(json.dumps({"text": text}) + "\n")
    return path


def trl(pairs: Pairs, folder: Path) -> Path:
    path = folder / "trl.jsonl"
    sides = (_messages(pair, "role", "content", "user", "assistant") for pair in pairs)
    _lines(path, ({"prompt": both[:1], "completion": both[1:]} for both in sides))
    return path


def gemini(pairs: Pairs, folder: Path) -> Path:
    path = folder / "gemini.jsonl"
    roles = ("user", "model")
    _lines(
        path,
        (
            {
                "contents": [
                    {"role": role, "parts": [{"text": text}]}
                    for role, text in zip(roles, pair, strict=True)
                ]
            }
            for pair in pairs
        ),
    )
    return path


def nested(pairs: Pairs, folder: Path) -> Path:
    path = folder / "nested.arrow"
    rows = [{"id": n, "data": {"prompt": q, "response": a}} for n, (q, a) in enumerate(pairs)]
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)
    return path


LAYOUTS: tuple[Callable[[Pairs, Path], Path], ...] = (
    *(openai, sharegpt, alpaca, struct_of_lists, chatml, trl, gemini, nested),
)


def compared(name: str, ours: Report, report: Report) -> str:
    """One line of the table."""
    scores = {finding.name: finding for finding in ours.checks}
    apart = max(abs(f.score - scores[f.name].score) for f in report.checks)
    verdicts = sum(f.verdict != scores[f.name].verdict for f in report.checks)
    flagged = _flagged(ours) ^ _flagged(report)
    (read,) = report.dataset.schema.values()
    return (
        f"| {name} | {read} | {report.dataset.records:,} | {report.verdict} "
        f"| {report.risk.score:.4f} | {apart:.6f} | {verdicts} | {len(flagged):,} |"
    )


def _flagged(report: Report) -> set[tuple[int, str]]:
    rows = report.flagged()
    return set(zip(rows["row"], rows["answer"], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="A folder with the corpora.")
    parser.add_argument("--only", nargs="+", required=True, help="These corpora.")
    parser.add_argument("--rows", type=int, default=3000, help="So many rows of each.")
    options = parser.parse_args()
    print("# The same rows in eight layouts\n")
    names = " ".join(options.only)
    print(heading(f"benchmarks/layouts.py --data FOLDER --only {names} --rows {options.rows}"))
    print(
        "`apart` is the largest difference of any check's score from that of the plain pairs; "
        "beside it, how many checks judge otherwise, and how many rows only one of both flags.\n"
    )
    for name in options.only:
        pairs = pairs_of(options.data / f"{name}.parquet", options.rows)
        print(f"## {name}, {len(pairs):,} rows\n")
        print("| layout | read as | records | verdict | risk | apart | verdicts | flags |")
        print("|---|---|---|---|---|---|---|---|")
        with tempfile.TemporaryDirectory() as folder:
            ours = synflaw_audit.audit(str(plain(pairs, Path(folder))))
            for layout in (plain, *LAYOUTS):
                path = layout(pairs, Path(folder))
                line = compared(path.name, ours, synflaw_audit.audit(str(path)))
                print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
