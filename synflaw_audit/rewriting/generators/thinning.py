"""Sentences that are format for the most part left out, and those that begin with it begun later.

What is cut by ``fixing.cutting`` is format to the letter. Where a format has words of its own
choice in it ("According to the existing records, ...") that leaves half of it. Here such words go
with it. So content may go too, which is why this is for a rewriter alone: the judges find what is
lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from synflaw_audit.findings.finding import Span
from synflaw_audit.rewriting.generators.sentences import sentences

_WORD = re.compile(r"\w+")
_MOSTLY = 0.5  # of a stretch's words that are format, or it is not
_MAY_END = re.compile(
    r"(?:[,:\uff1a]|\b(?:that|is|are|was|were|ist|dass|est|que|es))\W*\Z", re.IGNORECASE
)


def thinned(answer: str, spans: Sequence[Span]) -> str:
    """The answer without what is format for the most part; "" if nothing is left.

    Args:
        answer: The answer.
        spans: What of it is format to the letter, in order.
    """
    lines, at = [], 0
    for line in answer.split("\n"):
        kept = [left for each in _parts(line, at, spans) if (left := _left(*each))]
        lines.append(" ".join(kept))
        at += len(line) + 1
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _parts(line: str, start: int, spans: Sequence[Span]) -> Iterator[tuple[str, list[Span]]]:
    """The sentences of a line, each with the spans in it."""
    at = 0
    for said in sentences(line):
        at = line.index(said, at)
        first, last = start + at, start + at + len(said)
        inside = [(max(a, first) - first, min(b, last) - first) for a, b in spans]
        yield said, [(a, b) for a, b in inside if a < b]
        at += len(said)


def _left(said: str, spans: Sequence[Span]) -> str:
    """What is left of a sentence."""
    if not spans:
        return said
    begins = not _WORD.search(said, 0, spans[0][0])
    for _, end in reversed(spans) if begins else ():
        if _MAY_END.search(said[:end]) and _mostly(said, 0, end, spans):
            if _mostly(said, end, len(said), spans):
                continue  # what would be left is format too, or nothing
            rest = said[end:].lstrip(" ,:;")
            return rest[:1].upper() + rest[1:]
    return "" if _mostly(said, 0, len(said), spans) else said


def _mostly(said: str, start: int, stop: int, spans: Sequence[Span]) -> bool:
    """Whether most words of a stretch are format; so it is with no words at all."""
    words = list(_WORD.finditer(said, start, stop))
    covered = sum(any(a <= word.start() and word.end() <= b for a, b in spans) for word in words)
    return covered >= _MOSTLY * len(words)
