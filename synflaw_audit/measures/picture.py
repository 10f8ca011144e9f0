"""The picture of a corpus beside its reference: the t-SNE map of their answers, on a grid."""

from __future__ import annotations

import numpy as np

from synflaw_audit.findings.picture import SIDE, ScatterPlot
from synflaw_audit.measures.separability import FEWEST, Projection, picture
from synflaw_audit.sample.corpus import Corpus

ROWS = 300  # of either corpus: the map's cost grows faster than their number


def pictured(corpus: Corpus) -> ScatterPlot | None:
    """The corpus beside its reference; None if it has none, or either has too few rows."""
    if corpus.reference is None or min(len(corpus), len(corpus.reference)) < FEWEST:
        return None
    return drawn(picture(corpus, ROWS))


def drawn(places: Projection) -> ScatterPlot:
    """Places in the plane on the picture's grid, both axes at one scale."""
    low = places.places.min(axis=0)
    extent = float((places.places.max(axis=0) - low).max()) or 1.0
    margin = (1 - (places.places.max(axis=0) - low) / extent) / 2
    grid = np.rint(SIDE * ((places.places - low) / extent + margin)).astype(int)
    corpus, reference = (
        " ".join(f"{x},{y}" for x, y in grid[side].tolist())
        for side in (~places.reference, places.reference)
    )
    return ScatterPlot(corpus, reference)
