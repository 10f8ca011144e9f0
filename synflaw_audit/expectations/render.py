"""What Data Docs shows of our expectations; what comes from data is escaped, see ``evidence``.

Great Expectations pastes strings into its pages as they are (its releases differ in which), so a
row that holds markup would run in the reader's browser. Strings that reach it from here are HTML
in which every value is escaped; it passes such strings through unchanged.
"""

from __future__ import annotations

import html
from typing import Any

from synflaw_audit.expectations.compat import RenderedStringTemplateContent
from synflaw_audit.untrusted import visible

SHORT = 12
_MESSAGE = "margin-top:.5rem;max-width:46rem;white-space:normal"


def prescription(template: str, params: dict[str, Any], condition: str) -> list[Any]:
    """The expectation in words, with its values as badges.

    The words are ours and the values numbers or check names; the row condition is the user's own.
    """
    # A badge does not wrap, so only what is short is one.
    badge = {"classes": ["badge", "badge-secondary"]}
    badges = {name: badge for name, value in params.items() if len(str(value)) <= SHORT}
    words = _string(template, params, badges)
    if not condition:
        return [words]
    return [words, f" <em>where {html.escape(visible(condition))}</em>"]


def observed(result: Any) -> str:
    """The score with its interval, or why there is none."""
    body = (result.result if result else None) or {}
    score, details = body.get("observed_value"), body.get("details") or {}
    if score is None:  # nothing was measured, or too little to decide
        return html.escape(str(details.get("verdict", "--")))
    low, high = details.get("low"), details.get("high")
    if low is None or high is None:
        return f"{score:.3f}"
    # Those of the risk are no 95% interval.
    bounds = (details.get("observed") or {}).get("bounds", f"95%: {low:.3f} to {high:.3f}")
    return f"{score:.3f} ({html.escape(str(bounds))})"


def statement(result: Any) -> list[Any]:
    """Why the expectation failed, in one sentence; if it did not, that rows were not read."""
    body = (result.result if result else None) or {}
    if result is None or (result.success and not body.get("missing_count")):
        return []
    message = (body.get("details") or {}).get("message") or _exception_message(result)
    if not message:
        return []
    kind = "text-muted" if result.success else "text-danger"
    return [f'<div class="{kind}" style="{_MESSAGE}">{html.escape(visible(message))}</div>']


def _exception_message(result: Any) -> str:
    """What was raised, in either of the two shapes that Great Expectations stores it in."""
    info = result.exception_info or {}
    if "raised_exception" in info:
        return str(info.get("exception_message") or "")
    for value in info.values():
        return str(getattr(value, "exception_message", None) or dict(value)["exception_message"])
    return ""


def _string(template: str, params: dict[str, Any], styling: dict[str, Any]) -> Any:
    return RenderedStringTemplateContent(
        content_block_type="string_template",
        string_template={"template": template, "params": params, "styling": {"params": styling}},
    )
