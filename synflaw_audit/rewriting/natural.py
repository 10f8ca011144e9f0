"""What a corpus says where nothing is flagged: the measure of what is natural in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from synflaw_audit.rewriting.facts import Facts

_WORD = re.compile(r"[^\W\d_]{3,}")
_DOMAIN_WORDS = 8
_EVERYWHERE = 0.5  # a word of more questions belongs to their format
_FEWEST = 3  # answers that say a phrase, or it is one writer's


@dataclass(frozen=True)
class Natural:
    """A corpus as a rewriter sees it.

    Attributes:
        rows: Questions and answers that no check flags, or a sample of them.
        contents: Questions and what flagged answers say without their format, likewise.
    """

    rows: Sequence[tuple[str, str]] = ()
    contents: Sequence[tuple[str, str]] = ()

    @cached_property
    def facts(self) -> Facts:
        """Finds facts, by what this corpus writes small."""
        return Facts.of(text for row in (*self.rows, *self.contents) for text in row)

    @cached_property
    def domain(self) -> tuple[str, ...]:
        """The words that the corpus is about, commonest first: those of most rows.

        Function words are left out, and what stands in most of the questions, or in most of the
        contents, alike.
        """
        rows = [*self.contents, *self.rows]
        sides = [Counter(_different(text for text in side)) for side in zip(*rows, strict=True)]
        most = _EVERYWHERE * len(rows)
        common = {word for side in sides for word, count in side.items() if count > most}
        total: Counter[str] = sum(sides, Counter())
        words = (
            word
            for word, count in total.most_common(200)
            if word not in common and word not in ENGLISH_STOP_WORDS and count >= _FEWEST
        )
        return tuple(word for word, _ in zip(words, range(_DOMAIN_WORDS), strict=False))

    @cached_property
    def _answers(self) -> str:
        return "\n\n".join(answer for _, answer in self.rows).lower()

    def count(self, phrase: str) -> int:
        """How often the answers that nothing flags say a phrase, as whole words, in any case."""
        if phrase not in self._counts:
            pattern = rf"\b{re.escape(phrase.lower())}\b"
            self._counts[phrase] = len(re.findall(pattern, self._answers))
        return self._counts[phrase]

    @cached_property
    def _counts(self) -> dict[str, int]:
        return {}

    @cached_property
    def openings(self) -> dict[str, int]:
        """The clauses of a few words, to their comma, that open several of those answers."""
        return _shared(re.match(r"\s*([^\n,.!?:;]{1,40},)\s", answer) for _, answer in self.rows)

    @cached_property
    def closings(self) -> dict[str, int]:
        """The last sentences that several of those answers have in common."""
        return _shared(
            re.search(r"[.!?]\s+([A-Z][^\n.!?]{8,80}[.!?])\s*$", answer) for _, answer in self.rows
        )


def _different(texts: Iterable[str]) -> list[str]:
    return [word for text in texts for word in {*_WORD.findall(text.lower())}]


def _shared(found: Iterable[re.Match[str] | None]) -> dict[str, int]:
    counts = Counter(match[1].strip() for match in found if match is not None)
    return {phrase: count for phrase, count in counts.most_common() if count >= _FEWEST}
