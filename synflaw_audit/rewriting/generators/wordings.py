"""Phrases that may stand for each other, exchanged for what the corpus itself says in that place.

Which phrases are of one kind, ``data/wordings.toml`` says; which of them are drawn, and how often,
the answers that nothing flags. A phrase that none of them says is drawn only where fewer than two
are known to be natural.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from random import Random

from synflaw_audit import strict_toml
from synflaw_audit.findings.finding import Text
from synflaw_audit.rewriting.natural import Natural


@dataclass(frozen=True)
class ParaphraseGroup:
    """Phrases that say the same.

    Attributes:
        name: Of what they say.
        why: Why they may be exchanged.
        phrases: In small letters.
        follows: A pattern of the words that must follow; any if it is empty.
        may_go: Whether a phrase may be left out altogether.
        may_come: Whether a phrase may be put in another one's place.
        first: Whether it is looked for at the beginning of a sentence only.
    """

    name: str
    why: Text
    phrases: tuple[str, ...]
    follows: str = ""
    may_go: bool = False
    may_come: bool = True
    first: bool = False

    @property
    def _opens(self) -> bool:
        """Whether its phrases stand at the beginning of a sentence: those with a comma do."""
        return self.first or self.may_go or any(phrase.endswith(",") for phrase in self.phrases)

    def pattern(self) -> re.Pattern[str]:
        """Finds any of the phrases where it may be exchanged."""
        longest = sorted(self.phrases, key=len, reverse=True)
        said = "|".join(re.escape(phrase) for phrase in longest)
        start = r"(?:(?<=[.!?]\s)|(?<=\n)|\A)" if self._opens else r"\b"
        behind = rf"(?=\s+(?:{self.follows})\b)" if self.follows else r"(?=\s+\w)"
        return re.compile(rf"{start}(?:{said}){behind}", re.IGNORECASE)


@dataclass(frozen=True)
class ParaphraseFile:
    """All groups, as the file has them."""

    group: tuple[ParaphraseGroup, ...]


@cache
def groups() -> tuple[tuple[ParaphraseGroup, re.Pattern[str]], ...]:
    """The groups with their patterns."""
    source = resources.files("synflaw_audit.rewriting").joinpath("data/wordings.toml")
    with resources.as_file(source) as path:
        return tuple(
            (one, one.pattern()) for one in strict_toml.load(Path(path), ParaphraseFile).group
        )


def exchanged(text: str, natural: Natural, chance: Random, share: float) -> str:
    """The text with a share of its phrases exchanged, or left out where they may be.

    Args:
        text: An answer.
        natural: Says which phrases are drawn.
        chance: Draws them.
        share: The chance of each phrase to be exchanged, in [0, 1].
    """
    for group, pattern in groups():

        def other(found: re.Match[str], group: ParaphraseGroup = group) -> str:
            if chance.random() >= share:
                return found[0]
            drawn = _drawn(group, found[0].lower(), natural, chance) or _GONE
            return drawn[:1].upper() + drawn[1:] if found[0][0].isupper() else drawn

        text = pattern.sub(other, text)
    return _mended(text)


def _drawn(group: ParaphraseGroup, said: str, natural: Natural, chance: Random) -> str:
    others = [phrase for phrase in group.phrases if group.may_come and phrase != said]
    known = {phrase: natural.count(phrase.rstrip(",")) for phrase in others}
    used = [phrase for phrase in others if known[phrase]]
    choices = used if len(used) > 1 else others
    weights = [1.0 + known[phrase] ** 0.5 for phrase in choices]
    if group.may_go:
        choices, weights = [*choices, ""], [*weights, max(sum(weights) / 2, 1.0)]
    return chance.choices(choices, weights)[0]


_GONE = "\ue000"  # stands where a phrase went
_ALONE = re.compile(r"\bi(?=\b(?:['’]| (?:would|suspect|think|recommend|suggest)))")  # noqa: RUF001


def _mended(text: str) -> str:
    """The text with capitals and blanks as they were meant, where a phrase went or came."""
    text = re.sub(rf"{_GONE}\s*(\w?)", lambda found: found[1].upper(), text)
    return _ALONE.sub("I", text)
