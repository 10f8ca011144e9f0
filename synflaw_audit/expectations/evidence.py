"""What Data Docs shows below an expectation: the trend, the templates, the groups and the rows.

A fragment of HTML made by a template engine that escapes every value. It folds with ``<details>``,
carries its styles along, light and dark, and needs no script and nothing from the network.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from synflaw_audit.expectations.history import PastScore, history
from synflaw_audit.findings.report import MarkedText
from synflaw_audit.report import words
from synflaw_audit.untrusted import visible

# The trend, in SVG units; the margin holds the dots.
WIDTH, HEIGHT, MARGIN = 300.0, 60.0, 5.0


@dataclass(frozen=True)
class TrendPoint:
    """One run on the trend.

    Attributes:
        x: Across.
        y: Down.
        success: Whether the expectation was met.
        title: When, and the score.
    """

    x: float
    y: float
    success: bool
    title: str


@dataclass(frozen=True)
class Trend:
    """The scores of an expectation over its runs, as a picture.

    Attributes:
        dots: One a run, the oldest first.
        path: Through them.
        limit: How far down the limit is drawn; None where there is not one for all runs.
        caption: It in words.
    """

    dots: tuple[TrendPoint, ...]
    path: str
    limit: float | None
    caption: str
    width: float = WIDTH
    height: float = HEIGHT


def fragment(result: Any) -> str | None:
    """The HTML of a validation result; None if there is nothing to show."""
    body = result.result or {}
    details = body.get("details") or {}
    known = history(result)
    drawn = trend(known.scores.get(result.expectation_config.id, ()), _limit(result))
    templates, examples = details.get("templates") or [], body.get("flagged_examples") or []
    if not (templates or examples or drawn):
        return None
    return _template().render(
        trend=drawn,
        phrases=_phrases(details.get("observed") or {}),
        templates=templates,
        groups=details.get("groups"),
        examples=[_example(row, body) for row in examples],
        count=body.get("unexpected_count", 0),
        stored=known.found,
        directory=None if known.folder is None else shlex.quote(str(known.folder)),
    )


def trend(scores: Sequence[PastScore], limit: float | None) -> Trend | None:
    """The picture of two runs or more; None of fewer."""
    if len(scores) < 2:
        return None
    step = (WIDTH - 2 * MARGIN) / (len(scores) - 1)
    dots = tuple(
        TrendPoint(
            round(MARGIN + number * step, 1),
            _down(one.score),
            one.success,
            f"{one.time:%Y-%m-%d %H:%M}: {one.score:.3f}, {'passed' if one.success else 'failed'}",
        )
        for number, one in enumerate(scores)
    )
    first, last = scores[0], scores[-1]
    day = "%Y-%m-%d" if first.time.date() != last.time.date() else "%Y-%m-%d %H:%M"
    caption = (
        f"The score over {len(scores)} runs, {first.time:{day}} to {last.time:{day}}: "
        f"{first.score:.3f} at first, {scores[-2].score:.3f} the last time, {last.score:.3f} now"
    )
    if limit is not None:
        caption += f"; the limit {limit:g} is dashed"
    path = "M" + "L".join(f"{dot.x} {dot.y}" for dot in dots)
    return Trend(dots, path, None if limit is None else _down(limit), caption)


def _down(score: float) -> float:
    """How far down a score is drawn: 1 at the top."""
    return round(MARGIN + (HEIGHT - 2 * MARGIN) * (1 - score), 1)


def _limit(result: Any) -> float | None:
    """What the observed value is compared with, where that is one number."""
    limit = result.expectation_config.kwargs.get("max_score")
    if isinstance(limit, dict):  # a suite parameter; of a check, what it was is in the result
        limits = ((result.result or {}).get("details") or {}).get("limits") or {}
        limit = next(iter(limits.values())) if len(limits) == 1 else None
    return limit if isinstance(limit, int | float) else None


def _phrases(observed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the measures of openings and closings saw, where it is one of them that failed."""
    found = observed.get("commonest") or []
    return [phrase for phrase in found if {"text", "share"} <= set(phrase)]


def _example(row: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    spans = tuple((start, end) for start, end in row["template_spans"])
    return {
        "where": _where(row, body),
        "question": row["question"],
        "answer": words.marked_parts(MarkedText(row["answer"], spans)),
        "reason": row["reason"],
    }


def _where(row: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """The row's index columns where the result names any, else its number."""
    names = body.get("unexpected_index_column_names")
    return ", ".join(str(row["index"].get(name)) for name in names) if names else str(row["row"])


@cache
def _template() -> Template:
    source = resources.files("synflaw_audit.expectations").joinpath("evidence.html.jinja")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "visible": visible,
        "parts": words.pattern_parts,
        "percent": words.percent,
        "count": "{:,}".format,
    }
    return environment.from_string(source.read_text("utf-8"))
