"""The picture of a corpus beside its reference as a path of dots on the page."""

from __future__ import annotations


def dots(places: str) -> str:
    """An SVG path of one dot a place: strokes without length, which line caps make visible."""
    return "".join(f"M{place.replace(',', ' ')}h0" for place in places.split())
