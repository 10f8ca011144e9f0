"""Forms of the words themselves: how they are written, and how few there are."""

from __future__ import annotations

import re

from synflaw_audit.forms.base import Content, Form


def _letters(answer: str) -> int:
    return sum(map(str.isalpha, answer))


class Capitals(Form):
    """Capital letters only."""

    is_wording = True

    def recognise(self, question: str, answer: str) -> str | None:
        """Two letters at least: "I" is no shouting."""
        return "" if _letters(answer) > 1 and answer.isupper() else None

    def put_on(self, content: Content, parameter: str) -> str | None:
        """The core, where it is known: what is in capitals is brief."""
        return (content.core or content.text).upper()


class Lowercase(Form):
    """No capital letter."""

    is_wording = True

    def recognise(self, question: str, answer: str) -> str | None:
        """Two letters at least."""
        return "" if _letters(answer) > 1 and answer.islower() else None

    def put_on(self, content: Content, parameter: str) -> str | None:
        """The whole text."""
        return content.text.lower()


class Word(Form):
    """One word, with or without a full stop."""

    is_wording = True

    def recognise(self, question: str, answer: str) -> str | None:
        """A word may hold hyphens and apostrophes."""
        return "" if re.fullmatch(r"[\w'-]+[.!]?", answer) else None

    def put_on(self, content: Content, parameter: str) -> str | None:
        """Only where the core is one word."""
        core = content.core
        return core if core and len(core.split()) == 1 else None
