r"""The floor: what any audit must do with the bytes of a JSONL corpus, in one process, one thread.

    python benchmarks/floor.py CORPUS.jsonl

Every line is parsed by orjson, whole. Then of each row the texts of ``question`` and ``answer`` are
split by the regular expression ``\w+``, and the UTF-8 bytes of the same two texts are compressed
by zstd at level 3 in one stream. Prints CPU seconds of each as JSON; starting Python and the
imports are not counted.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from itertools import islice
from pathlib import Path

import orjson
import zstandard

BLOCK = 10_000  # lines in memory at once


def floor(path: Path) -> dict[str, float]:
    """CPU seconds of ``parse`` (with reading), ``split``, ``compress`` and all (``cpu``).

    Beside them ``rows``, ``words``, the bytes of the lines (``bytes``), of the two texts
    (``text_bytes``), and of these compressed (``compressed_bytes``).
    """
    find = re.compile(r"\w+").findall
    stream = zstandard.ZstdCompressor(level=3).compressobj()
    found = dict.fromkeys(("parse", "split", "compress"), 0.0)
    counts = dict.fromkeys(("rows", "words", "text_bytes", "compressed_bytes"), 0)
    with path.open("rb") as file:
        while True:
            start = time.process_time()
            rows = [orjson.loads(line) for line in islice(file, BLOCK)]
            parsed = time.process_time()
            texts = [row[name] for row in rows for name in ("question", "answer")]
            counts["words"] += sum([len(find(text)) for text in texts])
            split = time.process_time()
            raw = "\n".join(texts).encode()
            counts["compressed_bytes"] += len(stream.compress(raw))
            end = time.process_time()
            found["parse"] += parsed - start
            found["split"] += split - parsed
            found["compress"] += end - split
            counts["rows"] += len(rows)
            counts["text_bytes"] += len(raw)
            if not rows:
                break
    counts["compressed_bytes"] += len(stream.flush())
    return {**found, "cpu": sum(found.values()), "bytes": path.stat().st_size, **counts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    print(json.dumps(floor(parser.parse_args().corpus)))


if __name__ == "__main__":
    main()
