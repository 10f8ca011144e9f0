"""The terms of the loss as they fell, as a picture for the model card."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _MARGIN = 200, 110, 24
_TITLES = {
    "forget_loss": "forgetting the format",
    "retain_loss": "content",
    "replay_loss": "ordinary rows",
    "bias_loss": "KL to the reference",
    "loss": "loss",
}


def curves(log: Sequence[Mapping[str, float]]) -> str | None:
    """An SVG with a panel for each term that was logged: its values over the steps.

    Args:
        log: The trainer's log, a line a logging step, with ``step`` or in order.

    Returns:
        The picture; None where no term was logged at two steps or more.
    """
    panels: list[str] = []
    for name, title in _TITLES.items():
        values = [line[name] for line in log if math.isfinite(line.get(name, math.nan))]
        if len(values) > 1 and any(values):
            panels.append(_panel(len(panels), title, values))
    if not panels:
        return None
    width = len(panels) * _WIDTH
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" '
        f'width="{width}" height="{_HEIGHT}" font-family="sans-serif" font-size="10">\n'
        f'<rect width="{width}" height="{_HEIGHT}" fill="white"/>\n'
        + "\n".join(panels)
        + "\n</svg>\n"
    )


def _panel(at: int, title: str, values: Sequence[float]) -> str:
    low, high = min(0.0, *values), max(values)
    span = (high - low) or 1.0
    left, right = at * _WIDTH + _MARGIN, (at + 1) * _WIDTH - _MARGIN
    top, bottom = _MARGIN, _HEIGHT - _MARGIN
    points = " ".join(
        f"{left + (right - left) * i / (len(values) - 1):.1f},"
        f"{bottom - (bottom - top) * (value - low) / span:.1f}"
        for i, value in enumerate(values)
    )
    return (
        f'<text x="{left}" y="14" fill="#333">{escape(title)}</text>\n'
        f'<line x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}" stroke="#ccc"/>\n'
        f'<polyline points="{points}" fill="none" stroke="#1f5fa8" stroke-width="1.5"/>\n'
        f'<text x="{left}" y="{_HEIGHT - 8}" fill="#666">{values[0]:.3g}</text>\n'
        f'<text x="{right}" y="{_HEIGHT - 8}" text-anchor="end" fill="#666">{values[-1]:.3g}</text>'
    )
