"""The picture of the loss's terms in the model card."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from synflaw_audit.repair.curves import curves

SVG = "{http://www.w3.org/2000/svg}"


def test_each_term_that_was_logged_has_a_panel_from_its_first_to_its_last_value() -> None:
    log = [{"step": float(n), "forget_loss": 2.0 / n, "replay_loss": 1.0, "bias_loss": 0.0}
           for n in range(1, 6)]  # fmt: skip
    picture = ElementTree.fromstring(curves(log) or "")  # noqa: S314 -- our own text
    lines = [each.get("points", "").split() for each in picture.iter(f"{SVG}polyline")]
    assert [len(points) for points in lines] == [5, 5]
    heights = [float(point.split(",")[1]) for point in lines[0]]
    assert heights == sorted(heights)  # it falls, and down is more
    texts = [each.text for each in picture.iter(f"{SVG}text")]
    assert texts[:3] == ["forgetting the format", "2", "0.4"]


def test_nothing_to_draw_is_no_picture() -> None:
    assert curves([]) is None
    assert curves([{"forget_loss": 1.0}]) is None
    assert curves([{"forget_loss": math.nan}, {"forget_loss": 1.0}]) is None
