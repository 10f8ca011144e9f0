"""The report's pictures as SVG paths."""

from __future__ import annotations

import math
from collections.abc import Iterable

from synflaw_audit.findings.picture import SIDE, Density
from synflaw_audit.findings.report import TemplateSummary

CHART_WIDTH, CHART_HEIGHT = 300.0, 90.0


def dots(places: str) -> str:
    """An SVG path of one dot a place: strokes without length, which line caps make visible."""
    return "".join(f"M{place.replace(',', ' ')}h0" for place in places.split())


def curve(heights: str) -> str:
    """An SVG path through a density's heights, from left to right; "" where there are none."""
    values = [int(height) for height in heights.split()]
    if not values:
        return ""
    step = CHART_WIDTH / max(len(values) - 1, 1)
    points = (f"{i * step:.1f} {_up(value / SIDE)}" for i, value in enumerate(values))
    return "M" + "L".join(points)


def across(value: float, density: Density) -> float:
    """Where a value stands on a density's axis, in SVG units."""
    extent = density.high - density.low
    return round(CHART_WIDTH * (value - density.low) / extent, 1) if extent > 0 else 0.0


def axis_ticks(density: Density) -> list[int]:
    """The whole numbers on a density's axis, at most about eight of them."""
    first, last = math.ceil(density.low), math.floor(density.high)
    return list(range(first, last + 1, max(1, (last - first) // 8)))


def cut(templates: Iterable[TemplateSummary]) -> str:
    """An SVG path of the share of records that a limit on a template's share leaves flagged.

    At a limit x stands the share of records whose template more than x of all records follow; both
    axes go from 0 to 1.
    """
    shares = sorted((template.share for template in templates), reverse=True)
    left, path = min(sum(shares), 1.0), ""
    path = f"M0 {_up(left)}"
    for share in reversed(shares):
        left = max(left - share, 0.0)
        path += f"H{CHART_WIDTH * min(share, 1.0):.1f}V{_up(left)}"
    return path + f"H{CHART_WIDTH:.1f}"


def _up(share: float) -> str:
    """A height on the chart, whose origin is at the top."""
    return f"{CHART_HEIGHT * (1 - share):.1f}"
