"""Sequences of tokens: which recur, where the phrases of templates stand, what they cover."""

from __future__ import annotations

import numpy as np

from synflaw_audit.text.kernels import (
    Bytes,
    Ids,
    Ints,
    Mask,
    Places,
    Reals,
    called,
    compiled,
    doubled,
    longer,
)
from synflaw_audit.text.kernels.text import decode


@called
def free_table(keys: int) -> Places:
    """A hash table that this many keys fill to at most a quarter; -1: a free slot."""
    size = 16
    while size < 4 * keys:
        size *= 2
    table = np.empty(size, np.int32)
    for slot in range(size):
        table[slot] = -1
    return table


@compiled
def hash_table(keys: Ids) -> Places:
    """An open-addressing table of distinct keys: int32 [slots], an index into them or -1."""
    table = free_table(len(keys))
    rest = np.uint64(len(table) - 1)
    for i in range(len(keys)):
        slot = keys[i] & rest
        while table[slot] >= 0:
            slot = (slot + np.uint64(1)) & rest
        table[slot] = i
    return table


@called
def found_in(table: Places, keys: Ids, key: np.uint64) -> int:
    """The index of a key, or -1."""
    rest = np.uint64(len(table) - 1)
    slot = key & rest
    while table[slot] >= 0:
        if keys[table[slot]] == key:
            return int(table[slot])
        slot = (slot + np.uint64(1)) & rest
    return -1


@compiled
def grouped(values: Ids) -> tuple[Ids, Places]:
    """The distinct values in the order they come, and the index among them of each value."""
    distinct = np.empty(1024, np.uint64)
    table = free_table(len(distinct))
    rest = np.uint64(len(table) - 1)
    group = np.empty(len(values), np.int32)
    count = 0
    for i in range(len(values)):
        slot = values[i] & rest
        while table[slot] >= 0 and distinct[table[slot]] != values[i]:
            slot = (slot + np.uint64(1)) & rest
        if table[slot] < 0:
            if count == len(distinct):
                distinct = doubled(distinct)
                table = free_table(len(distinct))
                rest = np.uint64(len(table) - 1)
                for known in range(count):
                    slot = distinct[known] & rest
                    while table[slot] >= 0:
                        slot = (slot + np.uint64(1)) & rest
                    table[slot] = known
                slot = values[i] & rest
                while table[slot] >= 0:
                    slot = (slot + np.uint64(1)) & rest
            distinct[count] = values[i]
            table[slot] = count
            count += 1
        group[i] = table[slot]
    return distinct[:count], group


@compiled
def holders(
    group: Places, groups: int, at: Places, offsets: Ints, order: Ints, unit: Ints
) -> tuple[Ints, Ints]:
    """How many rows, and how many units, hold each group.

    Args:
        group: Of each occurrence.
        groups: How many there are.
        at: Ascending, the token of each occurrence.
        offsets: The tokens of each row.
        order: The rows, those of one unit together.
        unit: Of each row.
    """
    first = np.empty(len(offsets), np.int64)  # occurrence of each row
    found = 0
    for r in range(len(offsets)):
        while found < len(at) and at[found] < offsets[r]:
            found += 1
        first[r] = found
    rows, units = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    # Each counted from 1: 0 is none yet.
    last_row, last_unit = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    for r in order:
        for i in range(first[r], first[r + 1]):
            g = group[i]
            if last_row[g] != r + 1:
                last_row[g] = r + 1
                rows[g] += 1
            if last_unit[g] != unit[r] + 1:
                last_unit[g] = unit[r] + 1
                units[g] += 1
    return rows, units


@compiled
def occurrences(
    ids: Ids, row: Places, table: Places, nodes: Ids, phrase: Ints
) -> tuple[Ints, Ints, Ints]:
    """Where phrases occur: first token, length and phrase of each occurrence, by first token.

    Args:
        ids: Of the tokens, numbers made equal.
        row: Of the tokens.
        table: ``hash_table`` of ``nodes``.
        nodes: The hashes of every beginning of every phrase.
        phrase: The phrase that ends at each node, or -1.
    """
    at, length, which = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024, np.int64)
    n = 0
    for first in range(len(ids)):
        gram = longer(np.uint64(0), ids[first])
        size = 1
        node = found_in(table, nodes, gram)
        while node >= 0:
            if phrase[node] >= 0:
                if n == len(at):
                    at, length, which = doubled(at), doubled(length), doubled(which)
                at[n], length[n], which[n] = first, size, phrase[node]
                n += 1
            if first + size >= len(ids) or row[first + size] != row[first]:
                break
            gram = longer(gram, ids[first + size])
            size += 1
            node = found_in(table, nodes, gram)
    return at[:n], length[:n], which[:n]


@compiled
def weighed(
    row: Places, which: Ints, core: Mask, bits: Reals, member: Mask, rows: int
) -> tuple[Reals, Reals]:
    """The evidence of each row for each template, and its most informative phrase's bits.

    Args:
        row: Of each occurrence.
        which: Its phrase.
        core: Which phrases count.
        bits: Of each phrase.
        member: bool [phrases, templates].
        rows: How many there are.
    """
    evidence = np.zeros((rows, member.shape[1]))
    most = np.zeros(rows)
    for i in range(len(which)):
        phrase, r = which[i], row[i]
        if core[phrase]:
            most[r] = max(most[r], bits[phrase])
            for template in range(member.shape[1]):
                if member[phrase, template]:
                    evidence[r, template] += bits[phrase]
    return evidence, most


@compiled
def spans_of(
    raw: Bytes,
    bounds: Ints,
    rows: Ints,
    offsets: Ints,
    start: Places,
    end: Places,
    stops: Mask,
    covered: Mask,
    blank: Mask,
) -> tuple[Ints, Places, Places]:
    """The characters of some rows' format, as half-open ranges; see ``templates.spans``.

    Args:
        raw: The texts of those rows.
        bounds: int64 [rows + 1], where each begins.
        rows: Which rows of the tokens they are.
        offsets: Of the tokens.
        start: Of the tokens.
        end: Of the tokens.
        stops: Of the tokens.
        covered: Which tokens are format.
        blank: bool [code points], the character is white space.

    Returns:
        Where the ranges of each row begin (int64 [rows + 1]), the first characters, the ends.
    """
    longest, most = 0, 0
    for i in range(len(rows)):
        longest = max(longest, bounds[i + 1] - bounds[i])
        most += offsets[rows[i] + 1] - offsets[rows[i]]
    points = np.empty(longest, np.uint32)
    where = np.zeros(len(rows) + 1, np.int64)
    first, last = np.empty(most, np.int32), np.empty(most, np.int32)
    n = 0
    for i in range(len(rows)):
        size = decode(raw, bounds[i], bounds[i + 1], points)
        at, stop = offsets[rows[i]], offsets[rows[i] + 1]
        while at < stop:
            if not covered[at]:
                at += 1
                continue
            begin = at
            while at < stop and covered[at]:
                at += 1
            if stops[begin] and at - begin > 1:
                begin += 1
            opens, closes = start[begin], end[at - 1]
            if opens == closes:
                continue
            while opens > 0 and blank[points[opens - 1]]:
                opens -= 1
            while closes < size and blank[points[closes]]:
                closes += 1
            if n > where[i] and opens <= last[n - 1]:
                last[n - 1] = closes
            else:
                first[n], last[n] = opens, closes
                n += 1
        where[i + 1] = n
    return where, first[:n].copy(), last[:n].copy()
