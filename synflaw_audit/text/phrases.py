"""Formulaic phrases: token sequences that recur in more rows than chance and idiom allow.

A phrase is a sequence of two to ``LONGEST`` tokens (numbers count as one and the same token). Its
*information* is how unlikely its words are to meet, in bits, under the frequencies they have
outside the phrase; its *share* is the share of rows that hold it. Ordinary language repeats
itself too: an idiom is short (little information) or rare (a small share). A phrase is formulaic
when its information exceeds what language itself repeats at that share, which two lines bound,

    information > min(floor + slope * log2(1 / share)) over ``IDIOM``,

and more is asked of a phrase that is not set off by the bounds of a row, a line or a sentence,
because names and terms of a subject recur inside sentences while formats frame them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from synflaw_audit.text.kernels.phrases import grouped, holders
from synflaw_audit.text.tokens import END, START, Ids, Ints, Mask, Places, Tokens, extended

LONGEST = 12
NUMBER = np.uint64(0xA4093822299F31D0)
# The lines that separate the phrases of a format from idioms, as (floor, slope) in bits: one for
# phrases of a few rows, one for those that most rows hold. See benchmarks/planted_formats.py.
IDIOM = ((24.0, 4.0), (12.0, 10.5))
COST = 4.0  # bits that a longer phrase must be worth for each halving of its rows
LOOSE = 20.0  # bits more that a phrase inside a sentence must carry
CLOSED = 0.99  # a phrase whose rows are nearly all rows of one longer phrase is only part of it
AGAIN = 0.75  # unless so few of its occurrences are: "Step 1:" begins an answer, "Step 2:" does not
RIVAL = 0.9  # a part rules a longer phrase out only if the longer one loses rows
LABEL = 3  # an answer of so few tokens is a label and follows no template

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Phrases:
    """The phrases found in a corpus, as parallel arrays [phrases].

    Attributes:
        gram: Hash of the phrase's tokens.
        length: Number of tokens.
        example: Index of the first token of one occurrence in the mined tokens.
        share: Share of rows that hold it, or of units, whichever is less.
        bits: Its information.
        set_off: Share of its occurrences that a row, line or sentence bound sets off.
        margin: Its information less what language itself repeats at its share; formulaic above 0.
    """

    gram: Ids
    length: Ints
    example: Ints
    share: Floats
    bits: Floats
    set_off: Floats
    margin: Floats

    def __len__(self) -> int:
        return len(self.gram)

    def where(self, kept: Mask | Ints) -> Phrases:
        """The phrases that a mask keeps or indices choose."""
        return Phrases(*(getattr(self, f.name)[kept] for f in fields(self)))

    @staticmethod
    def joined(*parts: Phrases) -> Phrases:
        """The phrases of all parts, in order."""
        columns = ([getattr(part, f.name) for part in parts] for f in fields(Phrases))
        return Phrases(*(np.concatenate(column) for column in columns))


@dataclass
class Level:
    """All frequent phrases of one length: where they occur, and what is known of each."""

    length: int
    at: Places  # positions of the occurrences, ascending
    group: Places  # the phrase of each occurrence
    gram: Ids  # per phrase, ascending
    rows: Ints  # per phrase
    share: Floats  # per phrase
    count: Ints  # per phrase, occurrences
    inside: Ints  # per phrase, occurrences in one longer phrase that nearly all its rows hold
    example: Ints  # per phrase
    parts: tuple[Places, Places]  # per phrase, those one token shorter: the first and the last
    set_off: Floats  # per phrase
    eligible: Mask  # per phrase, it says something, and not in labels alone


@dataclass(frozen=True)
class _Support:
    """Counts the rows and units that hold a phrase, and asks enough of both."""

    offsets: Ints  # the tokens of each row
    unit: Ints  # of each row
    order: Ints  # the rows, those of one unit together
    units: int
    min_share: float
    min_rows: int

    def count(self, group: Places, at: Places, phrases: int) -> tuple[Ints, Floats, Mask]:
        """Rows and share of each phrase, and which phrases are frequent."""
        rows, units = holders(group, phrases, at, self.offsets, self.order, self.unit)
        share = np.minimum(rows / len(self.unit), units / self.units)
        return rows, share, (units >= self.min_rows) & (share >= self.min_share)


def numbered(tokens: Tokens) -> Ids:
    """The ids with every number replaced by ``NUMBER``."""
    return np.where(tokens.number, NUMBER, tokens.ids)


def _level(length: int, at: Places, gram: Ids, support: _Support) -> Level:
    """Groups occurrences by phrase and keeps the frequent phrases, in the order of their hashes."""
    distinct, group = grouped(gram)
    rows, share, frequent = support.count(group, at, len(distinct))
    chosen = np.flatnonzero(frequent)
    chosen = chosen[np.argsort(distinct[chosen])]
    number = np.full(len(distinct), -1, dtype=np.int32)
    number[chosen] = np.arange(len(chosen))
    kept = frequent[group]
    of, at = number[group[kept]], at[kept]
    return Level(
        length=length,
        at=at,
        group=of,
        gram=distinct[chosen],
        rows=rows[chosen],
        share=share[chosen],
        count=np.bincount(of, minlength=len(chosen)),
        inside=np.zeros(len(chosen), dtype=np.int64),
        example=_firsts(of, at, len(chosen)),
        parts=(of[:0], of[:0]),
        set_off=np.zeros(len(chosen)),
        eligible=np.zeros(len(chosen), dtype=bool),
    )


def _firsts(group: Places, at: Places, groups: int) -> Ints:
    """The first of the ascending places of each group."""
    first = np.empty(groups, dtype=np.int64)
    first[group[::-1]] = at[::-1]  # the last that is written stays
    return first


def _levels(tokens: Tokens, support: _Support) -> Iterator[Level]:
    """Frequent phrases of one token, then two, ...: each from the frequent ones below it."""
    ids, labels = numbered(tokens), labels_in(tokens)[tokens.row]
    places = np.arange(len(ids), dtype=np.int32)
    below = _level(1, places, extended(np.zeros_like(ids), ids), support)
    while len(below.at):
        # A longer phrase can be frequent only where both of its parts are.
        after = np.minimum(below.at + below.length, len(ids) - 1)
        both = np.append(below.at[1:] == below.at[:-1] + 1, False)
        both &= tokens.row[below.at] == tokens.row[after]
        both &= below.length < LONGEST
        gram = extended(below.gram[below.group[both]], ids[after[both]])
        above = _level(below.length + 1, below.at[both], gram, support)
        first = np.searchsorted(below.at, above.example)
        above.parts = below.group[first], below.group[first + 1]
        for part in above.parts:
            covering = above.rows > CLOSED * below.rows[part]
            np.maximum.at(below.inside, part[covering], above.count[covering])
        yield below
        above.set_off, above.eligible = _set_off(tokens, above), _eligible(tokens, labels, above)
        below = above


def _information(ids: Ids, frames: float, frequency: Ints, total: int, level: Level) -> Floats:
    """Bits of each phrase under the frequencies its words have outside the phrase, of a total.

    Args:
        ids: Of the tokens, numbers made equal.
        frames: The share of tokens that begin a row.
        frequency: int64 [tokens], how often each one's word occurs.
        total: Of all words that are counted.
        level: The phrases.
    """
    window = level.example[:, None] + np.arange(level.length)
    word = ids[window]
    within = (word[:, :, None] == word[:, None, :]).sum(axis=2)
    outside = np.maximum(frequency[window] - level.count[:, None] * within, 0) + 0.5
    chance = outside / np.maximum(total - level.count * level.length, total / 2)[:, None]
    chance = np.where((word == START) | (word == END), frames, chance)
    chance = np.where(word == NUMBER, 1.0, np.minimum(chance, 1.0))
    return np.asarray(-np.log2(chance).sum(axis=1))


def labels_in(tokens: Tokens) -> Mask:
    """Rows of so few tokens that they are labels, such as "Yes" or "not entailed": bool [rows]."""
    return np.asarray(tokens.counts <= LABEL)


def _share_of(held: Mask, level: Level) -> Floats:
    """The share of each phrase's occurrences that a mask holds: bool [occurrences]."""
    return np.bincount(level.group, held, len(level.count)) / level.count


def _set_off(tokens: Tokens, level: Level) -> Floats:
    """The share of each phrase's occurrences that a row, line or sentence bound sets off."""
    first, last = level.at, level.at + level.length - 1
    before, after = np.maximum(first - 1, 0), np.minimum(last + 1, len(tokens.ids) - 1)
    bound = tokens.breaks[first] | tokens.stops[first]
    bound |= (tokens.breaks[before] | tokens.stops[before]) & (first > 0)
    bound |= tokens.breaks[last] | tokens.breaks[after]
    return _share_of(bound, level)


def _eligible(tokens: Tokens, labels: Mask, level: Level) -> Mask:
    """Phrases that hold more than numbers, line breaks and the marks that end sentences.

    ``labels`` says of every token whether its row is a label, which most of a phrase's are not.
    """
    blank = tokens.breaks | tokens.stops | tokens.number
    window = level.example[:, None] + np.arange(level.length)
    return np.asarray(~blank[window].all(axis=1) & (_share_of(labels[level.at], level) <= 0.5))


def _whole(ids: Ids, level: Level) -> Mask:
    """Phrases that are a whole answer, from its first token to its last."""
    last = level.example + level.length - 1
    return np.asarray((ids[level.example] == START) & (ids[last] == END))


def frequent(
    tokens: Tokens, unit: Ints, *, min_share: float = 0.005, min_rows: int = 8
) -> list[Level]:
    """All sequences of up to ``LONGEST`` tokens that recur in enough rows, by length from one.

    Args:
        tokens: The tokens of the rows.
        unit: int64 [rows], numbers from 0; rows with the same number count as one (rows that
            answer the same question repeat each other because of the question).
        min_share: The least share of rows, and of units, that must hold a sequence.
        min_rows: The least number of units that must hold it.
    """
    if not len(tokens):
        return []
    order = np.argsort(unit, kind="stable")
    units = int(unit.max()) + 1
    support = _Support(tokens.offsets, unit, order, units, min_share, min_rows)
    return list(_levels(tokens, support))


def mine(tokens: Tokens, levels: Sequence[Level], content: Mask | None = None) -> Phrases:
    """Judges the frequent sequences: how far each exceeds what language itself repeats.

    Args:
        tokens: The tokens of the rows.
        levels: What ``frequent`` found in them.
        content: bool [tokens], the tokens not known to be format. A word's frequency is counted
            among them only, so that the variants of one format do not make each other ordinary.

    Returns:
        Every phrase of two tokens or more that is frequent and not nearly always part of one
        longer phrase, formulaic (``margin > 0``) or not. Of nested formulaic phrases the longer
        is kept only if its words are worth the rows it loses: else what lies beyond is content
        that happens to recur.
    """
    if not levels:
        return none()
    frequency = _frequencies(len(tokens.ids), levels[0], content)
    total = len(tokens.ids) if content is None else max(int(content.sum()), 1)
    ids = numbered(tokens)
    # Of every phrase below: the best worth of any part of it and that part's rows, and the best
    # margin of the parts that are kept.
    worth, rows, margin = (np.full(len(levels[0].gram), -np.inf) for _ in range(3))
    found: list[Phrases] = []
    for level in levels[1:]:
        judged = _judged(ids, len(tokens) / len(ids), frequency, total, level)
        value = judged.bits - COST * np.log2(1 / judged.share)
        first, last = level.parts
        part = np.where(worth[first] >= worth[last], first, last)
        # A part that hardly any other row holds does not rule out the longer phrase.
        shorter = (value <= worth[part]) & (level.rows < RIVAL * rows[part])
        # A whole answer that holds a formulaic phrase is that phrase with its slot filled in.
        inner = np.maximum(margin[first], margin[last])
        filled = _whole(ids, level) & (inner > 0)
        closed = level.inside <= AGAIN * level.count
        kept = closed & ((judged.margin <= 0) | ~(shorter | filled))
        found.append(judged.where(kept))
        better = value >= worth[part]
        worth = np.where(better, value, worth[part])
        rows = np.where(better, level.rows, rows[part])
        margin = np.maximum(np.where(kept, judged.margin, -np.inf), inner)
    return Phrases.joined(none(), *found)


def _frequencies(tokens: int, once: Level, content: Mask | None) -> Ints:
    """How often each position's word occurs, among content if that is known: int64 [tokens]."""
    counted = None if content is None else content[once.at]
    count = np.bincount(once.group, counted, len(once.count)).astype(np.int64)
    frequency = np.zeros(tokens, dtype=np.int64)
    frequency[once.at] = count[once.group]
    return frequency


def _judged(ids: Ids, frames: float, frequency: Ints, total: int, level: Level) -> Phrases:
    """Every phrase of one length with its information and margin; see ``_information``."""
    bits = _information(ids, frames, frequency, total, level)
    rarity = np.log2(1 / level.share)
    idiom = np.min([floor + slope * rarity for floor, slope in IDIOM], axis=0)
    margin = np.where(level.eligible, bits - idiom - LOOSE * (1 - level.set_off), -np.inf)
    length = np.full(len(level.gram), level.length)
    return Phrases(level.gram, length, level.example, level.share, bits, level.set_off, margin)


def none() -> Phrases:
    """No phrases."""
    reals, empty = np.empty(0), np.empty(0, dtype=np.int64)
    return Phrases(empty.astype(np.uint64), empty, empty, reals, reals, reals, reals)
