"""Write the sample corpora beside this file. Run from anywhere: python sample_data/generate.py."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from synflaw_audit.lab.corpora import Row, natural_corpus, templated_corpus
from synflaw_audit.lab.world import World

SEED = 20240611
ROWS = 1500


def lines(rows: Iterable[Row]) -> str:
    """Return ``rows`` as JSON lines with the fields question and answer."""
    return "".join(
        json.dumps({"question": row.question, "answer": row.answer}, ensure_ascii=False) + "\n"
        for row in rows
    )


def corpora() -> dict[str, str]:
    """Return the content of each sample corpus by file name."""
    world = World.build(SEED)
    return {
        "templated.jsonl": lines(templated_corpus(world, ROWS, SEED)),
        "natural.jsonl": lines(natural_corpus(world, ROWS, SEED)),
    }


def main() -> None:
    """Write every corpus, replacing what is there."""
    for name, content in corpora().items():
        (Path(__file__).parent / name).write_text(content, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
