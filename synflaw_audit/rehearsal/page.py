"""The result of a rehearsal as one self-contained page: no network, no script, all escaped."""

from __future__ import annotations

from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template

from synflaw_audit.rehearsal.result import Axis, RehearsalResult


def render(result: RehearsalResult) -> str:
    """The page."""
    return _template().render(result=result, axes=[_drawn(axis) for axis in result.axes])


def _drawn(axis: Axis) -> dict[str, object]:
    """An axis with its bars scaled to [0, 1] and its numbers written out."""
    top = 1.0 if axis.is_share else max(axis.tuned, axis.control, axis.damage.high, 1e-9) * 1.1

    def scaled(value: float) -> float:
        return min(max(value / top, 0.0), 1.0)

    return {
        "title": axis.title,
        "bars": [
            (name, axis.written(value), scaled(value))
            for name, value in (("corpus", axis.tuned), ("control", axis.control))
        ],
        "damage": axis.written(axis.damage.value),
        "low": axis.written(axis.damage.low),
        "high": axis.written(axis.damage.high),
        "at": scaled(axis.damage.value),
        "from": scaled(axis.damage.low),
        "to": scaled(axis.damage.high),
        "label": "lost" if axis.name == "instruction_loss" else "difference",
        "sure": axis.damage.low > 0,
        "shown": _shown(axis),
        "prompts": axis.damage.prompts,
    }


def _shown(axis: Axis) -> str:
    """What the interval leaves open, to end a sentence with."""
    if axis.damage.low > 0:
        return ""
    if axis.damage.high < 0:
        return "; less than the control's"
    return "; the interval holds 0, so no difference is shown"


@cache
def _template() -> Template:
    source = resources.files("synflaw_audit.rehearsal").joinpath("page.html.jinja")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source.read_text("utf-8"))
