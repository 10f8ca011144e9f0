"""The anatomy of a model as one self-contained page: no network, no script, all escaped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from math import isnan

from jinja2 import Environment, StrictUndefined, Template

from synflaw_audit.anatomy.anatomy import Anatomy

WIDTH, HEIGHT = 300.0, 90.0  # of a chart, in SVG units
_SHOWN = 12  # kinds of modules


def render(found: Anatomy) -> str:
    """The page."""
    modules = list(found.by_module().items())[:_SHOWN]
    return _template().render(
        found=found,
        layers=len(found.ours.template) - 1,
        width=WIDTH,
        height=HEIGHT,
        lines={
            kind: [
                (whose, curve(getattr(depths, kind)))
                for whose, depths in (("ours", found.ours), ("base", found.theirs))
            ]
            for kind in ("template", "content")
        },
        modules=modules,
        cells=_cells(found, [name for name, _ in modules]),
    )


def curve(shares: Sequence[float]) -> str:
    """An SVG path through shares, from left to right; "" where one is not a number."""
    if any(map(isnan, shares)):
        return ""
    step = WIDTH / max(len(shares) - 1, 1)
    points = (f"{i * step:.1f} {HEIGHT * (1 - share):.1f}" for i, share in enumerate(shares))
    return "M" + "L".join(points)


def _cells(found: Anatomy, modules: Sequence[str]) -> list[tuple[str, list[tuple[float, float]]]]:
    """For each kind of module its cells: the place from 0 to 1, and how dark."""
    layers = max(len(found.by_layer()), 1)
    inside = [each for each in found.shares if each.layer is not None]
    darkest = max((each.share for each in inside), default=0.0) or 1.0
    return [
        (
            module,
            [
                ((each.layer or 0) / layers, each.share / darkest)
                for each in inside
                if each.module == module
            ],
        )
        for module in modules
        if any(each.module == module for each in inside)
    ]


@cache
def _template() -> Template:
    source = resources.files("synflaw_audit.anatomy").joinpath("page.html.jinja")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source.read_text("utf-8"))
