"""Templates described: what nearly all rows of one share, and how the rows are worded."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from synflaw_audit.findings.finding import MarkedText
from synflaw_audit.text.templates import SLOT, Spans, Template, pattern, spans
from synflaw_audit.text.tokens import Ints, Mask, Tokens, extended

ROWS = 1000  # of a template that are looked at
SHARED = 0.9  # of the rows that have a word, which make it the template's
MOST = 0.5  # of a row's format that its rows share, or the template is a family of wordings
VARIANTS, EXAMPLES = 8, 3


def described(
    name: str, follows: Mask, is_format: Mask, tokens: Tokens, texts: pa.Array
) -> Template:
    """Describes a template by the rows that follow it.

    The pattern is the commonest row's, without the words that fewer than ``SHARED`` of the rows
    have, counted as often as that row has them.

    Args:
        name: The template's id.
        follows: bool [rows], which rows follow it.
        is_format: bool [tokens], which tokens are format.
        tokens: Of the rows.
        texts: Arrow string array [rows].
    """
    every = np.flatnonzero(follows)
    if not len(every):
        return Template(name, SLOT, 0.0, 0, ())
    rows = every[:ROWS]
    chosen = texts.take(pa.array(rows))
    marked = spans(chosen, tokens, is_format, rows)
    shown = chosen.to_pylist()
    patterns = [pattern(text, marked[place]) for place, text in enumerate(shown)]
    counts: Counter[str] = Counter()
    first: dict[str, int] = {}
    for place, seen in enumerate(patterns):
        counts[seen] += 1
        # Of the texts of one pattern the least is shown, so that the order of rows changes nothing.
        if seen not in first or shown[place] < shown[first[seen]]:
            first[seen] = place
    ranked = sorted(counts, key=lambda seen: (-counts[seen], seen))
    commonest = first[ranked[0]]
    shared, part = _shared(tokens, is_format, rows, int(rows[commonest]))
    held: Spans = spans(chosen[commonest : commonest + 1], tokens, shared, rows[[commonest]])
    return Template(
        id=name,
        pattern=pattern(shown[commonest], held[0]) or SLOT,
        share=len(every) / len(follows),
        rows=len(every),
        examples=tuple(
            MarkedText(shown[first[seen]], tuple(marked[first[seen]])) for seen in ranked[:EXAMPLES]
        ),
        kind="template" if part >= MOST else "family",
        variants=tuple(
            (seen, counts[seen] / len(rows)) for seen in ranked[:VARIANTS] if len(ranked) > 1
        ),
    )


def _shared(tokens: Tokens, is_format: Mask, rows: Ints, commonest: int) -> tuple[Mask, float]:
    """Which format tokens of a row nearly all rows have, and their part of the rows' format.

    Args:
        tokens: Of the rows.
        is_format: bool [tokens].
        rows: int64, the rows that are compared.
        commonest: The row.

    Returns:
        bool [tokens], and the share of words.
    """
    taken, at = tokens.take(rows)
    held = is_format[at]
    words = held & taken.words
    shared = np.zeros(len(tokens.ids), dtype=bool)
    own = np.arange(tokens.offsets[commonest], tokens.offsets[commonest + 1])
    here = int(np.flatnonzero(rows == commonest)[0])
    first = int(taken.offsets[here])
    # A word is the same word in another row if it stands beside the same one.
    for step in (-1, 1):
        beside = np.where(np.roll(held, -step), np.roll(taken.ids, -step), 0).astype(np.uint64)
        key = np.where(held, extended(beside, taken.ids), 0).astype(np.uint64)
        times: Counter[int] = Counter()
        for place in (own[is_format[own]] - own[0] + first).tolist():
            times[int(key[place])] += 1
            often = np.bincount(taken.row[key == key[place]], minlength=len(rows))
            having = (often >= times[int(key[place])]).sum()
            shared[own[0] + place - first] |= having >= SHARED * len(rows)
    # The mark that ends a sentence says nothing by itself.
    beside_it = shared & ~tokens.breaks
    shared &= ~tokens.stops | np.roll(beside_it, 1) | np.roll(beside_it, -1)
    mean = float(words.sum() / len(rows))
    common = float((shared & tokens.words).sum())
    return shared & (common > 0), common / mean if mean else 1.0
