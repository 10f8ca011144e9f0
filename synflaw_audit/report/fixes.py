"""The page of a repaired corpus: what was cut is struck through, before beside after."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template

from synflaw_audit.findings.finding import MarkedText
from synflaw_audit.findings.fixes import Fix
from synflaw_audit.untrusted import visible


def render(fix: Fix) -> str:
    """The whole page; it loads nothing, and everything in it is escaped."""
    after = {check.code: check for check in fix.after.checks}
    checks = [(check, after.get(check.code)) for check in fix.before.checks]
    return _template().render(fix=fix, checks=checks, parts=_parts)


def _parts(marked: MarkedText) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether it is format."""
    at = 0
    for start, end in marked.spans:
        yield marked.text[at:start], False
        yield marked.text[start:end], True
        at = end
    yield marked.text[at:], False


@cache
def _template() -> Template:
    source = resources.files("synflaw_audit.report").joinpath("fixes.html.jinja").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["visible"] = visible
    return environment.from_string(source)
