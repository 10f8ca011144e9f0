"""Layout concentration: how often two answers are laid out alike, whatever they say."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.measures.base import Marker, Score
from synflaw_audit.measures.pairs import of_a_kind, pair_share
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.tokens import Ints, Mask, factorized

SHOWN = 5
LABELS = 200  # distinct label words told apart; further ones are one kind

# The kinds of line, by the character that stands for them in a skeleton. The first that fits holds.
_FENCE, _CODE, _TABLE, _HEADING, _NUMBERED, _BULLET, _LABEL, _PROSE = "`c|#1-:p"
_WORDS = r"[\pL'\x{2019}]+(?: [\pL'\x{2019}]+){0,2}"
_KINDS: tuple[tuple[str, str], ...] = (
    (_TABLE, r"^\s*\|.*\|\s*$"),
    (_HEADING, r"^\s*(#{1,6}\s|\*\*[^*]+\*\*:?\s*$)"),
    (_NUMBERED, r"^\s*(\d{1,3}|[A-Za-z])[.)]\s"),
    (_BULLET, r"^\s*[-*+\x{2022}\x{2023}\x{25E6}\x{2013}]\s"),
    # "Answer:", "**Step 1:**", "#### ": at most three words before a colon, or a mark of its own.
    (
        _LABEL,
        rf"^\s*(\W{{0,4}}{_WORDS}( ?\d+)?\W{{0,2}}[:\x{{FF1A}}]([^/]|$)|[#=>~*_-]{{2,}}\s*\S)",
    ),
)
_LABEL_NAME = rf"^[\s*_>]*(?P<name>{_WORDS}|[#=>~*_-]+)"
_NAMED = 0xE000  # skeletons write the label words as characters of Unicode's private area
# What recurs inside one answer, list items and the explanations between them, counts once.
_REPEATED = re.compile(r"([^p]|[^p].{1,2}?)\1+", re.DOTALL)
_SPOKEN = {
    _FENCE: "code",
    _TABLE: "table",
    _HEADING: "heading",
    _NUMBERED: "numbered list",
    _BULLET: "bullet list",
    _LABEL: "label",
    _PROSE: "paragraph",
}


@dataclass(frozen=True)
class LayoutConcentration:
    """The root of the chance that two records are laid out alike, plain prose not counted.

    An answer's skeleton is the sequence of its blocks: paragraphs, headings, bullet and numbered
    lists, tables, code, and lines led by a label, each with its word ("Step 1:" and "Step 2:" are
    one label). Simpson's index ("Measurement of diversity", Nature 1949) of the skeletons is their
    collision probability, a share of pairs, which does not depend on the number of records. Two
    one-paragraph answers do not collide: a skeleton weighs 1 - 2**-d, with d its decisions, the
    blocks after the first and the blocks that are not prose.
    """

    def score(self, corpus: Corpus) -> Score:
        """The concentration, with the commonest skeletons."""
        if len(corpus) < 2:
            return Score(0.0, 0.0, 1.0)
        names, code, labels = skeletons(corpus.texts("answer"))
        weight = 1 - 0.5 ** np.array([_decisions(name) for name in names], dtype=np.float64)
        partners = weight[code] * of_a_kind(code, corpus.unit)
        found = pair_share(partners, corpus.unit, root=True)
        share = np.bincount(code, minlength=len(names)) / len(corpus)
        order = sorted(range(len(names)), key=lambda i: (-weight[i] * share[i], names[i]))[:SHOWN]
        shown = [
            {"layout": spoken(names[i], labels), "share": float(share[i])}
            for i in order
            if share[i] * len(corpus) > 1 and weight[i]
        ]
        return replace(found, observed={"commonest": shown})

    def marker(self, corpus: Corpus) -> Marker | None:
        """None: a layout is shared by rows that are good in themselves; it wants variety."""
        return None


def skeletons(texts: pa.Array) -> tuple[list[str], Ints, list[str]]:
    """The skeleton of each text.

    Args:
        texts: Arrow string array [rows].

    Returns:
        The distinct skeletons, a string with one character for each block; the index of each
        row's skeleton among them, int64 [rows]; and the label words, which skeletons write as
        characters from U+E000 on.
    """
    lines = pc.split_pattern_regex(texts.cast(pa.large_string()), r"\r\n|\n|\r")
    row = np.asarray(pc.list_parent_indices(lines))
    flat = pc.list_flatten(lines)
    kind, labels = _kinds(flat, row)
    kept = kind != " "
    starts = np.searchsorted(row[kept], np.arange(len(texts) + 1))
    written = "".join(kind[kept].tolist())
    raw = [written[a:b] for a, b in pairwise(starts.tolist())]
    code, distinct = factorized(pa.array(raw, pa.string()))
    folded, names = factorized(pa.array(map(_folded, distinct.to_pylist()), pa.string()))
    return names.to_pylist(), folded[code], labels


def spoken(skeleton: str, labels: list[str]) -> str:
    """A skeleton as a person reads it, for instance ``paragraph, bullet list, paragraph``."""
    words = (
        _SPOKEN[block] if ord(block) < _NAMED else f"“{labels[ord(block) - _NAMED]}:”"
        for block in skeleton
    )
    return ", ".join(words) or "nothing"


def _kinds(lines: pa.Array, row: Ints) -> tuple[npt.NDArray[np.str_], list[str]]:
    """The character of each line (blank lines " ") and the label words."""
    kind = np.full(len(lines), _PROSE, dtype="<U1")
    free = np.ones(len(lines), dtype=bool)
    blank = _matches(lines, r"^\s*$")
    fence = _matches(lines, r"^\s*(```|~~~)")
    # Lines between fences are the code's; the count of fences begins anew in each row.
    seen = np.cumsum(fence)
    first = np.searchsorted(row, np.arange(int(row.max(initial=-1)) + 1))
    before = (seen - fence)[first][row] if len(row) else seen
    inside = ((seen - before) % 2 == 1) & ~fence
    for mask, name in ((blank | inside, " "), (fence & ((seen - before) % 2 == 1), _FENCE)):
        kind[mask & free] = name
        free &= ~mask
    kind[fence & free] = " "
    free &= ~fence
    for name, pattern in _KINDS:
        mask = free & _matches(lines, pattern)
        kind[mask] = name
        free &= ~mask
    labelled = np.flatnonzero(kind == _LABEL)
    found = pc.struct_field(pc.extract_regex(lines.take(labelled), _LABEL_NAME), "name")
    names = pc.utf8_lower(pc.fill_null(found, "")).to_pylist()
    # The commonest words are told apart; ties go by the word, so that order changes nothing.
    counts = Counter(filter(None, names))
    ranked = sorted(counts, key=lambda name: (-counts[name], name))[:LABELS]
    place = {name: chr(_NAMED + i) for i, name in enumerate(ranked)}
    kind[labelled] = [place.get(name, _LABEL) for name in names]
    return kind, ranked


def _matches(lines: pa.Array, pattern: str) -> Mask:
    return np.asarray(pc.match_substring_regex(lines, pattern))


def _folded(skeleton: str) -> str:
    """A skeleton with what recurs in it written once."""
    while (shorter := _REPEATED.sub(r"\1", skeleton)) != skeleton:
        skeleton = shorter
    return skeleton


def _decisions(skeleton: str) -> int:
    return max(len(skeleton) - 1, 0) + sum(block != _PROSE for block in skeleton)
