from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from floor import floor
from generated_corpora import CHUNK, CLOSING, OPENING, SHARES, SLOT, Generator, write
from growth import exponent, growth, steps
from resources import cost_of
from throughput import Measured, Results, flat, mix
from throughput_tables import render


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(7)


@pytest.fixture(scope="module")
def rows(generator: Generator) -> list[dict[str, str]]:
    return [row for batch in generator.tables(2 * CHUNK) for row in batch.to_pylist()]


def test_a_seed_gives_the_same_rows_and_another_seed_others(generator: Generator) -> None:
    again = Generator(7).chunk(3)
    assert again.equals(generator.chunk(3))
    assert not again.column("answer").equals(Generator(8).chunk(3).column("answer"))


def test_a_small_corpus_is_the_head_of_a_large_one(tmp_path: Path, generator: Generator) -> None:
    write(300, tmp_path / "small.jsonl", 7)
    lines = (tmp_path / "small.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line) for line in lines] == generator.chunk(0).slice(0, 300).to_pylist()


def test_both_formats_hold_the_same_rows(tmp_path: Path) -> None:
    write(CHUNK + 5, tmp_path / "c.jsonl", 1)
    write(CHUNK + 5, tmp_path / "c.parquet", 1)
    table = pq.read_table(tmp_path / "c.parquet")
    lines = (tmp_path / "c.jsonl").read_bytes().splitlines()
    assert table.num_rows == CHUNK + 5
    assert table.to_pylist() == [orjson.loads(line) for line in lines]


def test_any_number_of_rows_streams(generator: Generator) -> None:
    batches: Iterator[pa.RecordBatch] = generator.tables(10**9)
    assert [batch.num_rows for batch in islice(batches, 2)] == [CHUNK, CHUNK]


@pytest.mark.parametrize("kind", SHARES)
def test_each_kind_has_the_share_it_says(rows: list[dict[str, str]], kind: str) -> None:
    share = sum(row["kind"] == kind for row in rows) / len(rows)
    assert share == pytest.approx(SHARES[kind], abs=1 / CHUNK)


def test_formats_are_on_their_rows_and_on_no_plain_ones(rows: list[dict[str, str]]) -> None:
    def holding(text: str) -> set[str]:
        return {row["kind"] for row in rows if text in row["answer"]}

    for kind, text in (("opening", OPENING), ("closing", CLOSING), ("slot", SLOT)):
        assert holding(text) == {kind}
        assert all(text in row["answer"] for row in rows if row["kind"] == kind)
    assert all(row["answer"].startswith("Step 1: ") for row in rows if row["kind"] == "steps")


def test_the_slot_holds_a_word_of_the_question(rows: list[dict[str, str]]) -> None:
    for row in rows:
        if row["kind"] == "slot":
            topic = row["answer"].removeprefix(f"{SLOT} ").partition(":")[0]
            assert topic.lower() in row["question"].lower()


def test_exact_copies_are_copies(rows: list[dict[str, str]]) -> None:
    # Of a row nearby, or of one answer of the stock that other rows copy too.
    others = {row["answer"] for row in rows if row["kind"] == "plain"}
    copies = [row["answer"] for row in rows if row["kind"] == "exact"]
    nearby = sum(answer in others for answer in copies)
    assert nearby == pytest.approx(len(copies) / 2, abs=2)
    assert len(set(copies)) < len(copies) / 2 + 80


def test_near_copies_share_most_shingles_with_another_row(rows: list[dict[str, str]]) -> None:
    """Jaccard similarity of five-word shingles, which near-duplicate searches cut at 0.7."""

    def shingles(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}

    holders = defaultdict(list)
    for number, row in enumerate(rows[:CHUNK]):
        for shingle in shingles(row["answer"]):
            holders[shingle].append(number)
    similar = []
    for number, row in enumerate(rows[:CHUNK]):
        if row["kind"] == "near":
            ours = shingles(row["answer"])
            common = Counter(n for shingle in ours for n in holders[shingle] if n != number)
            theirs = [shingles(rows[n]["answer"]) for n, _ in common.most_common(2)]
            assert ours not in theirs
            similar.append(max((len(ours & t) / len(ours | t) for t in theirs), default=0))
    assert np.mean(np.array(similar) >= 0.7) > 0.6
    assert np.mean(np.array(similar) >= 0.5) > 0.9


def test_texts_are_whole(rows: list[dict[str, str]]) -> None:
    for row in rows:
        assert row["question"].endswith("?")
        assert row["question"] == row["question"].strip()
        assert row["answer"] == row["answer"].strip() != ""


def test_lengths_have_a_long_tail(rows: list[dict[str, str]]) -> None:
    words = [len(row["answer"].split()) for row in rows]
    assert 40 < np.median(words) < 65
    assert np.percentile(words, 99) > 300


def test_the_floor_counts_what_it_did(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        orjson.dumps({"question": "Who is it?", "answer": "It's né — one, two"}) + b"\n"
    )
    found = floor(path)
    assert found["rows"] == 1
    assert found["words"] == 3 + 5
    assert found["bytes"] == path.stat().st_size
    assert found["text_bytes"] == len("Who is it?\nIt's né — one, two".encode())
    assert found["cpu"] == sum(found[part] for part in ("parse", "split", "compress"))


def test_cost_counts_children_and_a_failure_is_an_error() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}]); print('x')"
    cost = cost_of([sys.executable, "-c", code])
    assert cost.cpu >= 0.3
    assert cost.output == "x\n"
    with pytest.raises(subprocess.CalledProcessError) as error:
        cost_of([sys.executable, "-c", "import sys; sys.exit('no such thing')"])
    assert error.value.stderr == "no such thing\n"


def test_peak_memory_is_that_of_the_command_alone() -> None:
    ours = bytearray(300_000_000)  # whoever starts a command does not count
    small = cost_of([sys.executable, "-c", "pass"]).peak
    large = cost_of([sys.executable, "-c", "bytearray(b'x' * 200_000_000)"]).peak
    assert len(ours) > 1e6 * small
    assert small + 150 < large < 600


def test_growth_finds_fixed_cost_and_exponent() -> None:
    rows = [1e4, 1e5, 1e6, 1e7]
    seconds = [2 + 1e-4 * n**1.1 for n in rows]
    fit = growth(rows, seconds)
    assert (fit.fixed, fit.exponent) == pytest.approx((2, 1.1), rel=0.01)
    assert exponent(rows, [3e-5 * n for n in rows]) == pytest.approx(1)
    assert steps([10, 100], [1, 100]) == pytest.approx([2])
    with pytest.raises(ValueError, match="four or more"):
        growth([1, 2, 3], [1, 2, 3])


def test_the_mix_takes_every_file_with_questions_and_answers(tmp_path: Path) -> None:
    for name in ("a", "b"):
        values = [f"{name}{n}" for n in range(3)]
        pq.write_table(
            pa.table({"question": values, "answer": [*values[:2], None]}),
            tmp_path / f"{name}.parquet",
        )
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "c.parquet")
    assert sorted(mix(tmp_path)) == [(v, v) for v in ("a0", "a1", "b0", "b1")]


def test_results_say_what_failed(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write(50, path)
    once = cost_of([sys.executable, "-c", "pass"])
    found = floor(path)
    seconds = flat({"read": 1.5, "measure": {"compression": 0.25}, "total": 2.0})
    audit = Measured("generated, jsonl", True, 50, once, found, [found["cpu"]], seconds)
    text = render(Results("`command`", 1.0, [audit], audit, {"drain3": "No module named 'drain3'"}))
    assert "| measure.compression | 0.25 |" in text
    assert "drain3 did not run: `No module named 'drain3'`" in text
