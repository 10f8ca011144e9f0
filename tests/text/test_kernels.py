"""The compiled loops do what their plain versions do."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import (
    SlotRow,
    beyond_of,
    holders_of,
    longer,
    number_places_of,
    occurrences_of,
    settled_of,
    spans_in,
    tokens_of,
    walk_of,
)

from synflaw_audit.text.kernels import compiled, slots
from synflaw_audit.text.kernels import phrases as kernels
from synflaw_audit.text.kernels.text import digests
from synflaw_audit.text.templates import spans
from synflaw_audit.text.tokens import tokenize, utf8

MARKS = st.sampled_from("aB1 .,'\n\t\r#-_!?\u2019\u2026\u4e00\u3042\u0e01\u0301\u00e9\u2028\u200b")
CHARACTERS = MARKS | st.characters(exclude_categories=["Cs"])
ABBREVIATED = st.sampled_from(["Dr.", "No. 7", "no.", "J. R.", "e.g.", "U.S. ", "Ph.D.", "\u212a."])
TEXTS = st.lists(st.lists(CHARACTERS | ABBREVIATED, max_size=40).map("".join), max_size=6)


@given(TEXTS)
def test_tokens(texts: list[str]) -> None:
    tokens = tokenize(pa.array(texts, pa.string()))
    columns = (tokens.ids, tokens.start, tokens.end, tokens.number, tokens.breaks, tokens.stops)
    told = list(zip(*(column.tolist() for column in columns), strict=True))
    assert told == [token for text in texts for token in tokens_of(text)]
    rows = [row for row, text in enumerate(texts) for _ in tokens_of(text)]
    assert tokens.row.tolist() == rows
    assert np.diff(tokens.offsets).tolist() == [len(tokens_of(text)) for text in texts]


@given(TEXTS.flatmap(lambda texts: st.tuples(st.just(texts), st.integers(0, len(texts)))))
def test_a_slice_of_a_column_is_read_from_its_own_bytes(case: tuple[list[str], int]) -> None:
    texts, first = case
    cut, whole = pa.array(texts, pa.string())[first:], pa.array(texts[first:], pa.string())
    assert tokenize(cut).ids.tolist() == tokenize(whole).ids.tolist()


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_digests_are_xxh64(values: list[bytes]) -> None:
    raw = np.frombuffer(b"".join(values), dtype=np.uint8)
    bounds = np.cumsum([0, *map(len, values)])
    told = digests(raw, bounds).tolist()
    assert told == [xxhash.xxh64_intdigest(value) for value in values]


@compiled
def looked_up(table: Any, keys: Any, wanted: Any) -> Any:
    """Of loops that only loops can call."""
    found = np.empty(len(wanted), np.int64)
    for i in range(len(wanted)):
        found[i] = kernels.found_in(table, keys, wanted[i])
    return found


@given(st.lists(st.integers(0, 2000), max_size=3000))
def test_grouping(values: list[int]) -> None:
    # Multiples of a large power of two all fall into one slot of a small table.
    keys = np.array(values, dtype=np.uint64) << np.uint64(40)
    distinct, group = kernels.grouped(keys)
    assert distinct.tolist() == list(dict.fromkeys(keys.tolist()))
    assert distinct[group].tolist() == keys.tolist()
    table = kernels.hash_table(distinct)
    keys = np.append(distinct, np.uint64(1))
    assert looked_up(table, distinct, keys).tolist() == [*range(len(distinct)), -1]


ROWS = st.lists(st.lists(st.integers(1, 4), max_size=8), min_size=1, max_size=8)


@given(ROWS, st.data())
def test_rows_and_units_that_hold_a_phrase(rows: list[list[int]], data: st.DataObject) -> None:
    unit = np.array([data.draw(st.integers(0, 3)) for _ in rows])
    flat = np.array([value for row in rows for value in row], dtype=np.uint64)
    distinct, group = kernels.grouped(flat)
    offsets = np.cumsum([0, *map(len, rows)])
    order = np.argsort(unit, kind="stable")
    at = np.arange(len(flat), dtype=np.int32)
    held, units = kernels.holders(group, len(distinct), at, offsets, order, unit)
    told = dict(
        zip(distinct.tolist(), zip(held.tolist(), units.tolist(), strict=True), strict=True)
    )
    assert told == holders_of(rows, unit.tolist())


@given(ROWS, st.sets(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple), max_size=6))
def test_occurrences(rows: list[list[int]], phrases: set[tuple[int, ...]]) -> None:
    numbers = {words: number for number, words in enumerate(sorted(phrases))}
    ends: dict[int, int] = {}
    for words in numbers:
        gram = 0
        for word in words:
            gram = longer(gram, word)
            ends.setdefault(gram, -1)
        ends[gram] = numbers[words]
    nodes = np.array(list(ends), dtype=np.uint64)
    phrase = np.array(list(ends.values()), dtype=np.int64)
    ids = np.array([word for row in rows for word in row], dtype=np.uint64)
    row = np.repeat(np.arange(len(rows)), [len(row) for row in rows]).astype(np.int32)
    found = kernels.occurrences(ids, row, kernels.hash_table(nodes), nodes, phrase)
    told = list(zip(*(column.tolist() for column in found), strict=True))
    assert len(told) == len(set(told))
    assert set(told) == occurrences_of(numbers, rows)


@given(TEXTS, st.data())
def test_spans(texts: list[str], data: st.DataObject) -> None:
    column = pa.array(texts, pa.string())
    tokens = tokenize(column)
    drawn = st.lists(st.booleans(), min_size=len(tokens.ids), max_size=len(tokens.ids))
    covered = np.array(data.draw(drawn), dtype=bool)
    rows = np.flatnonzero([data.draw(st.booleans()) for _ in texts]).astype(np.int64)
    found = spans(column.take(pa.array(rows)), tokens, covered, rows)
    for place, row in enumerate(rows.tolist()):
        held = covered[tokens.offsets[row] : tokens.offsets[row + 1]].tolist()
        assert found[place] == spans_in(texts[row], tokens_of(texts[row]), held)


SEEDS = st.integers(0, 2**32 - 1)


def slot_rows(rng: np.random.Generator) -> list[SlotRow]:
    """Rows of few different tokens, between their two frames."""
    return [slot_row(rng, int(size)) for size in rng.integers(0, 15, size=100)]


def slot_row(rng: np.random.Generator, size: int) -> SlotRow:
    drawn = rng.choice(["word", "number", "mark", "bound"], size, p=[0.5, 0.2, 0.15, 0.15])
    kinds = ["bound", *drawn, "bound"]
    exact = [int(rng.integers(1, 3)) + 10 * len(kind) for kind in kinds]
    bound = [kind == "bound" for kind in kinds]
    return SlotRow(
        ids=[99 if kind == "number" else id_ for kind, id_ in zip(kinds, exact, strict=True)],
        exact=exact,
        covered=(rng.random(len(kinds)) < 0.8).tolist(),
        number=[kind == "number" for kind in kinds],
        word=[kind == "word" for kind in kinds],
        bound=bound,
        exclaims=[is_bound and rng.random() < 0.5 for is_bound in bound],
    )


def masks(rows: list[SlotRow], share: float, rng: np.random.Generator) -> list[list[bool]]:
    """For each row, which tokens a mask holds that holds a share of all."""
    return [(rng.random(len(row.ids)) < share).tolist() for row in rows]


def some(values: set[int], rng: np.random.Generator) -> set[int]:
    """About half of the values, none of them 0."""
    return {value for value in sorted(values - {0}) if rng.random() < 0.5}


def flat(rows: list[SlotRow]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The rows end to end, and where each begins."""
    ids = ("ids", "exact")
    columns = {
        name: np.array(
            [value for row in rows for value in getattr(row, name)],
            dtype=np.uint64 if name in ids else bool,
        )
        for name in SlotRow.__dataclass_fields__
    }
    return columns, np.cumsum([0, *(len(row.ids) for row in rows)])


def parted(values: np.ndarray, offsets: np.ndarray) -> list[list]:
    return [values[a:b].tolist() for a, b in pairwise(offsets)]


@settings(max_examples=20)
@given(SEEDS)
def test_places_of_numbers(seed: int) -> None:
    rows = slot_rows(np.random.default_rng(seed))
    columns, offsets = flat(rows)
    found = slots.number_places(columns["ids"], columns["number"], columns["covered"], offsets)
    assert parted(found, offsets) == [number_places_of(row) for row in rows]


@settings(max_examples=20)
@given(SEEDS, st.booleans(), st.integers(1, 2))
def test_walks(seed: int, backwards: bool, least: int) -> None:
    rng = np.random.default_rng(seed)
    rows = slot_rows(rng)
    differs = masks(rows, 0.2, rng)
    way = {"backwards": backwards, "least": least}
    unknown = {"contexts": set[int](), "shared": set[int]()}
    first = [walk_of(row, list(d), **way, **unknown) for row, d in zip(rows, differs, strict=True)]
    contexts = some({context for follows, _ in first for context in follows}, rng)
    keys = {longer(context, id_) for context in contexts for row in rows for id_ in row.ids}
    shared = some(keys, rng)
    shared |= some({longer(key, int(slots.ALTERNATIVE)) for key in keys - shared}, rng)

    columns, offsets = flat(rows)
    told = np.array([value for row in differs for value in row], dtype=bool)
    tables = [np.array(sorted(known), dtype=np.uint64) for known in (contexts, shared)]
    follows, opens = slots.walked(
        columns["ids"],
        columns["exact"],
        offsets,
        *(columns[name] for name in ("covered", "number", "word", "bound", "exclaims")),
        backwards,
        least,
        tables[0],
        kernels.hash_table(tables[0]),
        tables[1],
        kernels.hash_table(tables[1]),
        told,
    )
    plain = [
        walk_of(row, d, **way, contexts=contexts, shared=shared)
        for row, d in zip(rows, differs, strict=True)
    ]
    assert parted(told, offsets) == differs
    assert parted(follows, offsets) == [each for each, _ in plain]
    assert parted(opens, offsets) == [each for _, each in plain]


@settings(max_examples=20)
@given(SEEDS, st.booleans())
def test_what_stands_beyond_slots(seed: int, backwards: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = slot_rows(rng)
    opens = [rng.choice([0, 0, 7, 8], len(row.ids)).tolist() for row in rows]
    columns, offsets = flat(rows)
    number = np.repeat(np.arange(len(rows), dtype=np.int32), np.diff(offsets))
    at = np.array([value for row in opens for value in row], dtype=np.uint64)
    found = slots.beyond(columns["ids"], number, columns["bound"], at, backwards)
    plain = [
        pair
        for row, its in zip(rows, opens, strict=True)
        for pair in beyond_of(row, its, backwards=backwards)
    ]
    assert list(zip(*(column.tolist() for column in found), strict=True)) == plain


@settings(max_examples=20)
@given(SEEDS, st.integers(1, 4))
def test_slots_settled(seed: int, stretch: int) -> None:
    rng = np.random.default_rng(seed)
    rows = slot_rows(rng)
    touching, ahead, behind = (masks(rows, share, rng) for share in (0.5, 0.3, 0.3))
    columns, offsets = flat(rows)
    space = np.array([not touches for row in touching for touches in row])
    start = (np.arange(len(space)) + np.cumsum(space)).astype(np.int32)
    differs = np.zeros(len(start), dtype=bool)
    slots.settled(
        offsets,
        start,
        start + np.int32(1),
        *(columns[name] for name in ("covered", "number", "word", "bound")),
        *(np.array([value for row in mask for value in row]) for mask in (ahead, behind)),
        stretch,
        differs,
    )
    assert parted(differs, offsets) == [
        settled_of(row, *told, stretch)
        for row, *told in zip(rows, touching, ahead, behind, strict=True)
    ]


def test_without_a_place_for_machine_code_it_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    njit = numba.njit

    def nowhere(function: object, *, cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(function, **options)

    monkeypatch.setattr(numba, "njit", nowhere)
    assert compiled(lambda x: x + 1)(1) == 2


def test_bytes_of_no_rows() -> None:
    raw, bounds = utf8(pa.array([], pa.string()))
    assert len(raw) == 0
    assert bounds.tolist() == [0]
