"""Whether a rewrite says what the answer said: every fact, most of its words, and to its end."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from synflaw_audit.rewriting.base import RewriteRow
from synflaw_audit.rewriting.facts import Fact, Facts
from synflaw_audit.untrusted import visible

_WORD = re.compile(r"[^\W_]+")
_STEM = 5  # letters of a word that must be the same: "diagnose" and "diagnosis"
_ENDS = re.compile(r"[.!?…。！？:)\]}>`*|\"'”’]\s*\Z")  # noqa: RUF001
_CLAUSE_END, _CLAUSE = re.compile(r"[.!?:;\n]+"), 4  # words, of a clause that may not come twice
_BRIEF = 6  # words; a brief answer may end without a stop


@dataclass(frozen=True)
class ContentScore:
    """How the content of a rewrite compares with that of the answer.

    Attributes:
        kept: Facts of the answer's content.
        lost: Those that the rewrite does not have.
        invented: Facts that neither answer nor question has.
        coverage: The share of the content's words that the rewrite has, by their first letters.
        finished: Whether it ends as a text does, or as the answer did.
        visible: Whether all of it shows: it has no character that a terminal would obey or that
            turns what is shown around, unless the answer has such.
        repeats: Whether it says a clause twice that the answer says once, as models do that have
            lost their way.
    """

    kept: int
    lost: tuple[Fact, ...]
    invented: tuple[Fact, ...]
    coverage: float
    finished: bool
    visible: bool = True
    repeats: bool = False

    def objection(self, least_coverage: float) -> str:
        """Why the rewrite is not accepted; "" if nothing speaks against it."""
        if not self.visible:
            return "holds control characters"
        if self.lost:
            return f"lost: {', '.join(map(str, self.lost))}"
        if self.invented:
            return f"invented: {', '.join(map(str, self.invented))}"
        if self.coverage < least_coverage:
            return (
                f"says {self.coverage:.0%} of the content's words, of {least_coverage:.0%} needed"
            )
        if self.repeats:
            return "says the same twice"
        return "" if self.finished else "breaks off"


def judge_content(facts: Facts, row: RewriteRow, rewritten: str) -> ContentScore:
    """Compares a rewrite with the content of the answer; see ``ContentScore``."""
    lost, invented = facts.differences(
        row.content, rewritten, known=f"{row.question}\n{row.answer}"
    )
    stems = _stems(row.content)
    finished = (
        len(rewritten.split()) <= _BRIEF
        or _ENDS.search(rewritten) is not None
        or _ENDS.search(row.answer) is None
    )
    return ContentScore(
        kept=len(facts(row.content)) - len(lost),
        lost=lost,
        invented=invented,
        coverage=len(stems & _stems(rewritten)) / len(stems) if stems else 1.0,
        finished=finished,
        visible=visible(rewritten) == rewritten or visible(row.answer) != row.answer,
        repeats=bool(_twice(rewritten) - _twice(row.answer)),
    )


def _twice(text: str) -> set[str]:
    """The clauses of some length that a text has more than once."""
    clauses = (" ".join(_WORD.findall(part.lower())) for part in _CLAUSE_END.split(text))
    counts = Counter(clause for clause in clauses if clause.count(" ") >= _CLAUSE - 1)
    return {clause for clause, count in counts.items() if count > 1}


def _stems(text: str) -> frozenset[str]:
    words = (word.lower() for word in _WORD.findall(text))
    return frozenset(word[:_STEM] for word in words if word not in ENGLISH_STOP_WORDS)
