"""A report as one self-contained HTML page: no network, no script, everything escaped.

The template escapes whatever it prints (jinja2's autoescape, never switched off), and a content
security policy in the page forbids scripts and loading, should an escape ever be missing.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from synflaw_audit.findings.leakage import sentences
from synflaw_audit.findings.losses import losses_of
from synflaw_audit.findings.picture import SIDE
from synflaw_audit.findings.report import Report
from synflaw_audit.report import explanation, picture, words
from synflaw_audit.untrusted import visible

# The charts' inner width and margin, in SVG units.
WIDTH = 200.0
MARGIN = 5.0


def render(report: Report) -> str:
    """The whole report; see ``Report.to_html``."""
    return _template().render(
        report=report,
        losses=list(losses_of(report.dataset.accounts)),
        shared=sentences(report.leakage),
        templates=report.templates[: words.MOST_TEMPLATES],
        answer_templates=[t for t in report.templates if words.templated_field(t) == "answers"],
        more_templates=max(0, len(report.templates) - words.MOST_TEMPLATES),
        uncalibrated="uncalibrated" in report.risk.basis.lower(),
    )


@cache
def _template() -> Template:
    source = (
        resources.files("synflaw_audit.report").joinpath("report.html.jinja").read_text("utf-8")
    )
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": words.percent,
        "number": words.number,
        "line": words.one_line,
        "visible": visible,
        "clip": words.clip,
        "parts": words.pattern_parts,
        "x": position,
        "count": words.count,
        "place": words.templated_field,
        "kind": words.kind,
        "named": words.named,
        "allowed": words.allowed,
        "value": words.value,
        "shape": shape,
        "share": words.percent_or_dash,
        "dots": picture.dots,
        "curve": picture.curve,
        "at": explanation.location,
    }
    environment.globals |= {
        "symbols": words.SYMBOLS,
        "headline": words.headline,
        "standing_out": words.standing_out,
        "grouped_by": words.grouped_by,
        "remark": words.remark,
        "marked_parts": words.marked_parts,
        "most_variants": words.MOST_VARIANTS,
        "most_examples": words.MOST_EXAMPLES,
        "width": WIDTH + 2 * MARGIN,
        "margin": MARGIN,
        "side": SIDE,
        "chart_width": picture.CHART_WIDTH,
        "chart_height": picture.CHART_HEIGHT,
        "across": picture.across,
        "cut": picture.cut,
        "axis_ticks": picture.axis_ticks,
        "explained": explanation.explained,
        "worst_first": explanation.worst_first,
        "what_if": explanation.what_if,
        "apart": explanation.apart,
        "predictions": words.predictions,
        "risk_bounds": words.risk_bounds,
        "group_name": words.group_name,
        "field_said": words.field,
        "remainder": explanation.remainder,
        "example_characters": explanation.EXAMPLE_CHARACTERS,
    }
    return environment.from_string(source)


def position(score: float) -> float:
    """Where a score in [0, 1] stands on a chart's axis."""
    return round(MARGIN + WIDTH * min(max(score, 0.0), 1.0), 2)


def shape(value: Any) -> str:
    """How to lay out something observed: as "table", "list", "fields" or plain "value"."""
    if isinstance(value, dict) and value:
        return "fields"
    if not isinstance(value, list | tuple) or not value:
        return "value"
    if all(isinstance(item, dict) and item.keys() == value[0].keys() for item in value):
        return "table"
    return "list"
