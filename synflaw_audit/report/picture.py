"""The picture of a corpus beside its reference, small enough for a page and for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from synflaw_audit.corpus import Corpus
    from synflaw_audit.measures.separability import Picture as Places

ROWS = 300  # of either corpus: the map's cost grows faster than their number
SIDE = 1000  # places are whole numbers from 0 to it


@dataclass(frozen=True)
class Picture:
    """Answers of a corpus and of its reference in the plane, near each other where they are alike.

    Attributes:
        corpus: The places of the corpus's answers as "x,y x,y ...", whole numbers from 0 to 1000,
            y downwards.
        reference: Those of the reference's.
    """

    corpus: str
    reference: str


def pictured(corpus: Corpus) -> Picture | None:
    """The corpus beside its reference; None if it has none, or either has too few rows."""
    from synflaw_audit.measures.separability import FEWEST, picture

    if corpus.reference is None or min(len(corpus), len(corpus.reference)) < FEWEST:
        return None
    return drawn(picture(corpus, ROWS))


def drawn(places: Places) -> Picture:
    """Places in the plane on the picture's grid, both axes at one scale."""
    low = places.places.min(axis=0)
    extent = float((places.places.max(axis=0) - low).max()) or 1.0
    margin = (1 - (places.places.max(axis=0) - low) / extent) / 2
    grid = np.rint(SIDE * ((places.places - low) / extent + margin)).astype(int)
    corpus, reference = (
        " ".join(f"{x},{y}" for x, y in grid[side].tolist())
        for side in (~places.reference, places.reference)
    )
    return Picture(corpus, reference)


def dots(places: str) -> str:
    """An SVG path of one dot a place: strokes without length, which line caps make visible."""
    return "".join(f"M{place.replace(',', ' ')}h0" for place in places.split())
