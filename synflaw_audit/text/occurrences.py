"""Where phrases occur in the tokens of a batch, or of the rows that they were mined from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from synflaw_audit.text.phrases import Level, Phrases
from synflaw_audit.text.tokens import Ints, Mask


@dataclass(frozen=True)
class Occurrences:
    """Where phrases occur in some tokens, as parallel arrays [occurrences].

    Ordered by the first token; of those that begin together the shorter comes first.

    Attributes:
        at: int64, the first token.
        length: int64, in tokens.
        phrase: int64, which phrase.
    """

    at: Ints
    length: Ints
    phrase: Ints

    def where(self, kept: Mask | Ints) -> Occurrences:
        """Those that a mask keeps or indices choose."""
        return Occurrences(self.at[kept], self.length[kept], self.phrase[kept])

    def of(self, kept: Mask) -> Occurrences:
        """Those of the phrases that a mask keeps, which are numbered anew."""
        these = self.where(kept[self.phrase])
        return replace(these, phrase=(np.cumsum(kept) - 1)[these.phrase])

    def numbered_from(self, first: int) -> Occurrences:
        """The same, of phrases that stand behind so many others."""
        return replace(self, phrase=self.phrase + first)

    @staticmethod
    def joined(*parts: Occurrences) -> Occurrences:
        """All of them, in order."""
        columns = zip(*((part.at, part.length, part.phrase) for part in parts), strict=True)
        every = Occurrences(*(np.concatenate([*column, _NOTHING]) for column in columns))
        place = every.at * (int(every.length.max(initial=0)) + 1) + every.length
        return every.where(np.argsort(place, kind="stable"))


_NOTHING = np.empty(0, dtype=np.int64)


def occurrences(phrases: Phrases, levels: Sequence[Level]) -> Occurrences:
    """Where phrases occur in the tokens that they were mined from, without another look at these.

    Args:
        phrases: See ``phrases.mine``.
        levels: What they were mined from.
    """
    parts = [Occurrences(_NOTHING, _NOTHING, _NOTHING)]
    for level in levels:
        chosen = np.flatnonzero(phrases.length == level.length)
        if len(chosen):
            number = np.full(len(level.gram), -1)
            number[np.searchsorted(level.gram, phrases.gram[chosen])] = chosen
            which = number[level.group]
            kept = np.flatnonzero(which >= 0)
            length = np.full(len(kept), level.length)
            parts.append(Occurrences(level.at[kept].astype(np.int64), length, which[kept]))
    return Occurrences.joined(*parts)


def covered(found: Occurrences, size: int) -> Mask:
    """Which of so many tokens the phrases cover: bool [tokens]."""
    change = np.bincount(found.at, minlength=size + 1)
    change -= np.bincount(found.at + found.length, minlength=size + 1)
    return np.asarray(np.cumsum(change[:-1]) > 0)
