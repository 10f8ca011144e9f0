"""Figures with what their uncertainty is made of: one entry a row that they were measured on.

A figure is a ratio of sums over rows, such as a mean over tokens or a share of prompts. Rows, not
tokens, are what is drawn at random, so its interval is a bootstrap over rows (Efron and Tibshirani
1993, "An introduction to the bootstrap", the percentile interval); that of a change draws the same
rows of both, because both were measured on the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]

_DRAWS = 2000
_LEVEL = 0.95


@dataclass(frozen=True)
class PairedFigure:
    """A figure and the rows it was measured on.

    Attributes:
        totals: What each row adds to the numerator, shape ``(n,)``.
        counts: What it adds to the denominator, likewise: its tokens, or 1 for a prompt.
        perplexity: Whether the figure is ``exp(-ratio)`` of log-likelihoods and not the ratio.
    """

    totals: NDArray[np.float64]
    counts: NDArray[np.float64]
    perplexity: bool = False

    @classmethod
    def of(
        cls, totals: Sequence[float], counts: Sequence[float], *, perplexity: bool = False
    ) -> PairedFigure:
        """A figure of plain numbers, one pair a row."""
        return cls(np.asarray(totals, float), np.asarray(counts, float), perplexity)

    @property
    def value(self) -> float:
        """The figure over all rows."""
        return float(self._of(self.totals.sum(), self.counts.sum()))

    def interval(self) -> Interval | None:
        """Its 95% interval; None where a single row, or none, leaves nothing to redraw."""
        return _interval(self._drawn()) if len(self.totals) > 1 else None

    def change(self, after: PairedFigure) -> Interval | None:
        """The 95% interval of ``after - self``, both measured on the same rows in the same order.

        Raises:
            ValueError: They were not.
        """
        if len(after.totals) != len(self.totals):
            raise ValueError(f"{len(self.totals)} rows before, {len(after.totals)} after: no pairs")
        return _interval(after._drawn() - self._drawn()) if len(self.totals) > 1 else None

    def _drawn(self) -> NDArray[np.float64]:
        """The figure over rows redrawn, shape ``(draws,)``; the same draws for as many rows."""
        rows = len(self.totals)
        drawn = np.random.default_rng(rows).integers(0, rows, size=(_DRAWS, rows))
        return self._of(self.totals[drawn].sum(1), self.counts[drawn].sum(1))

    def _of(self, total: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            ratio = np.divide(total, count)
            found: NDArray[np.float64] = np.exp(-ratio) if self.perplexity else ratio
        return found


def _interval(drawn: NDArray[np.float64]) -> Interval:
    tail = 50 * (1 - _LEVEL)
    # Draws of rows without any token have no value.
    low, high = np.nanpercentile(drawn, (tail, 100 - tail))
    return float(low), float(high)


@dataclass(frozen=True)
class Evaluation:
    """Everything measured of one model.

    Attributes:
        figures: Figures with the rows behind them.
        numbers: Further numbers, of probes that report nothing but a number.
    """

    figures: Mapping[str, PairedFigure]
    numbers: Mapping[str, float]

    @property
    def values(self) -> dict[str, float]:
        """Every figure's value, by name."""
        return {**{name: each.value for name, each in self.figures.items()}, **self.numbers}


@dataclass(frozen=True)
class FigureChange:
    """What became of one figure.

    Attributes:
        before: Its value of the original model.
        after: Its value of the repaired one.
        rows: Rows or prompts it was measured on; 0 where that is not known.
        before_interval: The 95% interval of ``before``, where rows are known.
        after_interval: Likewise of ``after``.
        interval: The 95% interval of ``after - before`` over the same rows, likewise.
    """

    before: float
    after: float
    rows: int = 0
    before_interval: Interval | None = None
    after_interval: Interval | None = None
    interval: Interval | None = None

    @property
    def fell(self) -> bool:
        """Whether it fell, beyond chance where that is known."""
        return self.interval[1] < 0 if self.interval else self.after < self.before

    @property
    def rose(self) -> bool:
        """Whether it rose, beyond chance where that is known."""
        return self.interval[0] > 0 if self.interval else self.after > self.before


def changes(before: Evaluation, after: Evaluation) -> dict[str, FigureChange]:
    """What became of each figure that both hold."""
    old, new = before.values, after.values
    found = {}
    for name in old:
        if name not in new:
            continue
        pair = before.figures.get(name), after.figures.get(name)
        if pair[0] is None or pair[1] is None or len(pair[0].totals) != len(pair[1].totals):
            found[name] = FigureChange(old[name], new[name])
        else:
            found[name] = FigureChange(
                old[name],
                new[name],
                rows=len(pair[0].totals),
                before_interval=pair[0].interval(),
                after_interval=pair[1].interval(),
                interval=pair[0].change(pair[1]),
            )
    return found
