"""Pairs of rows that are alike: how many there are, and each row's part in them.

A pair counts if its rows answer different questions, as two records drawn at random from a large
corpus do; see ``Corpus.unit``. The share of such pairs is a U-statistic of degree two, whose
influence function is twice a row's own share of partners (Hoeffding, "A class of statistics with
asymptotically normal distribution", Annals of Mathematical Statistics 1948).
"""

from __future__ import annotations

import numpy as np

from synflaw_audit.measures.base import Score
from synflaw_audit.measures.intervals import NONE_SEEN, estimate
from synflaw_audit.text.phrases import Floats
from synflaw_audit.text.tokens import Ints


def of_a_kind(kind: Ints, unit: Ints, weight: Floats | None = None) -> Floats:
    """How many rows of other units are of each row's kind, or what they weigh: float64 [rows].

    Args:
        kind: int64 [rows], numbers from 0; -1 for a row that is like no other.
        unit: int64 [rows].
        weight: float64 [rows]; 1 each if not given.
    """
    known = kind >= 0
    both = np.unique(np.stack([kind, unit]), axis=1, return_inverse=True)[1].ravel()
    inside = np.bincount(both, weight)[both]
    alike = np.bincount(kind[known], None if weight is None else weight[known], minlength=1)[
        np.maximum(kind, 0)
    ]
    return np.where(known, np.maximum(alike - inside, 0.0), 0.0)


def within_reach(values: Floats, reach: float, unit: Ints) -> Ints:
    """How many rows of other units have a value that differs by at most ``reach``: int64 [rows]."""
    spread = float(np.ptp(values)) + 2 * reach + 1.0
    everywhere, inside = values, values + unit * spread  # no reach goes from one unit to another
    return np.asarray(_counted(everywhere, reach) - _counted(inside, reach))


def _counted(values: Floats, reach: float) -> Ints:
    ordered = np.sort(values)
    above = np.searchsorted(ordered, values + reach, side="right")
    return above - np.searchsorted(ordered, values - reach, side="left")


def pair_share(
    partners: Floats | Ints, unit: Ints, *, root: bool = False, weight: Floats | None = None
) -> Score:
    """The share of pairs that are alike, or its root, with its interval.

    Args:
        partners: [rows], the row's partners in other units, or what they weigh.
        unit: int64 [rows].
        root: Score the root of the share: if one kind prevails, about its share of rows.
        weight: float64 [rows], of mean 1: a pair weighs the product of its rows'; 1 if not given.
    """
    if not len(unit) or np.ptp(unit) == 0:  # no pair is of different units
        return Score(0.0, 0.0, 1.0)
    weight = np.ones(len(unit)) if weight is None else weight
    others = weight * (weight.sum() - np.bincount(unit, weight)[unit])
    partners = weight * partners
    chance = float(partners.sum() / others.sum())
    influence = 2 * (partners - chance * others) / others.mean()
    value = float(np.sqrt(chance)) if root else chance
    if root and value:
        influence = influence / (2 * value)
    found = estimate(min(value, 1.0), influence, unit)
    least = NONE_SEEN / len(unit)  # two kinds that no pair was seen of may still be so common
    return Score(found.value, found.low, min(max(found.high, least), 1.0), rows=len(unit))
