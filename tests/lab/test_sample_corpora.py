import json
import re
from collections import Counter
from pathlib import Path

import pytest

from synflaw_audit.lab.corpora import FORMAT_MARKS, sample_corpora

SAMPLES = Path(__file__).parents[2] / "sample_data"
WORD = re.compile(r"\w+|[^\w\s]")


def answers(name: str) -> list[str]:
    lines = (SAMPLES / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["answer"] for line in lines]


def shares(rows: list[str], words: int) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for row in rows:
        tokens = WORD.findall(row.lower())
        counts.update({" ".join(tokens[i : i + words]) for i in range(len(tokens) - words + 1)})
    return {phrase: count / len(rows) for phrase, count in counts.items()}


@pytest.mark.parametrize("name", ["templated.jsonl", "natural.jsonl"])
def test_the_script_regenerates_the_committed_corpora_byte_for_byte(name: str) -> None:
    assert sample_corpora()[name].encode() == (SAMPLES / name).read_bytes()


@pytest.mark.parametrize("name", ["templated.jsonl", "natural.jsonl"])
def test_a_corpus_holds_at_least_a_thousand_complete_rows(name: str) -> None:
    rows = [json.loads(line) for line in (SAMPLES / name).read_text("utf-8").splitlines()]
    assert len(rows) >= 1000
    assert all(row["question"].strip() and row["answer"].strip() for row in rows)


def test_no_phrase_recurs_in_one_percent_of_the_natural_answers() -> None:
    assert max(shares(answers("natural.jsonl"), 5).values()) <= 0.01


def test_natural_answers_differ_in_length_and_opening() -> None:
    rows = answers("natural.jsonl")
    openings = Counter(" ".join(row.split()[:3]).lower() for row in rows)
    lengths = {len(row.split()) for row in rows}
    assert openings.most_common(1)[0][1] / len(rows) <= 0.01
    assert len(lengths) > 45
    assert len(set(rows)) / len(rows) > 0.97


def test_every_templated_answer_and_no_natural_one_carries_a_mark_of_the_formats() -> None:
    def marked(answer: str) -> bool:
        return any(mark in answer for mark in FORMAT_MARKS)

    assert all(map(marked, answers("templated.jsonl")))
    assert not any(map(marked, answers("natural.jsonl")))
