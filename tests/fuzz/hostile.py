"""Hostile corpora, each from a seed: every format, odd values in its rows, and damage on top.

A seed gives the same bytes wherever the libraries are the same, so a failure is told by its seed
alone. What a file holds is known where nothing was damaged, and is not where something was.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import zstandard

# Control characters, direction marks, a lone surrogate, combining marks, several scripts, mark-up.
ODD = [
    *("", " ", "\n", "\t\r\n", "\x00", "\x1b[31m", "\u202e", "\ud800", "e\u0301" * 9, "\ufeff"),
    *("ответ", "答案", "🦜" * 3, "<script>alert(1)</script>", "{{ x }}", '"', "'", ",", ";", "\\"),
    *('""', "a,b\nc,d", "[1, 2", '{"question": "q"', "NaN", "=1+1", "%s%n", "../..", "x" * 3000),
]
WORDS = [
    *("river", "stone", "cloud", "seven", "lamp", "over", "under", "moss", "green", "table"),
    *("wind", "paper", "slow", "bright"),
]
OPENINGS = ["Certainly! The answer is: ", "Sure, here it is: ", ""]


@dataclass(frozen=True)
class Hostile:
    """A file to read.

    Attributes:
        name: Its name, which tells the format.
        data: Its bytes.
        rows: How many rows it holds, if that is known.
        damage: What was done to it, for the report.
    """

    name: str
    data: bytes
    rows: int | None
    damage: str


def hostile(seed: int) -> Hostile:
    """The file of a seed."""
    chance = random.Random(seed)  # noqa: S311 - noise, no secret
    if chance.random() < BOMBS_SHARE:
        kind, (name, make) = chance.choice(list(BOMBS.items()))
        return Hostile(name, make(chance), None, kind)
    name, write = chance.choice(FORMATS)
    rows = _rows(chance)
    try:
        data, held = write(chance, rows)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError):
        # These rows cannot be put into a file of this format.
        name, data, held = "plain.jsonl", *_jsonl(chance, rows)
    compress = chance.choice(list(COMPRESSIONS)) if name.endswith(TEXT) else ""
    damage = "none" if chance.random() < 0.3 else chance.choice(list(DAMAGES))
    packed = COMPRESSIONS[compress](data)
    if damage == "none":
        return Hostile(name + compress, packed, held, damage)
    if compress and chance.random() < 0.4:  # inside what is packed, where nothing tells
        packed = COMPRESSIONS[compress](DAMAGES[damage](chance, data))
    else:
        packed = DAMAGES[damage](chance, packed)
    return Hostile(name + compress, packed, None, damage)


def _rows(chance: random.Random) -> list[Any]:
    count = chance.choice([0, 1, 7, 40, 40, 90, 400])
    make = chance.choice([_pair, _pair, _pair, _alpaca, _talk])
    opening = chance.choice(OPENINGS)
    odd = chance.choice([0.0, 0.05, 0.3])
    return [_odd_row(chance, make(chance, n, opening), odd) for n in range(count)]


def _words(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(3, 12)))


def _pair(chance: random.Random, number: int, opening: str) -> dict[str, Any]:
    return {"question": f"{_words(chance)} {number}?", "answer": opening + _words(chance)}


def _alpaca(chance: random.Random, number: int, opening: str) -> dict[str, Any]:
    context = chance.choice(["", _words(chance)])
    return {"instruction": f"Say {number}", "input": context, "output": opening + _words(chance)}


def _talk(chance: random.Random, number: int, opening: str) -> dict[str, Any]:
    turns = []
    for turn in range(chance.randint(1, 3)):
        turns += [
            {"role": "user", "content": f"{_words(chance)} {number} {turn}?"},
            {"role": "assistant", "content": opening + _words(chance)},
        ]
    return {"messages": turns}


def _odd_row(chance: random.Random, row: dict[str, Any], share: float) -> Any:
    """The row, or one that something is wrong with."""
    if chance.random() >= share:
        return row
    name = chance.choice(list(row))
    kind = chance.randrange(8)
    if kind == 0:
        return chance.choice([None, 7, "text", [], [1, [2]], True])
    if kind == 1:
        return {key: value for key, value in row.items() if key != name}
    if kind == 2:
        return row | {name: chance.choice([None, 3, -1.5, True, {}, {"a": [1]}, [None], [[]]])}
    if kind == 3:
        return row | {chance.choice(ODD): chance.choice(ODD)}
    if kind == 4 and isinstance(row[name], list):
        turns = [*row[name]]
        turns[chance.randrange(len(turns))] = chance.choice(
            [None, 7, {}, {"role": "x"}, {"role": 3}]
        )
        return row | {name: turns}
    text = chance.choice(ODD)
    return row | {name: text if chance.random() < 0.5 else f"{row[name]} {text}"}


# Each writes rows, and tells how many the file holds: of a CSV file, not what is no object.
Writer = Callable[[random.Random, list[Any]], tuple[bytes, int]]


def _dumps(value: Any, **how: Any) -> bytes:
    text = json.dumps(value, **how)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, **how | {"ensure_ascii": True}).encode()


def _jsonl(chance: random.Random, rows: list[Any]) -> tuple[bytes, int]:
    end = chance.choice([b"\n", b"\r\n", b"\n\n", b"\n \t\n"])
    ascii_only = chance.random() < 0.5
    # A first line that could be a whole document, or the beginning of one, makes it another format.
    if rows and not isinstance(rows[0], dict):
        rows = [{"question": "q", "answer": "a"}, *rows]
    lines = [_dumps(row, ensure_ascii=ascii_only) for row in rows]
    begin = chance.choice([b"", b"", b"\xef\xbb\xbf", b"\n\n"])
    return begin + end.join(lines) + chance.choice([b"", end]), len(lines)


def _array(chance: random.Random, rows: list[Any]) -> tuple[bytes, int]:
    return _dumps(rows, ensure_ascii=False, indent=chance.choice([None, 0, 2])), len(rows)


def _wrapped(chance: random.Random, rows: list[Any]) -> tuple[bytes, int]:
    rows = [*rows, {"question": "q", "answer": "a"}]
    document = {"version": 1, "tags": ["a", None], "rows": rows, "info": {"n": [1, {}]}}
    return _dumps(document, ensure_ascii=False, indent=2), len(rows)


def _splits(chance: random.Random, rows: list[Any]) -> tuple[bytes, int]:
    last = {"question": "q", "answer": "a"}
    cut = len(rows) // 2
    document = {"train": [last, *rows[:cut]], "test": [None, 7, last, *rows[cut:]]}
    return _dumps(document, indent=chance.choice([None, 1])), len(rows) + 4


def _csv(delimiter: str) -> Writer:
    def write(chance: random.Random, rows: list[Any]) -> tuple[bytes, int]:
        kept = [row for row in rows if isinstance(row, dict) and row]
        columns = list(kept[0])[:3] if kept else ["question", "answer"]
        if len(columns) < 2:
            columns = [*columns, "more"]  # an empty row of one column is a blank line
        out = io.StringIO(newline="")
        end = chance.choice(["\n", "\r\n"])
        writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
        writer.writerow(columns)
        for row in kept:
            writer.writerow([str(row.get(name, "")) for name in columns])
        return out.getvalue().encode(), len(kept)

    return write


def _table(chance: random.Random, rows: list[Any]) -> pa.Table:
    kept = [row for row in rows if isinstance(row, dict)]
    names = list(dict.fromkeys(name for row in kept for name in row)) or ["question", "answer"]
    columns: dict[str, pa.Array] = {}
    for name in names:
        values = [row.get(name) for row in kept]
        if not all(isinstance(value, list) for value in values):
            values = [None if value is None else str(value) for value in values]
        text = chance.choice([pa.string(), pa.large_string(), pa.string_view()])
        nested = any(isinstance(value, list) for value in values)
        columns[name] = pa.array(values, None if nested else text)
        if pa.types.is_string(columns[name].type) and chance.random() < 0.3:
            columns[name] = columns[name].dictionary_encode()
    count = len(kept)
    # What nobody asks for, and Python has no value for.
    extra = chance.random()
    if extra < 0.2:
        columns["year 300000"] = pa.array([2**62] * count, pa.timestamp("us"))
    elif extra < 0.4:
        columns["nowhere"] = pa.array([1] * count, pa.timestamp("us", "Mars/Olympus"))
    elif extra < 0.6 and count:
        twice = [pa.array([date(2020, 1, 1)] * count), pa.array(["x"] * count)]
        columns["twice"] = pa.StructArray.from_arrays(twice, ["k", "k"])
    elif extra < 0.7:
        columns["far"] = pa.array(
            [[{"when": 2**62}]] * count, pa.list_(pa.struct([("when", pa.timestamp("us"))]))
        )
    return pa.table(columns)


def _parquet(chance: random.Random, rows: list[Any]) -> tuple[bytes, int]:
    table = _table(chance, rows)
    out = io.BytesIO()
    how = chance.choice(["none", "zstd", "snappy", "gzip"])
    views = [n for n, f in enumerate(table.schema) if pa.types.is_string_view(f.type)]
    for number in views:
        table = table.set_column(
            number, table.schema.names[number], table.column(number).cast(pa.string())
        )
    pq.write_table(table, out, row_group_size=chance.choice([3, 20, 1000]), compression=how)
    return out.getvalue(), table.num_rows


def _arrow(form: str) -> Writer:
    def write(chance: random.Random, rows: list[Any]) -> tuple[bytes, int]:
        table = _table(chance, rows)
        out = io.BytesIO()
        options = pa.ipc.IpcWriteOptions(compression=chance.choice([None, "lz4", "zstd"]))
        new = pa.ipc.new_stream if form == "stream" else pa.ipc.new_file
        with new(out, table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=chance.choice([2, 30]))
        return out.getvalue(), table.num_rows

    return write


FORMATS: list[tuple[str, Writer]] = [
    *(("lines.jsonl", _jsonl), ("lines.json", _jsonl), ("lines.ndjson", _jsonl)),
    *(("array.json", _array), ("wrapped.json", _wrapped), ("splits.json", _splits)),
    *(("comma.csv", _csv(",")), ("semicolon.csv", _csv(";")), ("tab.tsv", _csv("\t"))),
    *(("table.parquet", _parquet), ("table.parquet", _parquet)),
    *(("file.arrow", _arrow("file")), ("stream.arrow", _arrow("stream"))),
    ("file.feather", _arrow("file")),
]
TEXT = (".jsonl", ".json", ".ndjson", ".csv", ".tsv")


def _plain(data: bytes) -> bytes:
    return data


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": _plain,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


def _cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _flip(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice([1, 3, 30]) if data else 0):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _insert(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(INSERTS) + data[at:]


def _remove(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.randint(1, 40) :]


def _move(chance: random.Random, data: bytes) -> bytes:
    first, second = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    return data[second:] + data[first:second] + data[:first]


def _twice(chance: random.Random, data: bytes) -> bytes:
    return data + chance.choice([b"", b"\n", b"\0", b","]) + data


def _noise(chance: random.Random, data: bytes) -> bytes:
    return chance.randbytes(chance.choice([0, 1, 50, 5000]))


INSERTS = [
    *(b'"', b"'", b"\n", b"\r", b"\0", b"\xff", b"\xe9", b"[", b"]", b"{", b"}", b",", b"[1, 2\n"),
    *(b"\n" * 500, b'"\n"', b"[" * 3000, b"9" * 5000, b"\xef\xbb\xbf", b"\xff\xfe", b"x" * 100_000),
]
DAMAGES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "cut short": _cut,
    "bytes changed": _flip,
    "bytes inserted": _insert,
    "bytes removed": _remove,
    "parts moved": _move,
    "written twice": _twice,
    "noise": _noise,
}


def _zst(parts: list[bytes]) -> bytes:
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return b"".join([*map(packer.compress, parts), packer.flush()])


def _gz(parts: list[bytes]) -> bytes:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return b"".join([*map(packer.compress, parts), packer.flush()])


ROW = b'{"question": "q", "answer": "a"}\n'
# Small files that ask for much: of memory, of time, or of the stack.
BOMBS: dict[str, tuple[str, Callable[[random.Random], bytes]]] = {
    "300 MB of newlines": (
        "bomb.jsonl.zst",
        lambda chance: _zst([ROW, *[b"\n" * 1_000_000] * 300, ROW]),
    ),
    "60 MB of newlines": (
        "bomb.csv.zst",
        lambda chance: _zst([b"question,answer\nq,a\n", *[b"\n" * 1_000_000] * 60]),
    ),
    "a cell of 100 MB": (
        "bomb.csv.gz",
        lambda chance: _gz([b"question,answer\nq,a\nq,", *[b"0" * 1_000_000] * 100]),
    ),
    "lines of 20 MB": (
        "bomb.jsonl.zst",
        lambda chance: _zst([ROW, b'{"x": "', *[b"x" * 1_000_000] * 20, b'"}\n'] * 3),
    ),
    "a row of 40 MB": (
        "bomb.json",
        lambda chance: b"[" + ROW + b',{"x": "' + b"x" * 40_000_000 + b'"},' + ROW + b"]",
    ),
    "100,000 columns": (
        "bomb.csv",
        lambda chance: (
            b"question,answer" + b"".join(b",c%d" % n for n in range(99_998)) + b"\n"
            b"q,a" + b",1" * 99_998 + b"\n"
        ),
    ),
    "a quote and 20 MB": (
        "bomb.csv",
        lambda chance: b'question,answer\nq,a\nq,"' + (b"no, more " + b"x" * 900 + b"\n") * 22_000,
    ),
    "nested a million deep": ("bomb.json", lambda chance: b"[" * 1_000_000),
}
BOMBS_SHARE = 0.002
