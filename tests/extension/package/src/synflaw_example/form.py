"""A form: the answer between brackets."""

from __future__ import annotations

from synflaw_audit.forms.base import Content, Form


class Bracketed(Form):
    """[As here.]"""

    def recognise(self, question: str, answer: str) -> str | None:
        """A bracket at both ends, and none between."""
        inner = answer[1:-1]
        whole = answer == f"[{inner}]" and not set("[]") & set(inner)
        return "" if whole and inner else None

    def put_on(self, content: Content, parameter: str) -> str | None:
        """Around all of it."""
        return f"[{content.text}]"

    def take_off(self, answer: str, parameter: str) -> str | None:
        """What is between."""
        return answer[1:-1]
