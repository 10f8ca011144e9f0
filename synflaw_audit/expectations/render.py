"""What Data Docs shows of our expectations. Everything that comes from data is escaped here.

Great Expectations pastes strings into its pages as they are (its releases differ in which), so a
row that holds markup would run in the reader's browser. Strings that reach it from here are HTML
made by a template engine that escapes every value; it passes such strings through unchanged. The
fragment folds with ``<details>`` and carries its few styles along: it needs no script and nothing
from the network.
"""

from __future__ import annotations

import html
from functools import cache
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from jinja2.environment import Template
from markupsafe import Markup

from synflaw_audit.expectations.compat import RenderedStringTemplateContent

SHORT = 12
_MESSAGE = "color:#b3261e;margin-top:.5rem;max-width:42rem;white-space:normal"

# Styles stand in every cell, because the page's own may come from a network that is not there.
_EVIDENCE = """\
{%- set cell = "border:1px solid #8884;padding:.3rem .5rem;vertical-align:top;text-align:left" %}
{%- set wrapped = cell ~ ";white-space:pre-wrap;overflow-wrap:anywhere" %}
{%- set number = cell ~ ";text-align:right;width:6rem" %}
{%- set grid = "border-collapse:collapse;margin:.5rem 0;width:100%" %}
<div class="synflaw-evidence" style="margin-top:.75rem;max-width:42rem;white-space:normal">
{%- if phrases %}
<table style="{{ grid }}">
<thead><tr><th style="{{ cell }}">Commonest words</th>
<th style="{{ number }}">Share</th></tr></thead>
<tbody>
{%- for phrase in phrases %}
<tr><td style="{{ wrapped }};font-family:monospace">{{ phrase.text }}</td>
<td style="{{ number }}">{{ "{:.1%}".format(phrase.share) }}</td></tr>
{%- endfor %}
</tbody></table>
{%- elif templates %}
<table style="{{ grid }}">
<thead><tr><th style="{{ cell }}">Template (&lt;*&gt; varies)</th>
<th style="{{ number }}">Rows</th><th style="{{ number }}">Share</th></tr></thead>
<tbody>
{%- for template in templates %}
<tr><td style="{{ wrapped }};font-family:monospace">{{ template.pattern }}
{%- if template.get("kind") == "family" %}<br>a family of wordings:{% endif %}
{%- for variant in template.get("variants", [])[:3] %}<br>{{ variant }}{% endfor %}</td>
<td style="{{ number }}">{{ "{:,}".format(template.records) }}</td>
<td style="{{ number }}">{{ "{:.1%}".format(template.share) }}</td></tr>
{%- endfor %}
</tbody></table>
{%- endif %}
{%- if examples %}
<details><summary style="cursor:pointer">{{ examples | length }} of {{ "{:,}".format(count) }}
flagged rows, format marked, the worst first</summary>
<table style="{{ grid }}">
<thead><tr>
{%- for heading in ("Row", "Question", "Answer", "Why") %}
<th style="{{ cell }}">{{ heading }}</th>
{%- endfor %}
</tr></thead>
<tbody>
{%- for row in examples %}
<tr><td style="{{ cell }}">{{ row.where }}</td><td style="{{ wrapped }}">{{ row.question }}</td>
<td style="{{ wrapped }}">{{ row.answer }}</td><td style="{{ cell }}">{{ row.reason }}</td></tr>
{%- endfor %}
</tbody></table></details>
{%- endif %}
<p style="margin:.5rem 0">Next: the checkpoint's WriteFlaggedSubsetAction has written all of these
rows. <code>synflaw gx latest DIRECTORY</code> prints where, and
<code>synflaw repair MODEL --forget flagged.parquet</code> takes their format out of a model that
has been trained on them.</p>
</div>"""


@cache
def _evidence_template() -> Template:
    loader = DictLoader({"evidence": _EVIDENCE})
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template("evidence")


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
    return [words, f" <em>where {html.escape(condition)}</em>"]


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
    """Why the expectation failed, in one sentence."""
    if result is None or result.success:
        return []
    body = result.result or {}
    message = (body.get("details") or {}).get("message") or _exception_message(result)
    if not message:
        return []
    return [f'<div class="text-danger" style="{_MESSAGE}">{html.escape(message)}</div>']


def evidence(result: Any) -> list[Any] | None:
    """The templates and the flagged rows, collapsed."""
    body = (result.result if result else None) or {}
    details = body.get("details") or {}
    templates, examples = details.get("templates"), body.get("flagged_examples")
    if not templates and not examples:
        return None
    page = _evidence_template().render(
        phrases=_phrases(details.get("observed") or {}),
        templates=templates or [],
        examples=[_shown(row, body) for row in examples or []],
        count=body.get("unexpected_count", 0),
    )
    return [page]


def _phrases(observed: dict[str, Any]) -> list[dict[str, Any]]:
    """What the measures of openings and closings saw, where it is one of them that failed."""
    found = observed.get("commonest") or []
    return [phrase for phrase in found if {"text", "share"} <= set(phrase)]


def _shown(row: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    return {
        "where": _place(row, body),
        "question": row["question"],
        "answer": marked(row["answer"], row["template_spans"]),
        "reason": row["reason"],
    }


def _place(row: dict[str, Any], body: dict[str, Any]) -> str:
    """The row's index columns where the result names any, else its number."""
    names = body.get("unexpected_index_column_names")
    return ", ".join(str(row["index"].get(name)) for name in names) if names else str(row["row"])


def marked(text: str, spans: list[list[int]]) -> Markup:
    """The text escaped, with its spans (start, end; in order, not overlapping) in ``<mark>``."""
    out, place = Markup(), 0
    for start, end in spans:
        out += Markup('{}<mark style="background:#ffe58f;padding:0">{}</mark>').format(
            text[place:start], text[start:end]
        )
        place = end
    return out + text[place:]


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
