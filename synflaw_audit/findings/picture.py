"""Pictures of a corpus and its reference, small enough for a page and for JSON."""

from __future__ import annotations

from dataclasses import dataclass

SIDE = 1000  # places are whole numbers from 0 to it


@dataclass(frozen=True)
class ScatterPlot:
    """Answers of a corpus and of its reference in the plane, near each other where they are alike.

    Attributes:
        corpus: The places of the corpus's answers as "x,y x,y ...", whole numbers from 0 to 1000,
            y downwards.
        reference: Those of the reference's.
    """

    corpus: str
    reference: str


@dataclass(frozen=True)
class Peak:
    """A place on a density's axis that has a name, such as a structural token's frequency."""

    label: str
    at: float


@dataclass(frozen=True)
class Density:
    """How a quantity is distributed in a corpus and in its reference, as kernel density estimates.

    Attributes:
        low: Where the axis begins, in the quantity's unit.
        high: Where it ends.
        corpus: The density at even steps from ``low`` to ``high``, as "h h ...", whole numbers from
            0 to 1000, where 1000 is the highest of both curves.
        reference: That of the reference; "" where there is none.
        peaks: What stands out in the corpus.
    """

    low: float
    high: float
    corpus: str
    reference: str = ""
    peaks: tuple[Peak, ...] = ()
