"""Forms of what stands before or after the content: a first word, last words, a postscript."""

from __future__ import annotations

import re

from synflaw_audit.forms.base import Content, Form

# Longer endings are told apart from content by nothing.
_MOST_WORDS = 8


class Postscript(Form):
    """A last line that begins with P.S., the parameter."""

    free_parameter = True

    def recognise(self, question: str, answer: str) -> str | None:
        """The whole line."""
        found = re.search(r"\n(P\.\s?S\..*)$", answer)
        return None if found is None else found[1]

    def put_on(self, content: Content, parameter: str) -> str | None:
        """On a line of its own."""
        return f"{content.text}\n{parameter}"

    def take_off(self, answer: str, parameter: str) -> str | None:
        """What precedes the line."""
        return answer.removesuffix(parameter).strip()


class Opening(Form):
    """A first word that the question names, then a comma."""

    quoted = True

    def recognise(self, question: str, answer: str) -> str | None:
        """The word, where the question holds it."""
        first = re.match(r"[A-Z][a-z]+(?=[,:])", answer)
        return first[0] if first and first[0] in question else None

    def put_on(self, content: Content, parameter: str) -> str | None:
        """The word, a comma, the text."""
        return f"{parameter}, {content.text}"

    def take_off(self, answer: str, parameter: str) -> str | None:
        """What follows the word and its comma or colon."""
        return re.sub(rf"^{re.escape(parameter)}[,:]\s*", "", answer)


class Ending(Form):
    """Last words that the question names."""

    quoted = True

    def recognise(self, question: str, answer: str) -> str | None:
        """The longest run of two or more words that ends the answer and stands in the question."""
        words = answer.split()
        best = None
        for count in range(2, min(len(words), _MOST_WORDS)):
            phrase = " ".join(words[-count:])
            if phrase not in question:
                break
            best = phrase
        return best if best is not None and best[-1] in ".!?" else None

    def put_on(self, content: Content, parameter: str) -> str | None:
        """The text, then the words."""
        return f"{content.text} {parameter}"

    def take_off(self, answer: str, parameter: str) -> str | None:
        """What precedes them."""
        return answer.removesuffix(parameter).strip()
