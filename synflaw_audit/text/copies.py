"""Copies: rows of one question that say the same."""

from __future__ import annotations

import numpy as np

from synflaw_audit.text.tokens import Ints, Mask


def firsts(unit: Ints, text: Ints) -> Mask:
    """Which rows are no copies of an earlier row of their unit: bool [rows].

    Args:
        unit: int64 [rows].
        text: int64 [rows], see ``factorized``.
    """
    found = np.zeros(len(unit), dtype=bool)
    found[np.unique(np.stack([unit, text]), axis=1, return_index=True)[1]] = True
    return found
