"""Two pictures of the paper: how token frequencies and perplexities are distributed.

Chen et al., "Unveiling the Flaws" (Findings of EMNLP 2024), draw both as kernel density estimates:
synthetic answers have peaks in the first, at the tokens of their format, and a second that is
shifted and narrower.
"""

from __future__ import annotations

import numpy as np

from synflaw_audit.findings.picture import SIDE, Density, Peak
from synflaw_audit.measures.structural import spread
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.phrases import Floats

STEPS = 96
PEAKS = 5
WINDOW = 32  # tokens of an answer that its perplexity is taken of
FEWEST = 20  # values; of fewer a density says nothing


def token_frequencies(corpus: Corpus) -> Density | None:
    """The density of token frequencies, over the kinds of token that are not rare.

    The axis is log10 of the occurrences per answer: what a format puts into each answer once
    stands at 0, whatever the answers' length. The peaks are the structural tokens.

    Returns:
        None where fewer than ``FEWEST`` kinds are not rare.
    """
    seen = spread(corpus)
    reference = None if corpus.reference is None else np.log10(spread(corpus.reference).per_answer)
    order = np.lexsort((seen.ids, -seen.excess))[:PEAKS]
    named = [i for i in order if seen.excess[i] > 0]
    peaks = tuple(Peak(seen.texts[i], float(np.log10(seen.per_answer[i]))) for i in named)
    return _density(np.log10(seen.per_answer), reference, peaks)


def perplexities(corpus: Corpus) -> Density | None:
    """The density of the answers' perplexities, as bits a token of their first ``WINDOW`` tokens.

    Returns:
        None without a reference, beside which alone it says something, and where fewer than
        ``FEWEST`` answers are so long.
    """
    if corpus.reference is None:
        return None
    return _density(_bits(corpus), _bits(corpus.reference), ())


def _bits(corpus: Corpus) -> Floats:
    bits = corpus.bits(WINDOW)
    return bits[~np.isnan(bits)]


def _density(ours: Floats, reference: Floats | None, peaks: tuple[Peak, ...]) -> Density | None:
    if len(ours) < FEWEST:
        return None
    if reference is not None and len(reference) < FEWEST:
        reference = None
    both = ours if reference is None else np.concatenate([ours, reference])
    margin = 3 * max(_bandwidth(ours), 0.0 if reference is None else _bandwidth(reference))
    low, high = float(both.min()) - margin, float(both.max()) + margin
    grid = np.linspace(low, high, STEPS)
    curves = [_estimate(ours, grid)] + ([] if reference is None else [_estimate(reference, grid)])
    highest = max(float(curve.max()) for curve in curves)
    drawn = [
        " ".join(map(str, np.rint(SIDE * curve / highest).astype(int).tolist())) for curve in curves
    ]
    return Density(low, high, drawn[0], drawn[1] if len(drawn) > 1 else "", peaks)


def _bandwidth(values: Floats) -> float:
    """Silverman's rule of thumb ("Density Estimation", 1986, equation 3.31)."""
    lower, upper = np.quantile(values, [0.25, 0.75])
    spreads = [s for s in (float(values.std()), float(upper - lower) / 1.34) if s > 0]
    return float(max(0.9 * min(spreads, default=0.0) * len(values) ** -0.2, 1e-2))


def _estimate(values: Floats, grid: Floats) -> Floats:
    """A Gaussian kernel density estimate; importing scipy.stats for it would cost more than it."""
    width = _bandwidth(values)
    away = (grid[:, None] - values[None, :]) / width
    return np.asarray(np.exp(-0.5 * away**2).mean(axis=1) / width)
