"""What the tokenizer knows of every character, from the Unicode database that Python ships."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np

from synflaw_audit.text.kernels import MIX, MULTIPLIER, Bytes, Ids, Mask
from synflaw_audit.text.kernels.text import ALONE, BREAK, DIGIT, PUNCTUATION, SPACE, WORD

POINTS = 0x110000
# Beyond these planes nothing is assigned but private use, which separates words as a space does.
_ASSIGNED = (range(0x40000), range(0xE0000, 0xE1000))
_CASED = range(0x20000)  # beyond them no letter has two cases, and no character is a space

# What a token is made of, by the general category of a character.
_CLASSES = {
    **dict.fromkeys(("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nl", "No"), WORD),
    **dict.fromkeys(("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"), PUNCTUATION),
    **dict.fromkeys(("Sm", "Sc", "Sk", "So"), PUNCTUATION),
    **dict.fromkeys(("Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"), SPACE),
    "Nd": DIGIT,
}

# Scripts that do not separate words by spaces: each character is a token.
_ALONE_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # CJK radicals
    (0x3005, 0x3007),  # ideographic iteration mark and zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # CJK extension A
    (0x4E00, 0x9FFF),  # CJK
    (0xF900, 0xFAFF),  # CJK compatibility
    (0xFF66, 0xFF9D),  # half-width Katakana
    (0x20000, 0x3FFFF),  # CJK extensions B and later
)
_STOPS = tuple(ord(mark) for mark in ".!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964")


@dataclass(frozen=True)
class Unicode:
    """What the tokenizer knows of every code point.

    Attributes:
        classes: uint8 [code points], its class.
        mixed: uint64 [code points], a well mixed value, equal for the cases of one letter.
        ends_sentence: bool [code points].
        blank: bool [code points], Python's ``str.isspace``.
    """

    classes: Bytes
    mixed: Ids
    ends_sentence: Mask
    blank: Mask


@cache
def unicode() -> Unicode:
    """The tables, from the Unicode character database that Python ships."""
    classes = np.full(POINTS, SPACE, dtype=np.uint8)
    lower = np.arange(POINTS, dtype=np.uint64)
    blank, ends = np.zeros(POINTS, dtype=bool), np.zeros(POINTS, dtype=bool)
    for points in _ASSIGNED:
        categories = map(unicodedata.category, map(chr, points))
        classes[points.start : points.stop] = list(map(_CLASSES.__getitem__, categories))
    letters = list(map(chr, _CASED))
    blank[: len(letters)] = list(map(str.isspace, letters))
    for character, small in zip(letters, map(str.lower, letters), strict=True):
        if small != character and len(small) == 1:
            lower[ord(character)] = ord(small)
    for first, last in _ALONE_RANGES:
        span = classes[first : last + 1]
        span[span == WORD] = ALONE
    classes[ord("_")] = WORD
    classes[[ord("\n"), 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029]] = BREAK
    lower[0x2019] = 0x27  # a typographic apostrophe is an apostrophe
    ends[list(_STOPS)] = True
    mixed = (lower + np.uint64(1)) * MULTIPLIER
    mixed ^= mixed >> np.uint64(29)
    mixed *= MIX
    mixed ^= mixed >> np.uint64(32)
    return Unicode(classes, mixed, ends, blank)
