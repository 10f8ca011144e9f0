r"""Text to token ids and character offsets, by compiled loops; every measure shares it.

A token is a word (letters, marks and digits, with apostrophes inside), a number (with its decimal
marks), one character of a script written without spaces (Han, Hiragana, Katakana, Thai, Lao,
Khmer, Myanmar), a run of one repeated punctuation character (``####``), or a line break (one for
``\n`` and ``\r\n``, another for a blank line). The dots of ``U.S`` are part of the word; other
white space only separates. Letters are folded to lower case, so that an id says which word it is,
not how it is written. Each row is framed by the two ids ``START`` and ``END``, so that "opens with"
and "closes with" are ordinary token sequences.

Ids are 64-bit hashes of the token's characters. No vocabulary is kept: two machines that never
met give a word the same id, and the ids of different words collide with probability 2**-64 a pair.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from itertools import pairwise

import numpy as np
import pyarrow as pa

from synflaw_audit.text.characters import unicode
from synflaw_audit.text.kernels import MULTIPLIER, Bytes, Ids, Ints, Mask, Places
from synflaw_audit.text.kernels.text import (
    END,
    LONGEST_HASHED,
    START,
    scan,
)

__all__ = [
    "END",
    "START",
    "Ids",
    "Ints",
    "Mask",
    "Places",
    "Tokens",
    "extended",
    "factorized",
    "tokenize",
]

# What the dot after these ends is hardly ever a sentence; nor is it after a single letter.
_ABBREVIATIONS = (
    "dr mr mrs ms mx prof st sr jr hon rev fr gov gen col capt lt sgt sen rep pres messrs "
    "vs cf ca approx est fig figs eq vol pp nos ed eds dept univ e.g i.e viz "
    "ph m.d b.a m.a u.s u.k u.n "
    "hr fr bzw ggf usw nr z.b d.h u.a "
    "mme mlle mm sra srta dra ud uds sig dott ing "
    "г ул т.е т.д т.п др гос проф"  # noqa: RUF001 -- Cyrillic
)
_BEFORE_NUMBERS = "no art sec ch p ex op"  # "No. 7", but "He said no."
_LETTERS = 0x0530  # up to here are the alphabets that have initials: Latin, Greek and Cyrillic


@dataclass(frozen=True)
class Tokens:
    """The tokens of a batch of texts.

    Attributes:
        ids: uint64 [tokens], framed by ``START`` and ``END`` in every row.
        start: int32 [tokens], first character of each token in its own row (Python string index).
        end: int32 [tokens], one past its last character; frames are empty spans.
        row: int32 [tokens], the row each token belongs to.
        offsets: int64 [rows + 1], the tokens of row ``r`` are ``offsets[r]:offsets[r + 1]``.
        number: bool [tokens], the token is written in digits alone.
        breaks: bool [tokens], the token is a frame or a line break.
        stops: bool [tokens], the token ends a sentence (``.``, ``!``, ``?`` and their like), the
            dots of abbreviations and initials inside a line left out.
        words: bool [tokens], the token is neither a number nor a mark nor a line break.
    """

    ids: Ids
    start: Places
    end: Places
    row: Places
    offsets: Ints
    number: Mask
    breaks: Mask
    stops: Mask
    words: Mask

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> Ints:
        """Tokens of each row, its two frames not counted: int64 [rows]."""
        return np.diff(self.offsets) - 2

    def take(self, rows: Ints) -> tuple[Tokens, Ints]:
        """The tokens of some rows, and which of all tokens they are (int64)."""
        sizes = np.diff(self.offsets)[rows]
        offsets = np.append(0, np.cumsum(sizes))
        at = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], sizes)
        row = np.repeat(np.arange(len(rows), dtype=np.int32), sizes)
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        taken = {name: column[at] for name, column in columns.items() if name != "offsets"}
        return Tokens(**taken | {"row": row, "offsets": offsets}), at

    def first(self, rows: int) -> Tokens:
        """The tokens of the first rows."""
        end = int(self.offsets[rows])
        return Tokens(
            ids=self.ids[:end],
            start=self.start[:end],
            end=self.end[:end],
            row=self.row[:end],
            offsets=self.offsets[: rows + 1],
            number=self.number[:end],
            breaks=self.breaks[:end],
            stops=self.stops[:end],
            words=self.words[:end],
        )


@cache
def _powers() -> Ids:
    powers = np.ones(LONGEST_HASHED, dtype=np.uint64)
    np.multiply.accumulate(np.full(LONGEST_HASHED - 1, MULTIPLIER), out=powers[1:])
    return powers


def utf8(texts: pa.Array) -> tuple[Bytes, Ints]:
    """The bytes of all rows end to end, and where each row begins (int64 [rows + 1]).

    Raises:
        ValueError: If a text is null.
    """
    texts = texts.cast(pa.large_string())
    if texts.null_count:
        raise ValueError("texts must not be null")
    _, where, data = texts.buffers()
    if not len(texts) or data is None:
        return np.empty(0, dtype=np.uint8), np.zeros(len(texts) + 1, dtype=np.int64)
    bounds = np.frombuffer(where, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    raw = np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]]
    return raw, bounds - bounds[0]


def factorized(texts: pa.Array) -> tuple[Ints, pa.Array]:
    """Which distinct text each text is (int64 [texts]), and those, as they first come."""
    if not len(texts):
        return np.empty(0, dtype=np.int64), texts
    encoded = texts.dictionary_encode()
    return np.asarray(encoded.indices, dtype=np.int64), encoded.dictionary


def tokenize(texts: pa.Array) -> Tokens:
    """Tokenizes a batch of texts.

    Args:
        texts: An Arrow string array without nulls.

    Returns:
        The tokens of all rows, in order.

    Raises:
        ValueError: If a text is null.
    """
    tokens = _scanned(texts)
    dots = np.flatnonzero(tokens.ids == _abbreviations().dot)
    inside = ~tokens.breaks[dots + 1]
    dots = dots[inside & (tokens.start[dots] == tokens.end[dots - 1])]
    before = tokens.ids[dots - 1]
    abbreviated = np.isin(before, _abbreviations().always)
    abbreviated |= np.isin(before, _abbreviations().before_numbers) & tokens.number[dots + 1]
    tokens.stops[dots[abbreviated]] = False
    return tokens


@dataclass(frozen=True)
class _Abbreviations:
    """The ids of a dot, of the words that it abbreviates, and of those it does before numbers."""

    dot: np.uint64
    always: Ids
    before_numbers: Ids


@cache
def _abbreviations() -> _Abbreviations:
    letters = " ".join(chr(point) for point in range(_LETTERS) if chr(point).isalpha())
    words = (".", f"{_ABBREVIATIONS} {letters}", _BEFORE_NUMBERS)
    found = _scanned(pa.array(words))
    dot, always, before_numbers = (
        found.ids[first + 1 : last - 1] for first, last in pairwise(found.offsets)
    )
    return _Abbreviations(dot[0], always, before_numbers)


def _scanned(texts: pa.Array) -> Tokens:
    """The tokens of some texts, where every mark that may end a sentence does."""
    raw, bounds = utf8(texts)
    known, most = unicode(), len(raw) + 2 * (len(bounds) - 1)
    # Room for a token a byte: what is not written to takes no memory.
    room = Tokens(
        ids=np.empty(most, dtype=np.uint64),
        start=np.empty(most, dtype=np.int32),
        end=np.empty(most, dtype=np.int32),
        row=np.empty(most, dtype=np.int32),
        offsets=np.empty(len(bounds), dtype=np.int64),
        number=np.empty(most, dtype=bool),
        breaks=np.empty(most, dtype=bool),
        stops=np.empty(most, dtype=bool),
        words=np.empty(most, dtype=bool),
    )
    tables = (known.classes, known.ends_sentence, known.mixed, _powers())
    scan(raw, bounds, *tables, *(getattr(room, f.name) for f in fields(room)))
    return room.first(len(bounds) - 1)


def extended(gram: Ids, ids: Ids) -> Ids:
    """The hash of a token sequence made one token longer: from that of the sequence and the token.

    The hash of the empty sequence is 0.
    """
    longer = gram * MULTIPLIER + ids
    longer ^= longer >> np.uint64(32)
    return longer
