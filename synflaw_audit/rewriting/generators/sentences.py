"""Sentences put into another order, and lines laid out otherwise, where nothing depends on it."""

from __future__ import annotations

import itertools
import re
from random import Random

from synflaw_audit.rewriting.mixture import Layout

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")
# A stop behind one of these, or behind a single letter, ends no sentence.
_SHORT = re.compile(
    r"\b(?:mr|mrs|ms|dr|prof|st|jr|sr|no|vs|approx|fig|eq|e\.g|i\.e|etc|cf|[a-z])\.$", re.IGNORECASE
)
# What says that a sentence is about the one before, or the next.
_BOUND = re.compile(
    r"\b(?:this|that|these|those|it|its|they|them|their|he|him|his|she|her|such|so|and|or|thus|then|"
    r"therefore|hence|however|but|also|additionally|moreover|furthermore|besides|first|second|"
    r"third|next|finally|lastly|last|another|other|others|both|former|latter|above|below|"
    r"following|once|after|before|now|still|instead|otherwise|because|too|same|again|if|when)\b|"
    r"[:=]|^\W*\d",
    re.IGNORECASE,
)
_ITEM = re.compile(r"^[ \t]*(?:[-*•]|\(?\d{1,2}[.)])[ \t]+", re.MULTILINE)
_FIXED = re.compile(r"```|\||^\s*[#>]|<\w+", re.MULTILINE)  # code, tables, headings, tags
_FEWEST = 3


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, each stripped."""
    ends = [0]
    for found in _END.finditer(paragraph):
        if not _SHORT.search(paragraph, max(found.start() - 8, 0), found.start()):
            ends.append(found.end())
    ends.append(len(paragraph))
    pieces = (paragraph[a:b].strip() for a, b in itertools.pairwise(ends))
    return [piece for piece in pieces if piece]


def reordered(text: str, chance: Random) -> str:
    """The text with two neighbouring sentences exchanged, where neither leans on another.

    Neither is the first; neither has a pronoun, a connective, a number or a word of content in
    common with the other. Texts of more than one paragraph stay as they are.
    """
    if "\n" in text.strip() or _FIXED.search(text):
        return text
    said = sentences(text)
    places = [
        at
        for at in range(1, len(said) - 1)
        if _independent(said[at], said[at + 1]) and not _leans(said, at + 2)
    ]
    if not places:
        return text
    at = chance.choice(places)
    said[at], said[at + 1] = said[at + 1], said[at]
    return " ".join(said)


def _leans(said: list[str], at: int) -> bool:
    """Whether the sentence there, if there is one, may lean on the one before it."""
    return at < len(said) and _BOUND.search(said[at]) is not None


def _independent(one: str, other: str) -> bool:
    if _BOUND.search(one) or _BOUND.search(other):
        return False
    words = [set(re.findall(r"\w{4,}|\d+", text.lower())) for text in (one, other)]
    return not words[0] & words[1]


def laid_out(text: str, layout: Layout) -> str:
    """The text in another layout; as it is where that would take code, tables or headings apart."""
    if layout == "as it is" or _FIXED.search(text):
        return text
    if layout == "prose":
        return _prose(text)
    if "\n" in text.strip():
        return text
    said = sentences(text)
    if len(said) < _FEWEST:
        return text
    if layout == "list":
        return "\n".join(f"- {sentence}" for sentence in said)
    half = (len(said) + 1) // 2
    return " ".join(said[:half]) + "\n\n" + " ".join(said[half:])


def _prose(text: str) -> str:
    lines = [_ITEM.sub("", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    # A line that ends no sentence is one of a list of words: it stays such.
    if len(lines) < 2 or any(line[-1] not in ".!?" for line in lines):
        return text
    return " ".join(lines)
