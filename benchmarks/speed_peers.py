"""Runs one library that others use, over the answers of a JSONL corpus, and says what it cost.

    PEERS_PYTHON benchmarks/speed_peers.py PEER CORPUS.jsonl [--rows N]

This script is run by the Python of an environment that has the peers and not this project
(``pip install diversity spacy openai datasketch drain3 py-data-juicer``: diversity imports two that
it does not ask for); ``throughput.py --peers-python`` does it. It prints JSON: CPU and wall-clock
seconds of the work alone, without starting Python, importing and reading the rows; the rows; the
library's version; what was done. Each function imports its library, prepares, and returns the work.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

Work = Callable[[], Any]

# Quadratic: it adds lists to lists.
SELF_REPETITION_ROWS = 8_000


def diversity_gzip(answers: list[str]) -> Work:
    """diversity: compression_ratio with gzip."""
    from diversity import compression_ratio

    return lambda: compression_ratio(answers, "gzip")


def diversity_ngrams(answers: list[str]) -> Work:
    """diversity: ngram_diversity_score, n-grams up to 4."""
    from diversity import ngram_diversity_score

    return lambda: ngram_diversity_score(answers, 4)


def diversity_self_repetition(answers: list[str]) -> Work:
    """diversity: self_repetition_score, 4-grams."""
    from diversity.self_repetition import self_repetition_score

    return lambda: self_repetition_score(answers, verbose=False)


def datasketch_minhash(answers: list[str]) -> Work:
    """datasketch: MinHash of five-word shingles, 128 permutations; LSH at 0.7 asked for each."""
    from datasketch import MinHash, MinHashLSH

    def shingles(text: str) -> list[bytes]:
        words = re.findall(r"\w+", text.lower())
        grams = (" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4)))
        return [gram.encode() for gram in grams]

    def work() -> int:
        index = MinHashLSH(threshold=0.7, num_perm=128)
        near = 0
        for number, minhash in enumerate(MinHash.generator(map(shingles, answers), num_perm=128)):
            near += bool(index.query(minhash))
            index.insert(str(number), minhash, check_duplication=False)
        return near

    return work


def drain3(answers: list[str]) -> Work:
    """Drain3: TemplateMiner with its defaults, an answer a log line."""
    from drain3 import TemplateMiner
    from drain3.template_miner_config import TemplateMinerConfig

    miner = TemplateMiner(config=TemplateMinerConfig())

    def work() -> int:
        for answer in answers:
            miner.add_log_message(" ".join(answer.split()))
        return len(miner.drain.clusters)

    return work


def data_juicer(answers: list[str]) -> Work:
    """Data-Juicer, one process: filters on words, lines, letters, special characters, repetition.

    Six: alphanumeric, average_line_length, character_repetition, special_characters,
    word_repetition and words_num.
    """
    from data_juicer.core.data import NestedDataset
    from data_juicer.ops.filter.alphanumeric_filter import AlphanumericFilter
    from data_juicer.ops.filter.average_line_length_filter import AverageLineLengthFilter
    from data_juicer.ops.filter.character_repetition_filter import CharacterRepetitionFilter
    from data_juicer.ops.filter.special_characters_filter import SpecialCharactersFilter
    from data_juicer.ops.filter.word_repetition_filter import WordRepetitionFilter
    from data_juicer.ops.filter.words_num_filter import WordsNumFilter

    filters = [
        made(num_proc=1)
        for made in (
            AlphanumericFilter,
            AverageLineLengthFilter,
            CharacterRepetitionFilter,
            SpecialCharactersFilter,
            WordRepetitionFilter,
            WordsNumFilter,
        )
    ]
    rows = NestedDataset.from_dict({"text": answers})

    def work() -> int:
        left = rows
        for each in filters:
            left = each.run(left)
        return len(left)

    return work


# By name, the function, the package whose version counts, and the most rows it is given.
PEERS: dict[str, tuple[Callable[[list[str]], Work], str, int]] = {
    "diversity-gzip": (diversity_gzip, "diversity", sys.maxsize),
    "diversity-ngrams": (diversity_ngrams, "diversity", sys.maxsize),
    "diversity-self-repetition": (
        diversity_self_repetition,
        "diversity",
        SELF_REPETITION_ROWS,
    ),
    "datasketch-minhash": (datasketch_minhash, "datasketch", sys.maxsize),
    "drain3": (drain3, "drain3", sys.maxsize),
    "data-juicer-filters": (data_juicer, "py-data-juicer", sys.maxsize),
}


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rows", type=int, default=sys.maxsize)
    options = parser.parse_args()
    prepare, package, most = PEERS[options.peer]
    with options.corpus.open("rb") as file:
        lines = islice(file, min(options.rows, most))
        answers = [json.loads(line)["answer"] for line in lines]
    work = prepare(answers)
    before, start = cpu(), time.perf_counter()
    result = work()
    wall = time.perf_counter() - start
    found = {
        "cpu": cpu() - before,
        "wall": wall,
        "rows": len(answers),
        "version": version(package),
        "did": (prepare.__doc__ or "").partition("\n")[0],
        "result": result,
    }
    # Some libraries write to stdout: ours is the last line.
    print(f"\n{json.dumps(found)}")


if __name__ == "__main__":
    main()
