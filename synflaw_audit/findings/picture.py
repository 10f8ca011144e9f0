"""The picture of a corpus beside its reference, small enough for a page and for JSON."""

from __future__ import annotations

from dataclasses import dataclass

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
