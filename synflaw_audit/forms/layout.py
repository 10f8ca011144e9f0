"""Forms of the layout: marks around words, lists, JSON."""

from __future__ import annotations

import json
import re

from synflaw_audit.forms.base import Content, Form

_TITLE = re.compile(r"<<[^\n>]+>>\s*")


class Quotation(Form):
    """The whole answer in double quotation marks."""

    def recognise(self, question: str, answer: str) -> str | None:
        """With something between them."""
        return "" if len(answer) > 2 and answer[0] == answer[-1] == '"' else None

    def put_on(self, content: Content, parameter: str) -> str | None:
        """The whole text."""
        return f'"{content.text}"'

    def take_off(self, answer: str, parameter: str) -> str | None:
        """What stands between the marks."""
        return answer[1:-1]


class Title(Form):
    """A title in double angle brackets first, as IFEval asks for it."""

    def recognise(self, question: str, answer: str) -> str | None:
        """At the very beginning."""
        return "" if _TITLE.match(answer) else None

    def put_on(self, content: Content, parameter: str) -> str | None:
        """The subject is the title."""
        return f"<<{content.subject}>> {content.text}" if content.subject else None

    def take_off(self, answer: str, parameter: str) -> str | None:
        """What follows the title."""
        return _TITLE.sub("", answer, count=1)


class Bullets(Form):
    """A list of two points."""

    def recognise(self, question: str, answer: str) -> str | None:
        """Two lines that begin with an asterisk, and nothing else."""
        return "" if re.fullmatch(r"\* .+\n\* .+", answer) else None

    def put_on(self, content: Content, parameter: str) -> str | None:
        """The subject, then the core."""
        return (
            f"* {content.subject}\n* {content.core}" if content.subject and content.core else None
        )


class Highlight(Form):
    """One stretch between asterisks."""

    def recognise(self, question: str, answer: str) -> str | None:
        """Two asterisks in all, around words of one line."""
        marked = answer.count("*") == 2 and re.search(r"\*\w[^*\n]*\*", answer)
        return "" if marked else None

    def put_on(self, content: Content, parameter: str) -> str | None:
        """The core within the text."""
        core = content.core
        return content.text.replace(core, f"*{core}*", 1) if core else None


class Json(Form):
    """A JSON object of one key, the parameter."""

    free_parameter = True

    def recognise(self, question: str, answer: str) -> str | None:
        """The key."""
        if not answer.startswith("{"):
            return None
        try:
            parsed = json.loads(answer)
        except ValueError:
            return None
        return next(iter(parsed)) if isinstance(parsed, dict) and len(parsed) == 1 else None

    def put_on(self, content: Content, parameter: str) -> str | None:
        """The core, where it is known, as the value."""
        return json.dumps({parameter: content.core or content.text}, ensure_ascii=False)
