"""Templates: the formats that rows share, each with the phrases that show it.

A ``TemplateBook`` is a plain value: ``match`` finds in any batch of texts the rows that follow a
template and the words that are its format, ``spans`` the characters. ``template_fitting`` makes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
import pyarrow as pa

from synflaw_audit.findings.finding import MarkedText, TemplateKind
from synflaw_audit.text.characters import unicode
from synflaw_audit.text.kernels import phrases as kernels
from synflaw_audit.text.occurrences import Occurrences, covered
from synflaw_audit.text.phrases import Floats, labels_in, numbered
from synflaw_audit.text.slots import Slots
from synflaw_audit.text.tokens import Ids, Ints, Mask, Places, Tokens, utf8

SLOT = "<*>"
_SEPARATORS = ",;:.'\"()\u2018\u2019\u201c\u201d\u2013\u2014-\u3001\uff0c\uff1b\uff1a\u060c"
_ENDS = tuple(".!?:\n\u3002\uff01\uff1f")  # of sentences, labels and lines


@dataclass(frozen=True)
class Template:
    """One template, see ``synflaw_audit.text.descriptions``.

    Attributes:
        id: Its name in this corpus.
        pattern: The words that nearly all of its rows share, its slots as ``<*>``.
        share: Of all records, those that follow it.
        rows: Records that follow it.
        examples: Texts that follow it, with the format in them.
        kind: Whether its rows share most of their format.
        variants: The patterns of single rows and their shares of the template's, commonest first;
            none where all rows have the same.
    """

    id: str
    pattern: str
    share: float
    rows: int
    examples: tuple[MarkedText, ...]
    kind: TemplateKind = "template"
    variants: tuple[tuple[str, float], ...] = ()

    @property
    def wording(self) -> str:
        """What a person recognises it by: its pattern, or a family's commonest wording."""
        if self.kind == "template" or not self.variants:
            return f"the template “{self.pattern}”"
        return f"one of the wordings like “{self.variants[0][0]}”"


@dataclass(frozen=True)
class Match:
    """The templates of a batch of rows.

    Attributes:
        template: int64 [rows], index of the row's template; -1 where it follows none.
        bits: float64 [rows], the information of the strongest formulaic phrase in the row.
        covered: bool [tokens], a phrase of the template covers the token. It may still be what
            differs between rows, see ``slots``.
    """

    template: Ints
    bits: Floats
    covered: Mask


@dataclass(frozen=True)
class TemplateBook:
    """The phrases of all templates as a trie of token hashes, and the templates.

    Attributes:
        nodes: The hashes of every beginning of every phrase, the phrases themselves included.
        phrase: For each node, the index of the phrase that ends there in the arrays below, or -1.
        core: bool [phrases], the phrase alone makes a row follow its template.
        bits: float64 [phrases].
        member: bool [phrases, templates], the phrase belongs to the template.
        templates: The templates, commonest first.
        slots: What differs between rows that are worded alike.
    """

    nodes: Ids
    phrase: Ints
    core: Mask
    bits: Floats
    member: Mask
    templates: tuple[Template, ...]
    slots: Slots = field(default_factory=Slots)

    @cached_property
    def _table(self) -> Places:
        return kernels.hash_table(self.nodes)

    def occurrences(self, tokens: Tokens) -> Occurrences:
        """Where each phrase occurs."""
        ids = numbered(tokens)
        return Occurrences(
            *kernels.occurrences(ids, tokens.row, self._table, self.nodes, self.phrase)
        )

    def match(self, tokens: Tokens) -> Match:
        """Finds the rows that follow a template, and their format tokens."""
        return self.matched(self.occurrences(tokens), tokens)

    def matched(self, found: Occurrences, tokens: Tokens) -> Match:
        """The same, where it is known where the phrases occur."""
        chosen, bits = followed(found, self.core, self.bits, self.member, tokens)
        template = chosen[tokens.row[found.at]]
        used = self.core[found.phrase] | self.member[found.phrase, np.maximum(template, 0)]
        marked = covered(found.where((template >= 0) & used), len(tokens.ids))
        return Match(chosen, np.where(chosen >= 0, bits, 0.0), marked)

    def format(self, tokens: Tokens, match: Match) -> Mask:
        """The tokens that are format, what differs between rows left out: bool [tokens]."""
        rows = np.flatnonzero(match.template >= 0)
        return match.covered & ~self.slots.differing(tokens, match.covered, rows)


def followed(
    found: Occurrences, core: Mask, bits: Floats, member: Mask, tokens: Tokens
) -> tuple[Ints, Floats]:
    """The template of each row, or -1, and the bits of its strongest formulaic phrase, or 0."""
    evidence, strongest = kernels.weighed(
        tokens.row[found.at], found.phrase, core, bits, member, len(tokens)
    )
    chosen = np.full(len(tokens), -1, dtype=np.int64)
    if member.shape[1]:
        held = (evidence.max(axis=1) > 0) & ~labels_in(tokens)
        chosen[held] = evidence[held].argmax(axis=1)
    return chosen, strongest


@dataclass(frozen=True)
class Spans:
    """The characters of some rows' format, as half-open ranges in order.

    Attributes:
        offsets: int64 [rows + 1], the ranges of row ``r`` are ``offsets[r]:offsets[r + 1]``.
        start: int32 [ranges], first character (Python string index).
        end: int32 [ranges], one past the last.
    """

    offsets: Ints
    start: Places
    end: Places

    def __getitem__(self, row: int) -> list[tuple[int, int]]:
        held = slice(int(self.offsets[row]), int(self.offsets[row + 1]))
        return list(zip(self.start[held].tolist(), self.end[held].tolist(), strict=True))


def spans(texts: pa.Array, tokens: Tokens, covered: Mask, rows: Ints) -> Spans:
    """The characters of some rows' format.

    White space between format and content belongs to the format; the mark that ends the sentence
    before a phrase does not.

    Args:
        texts: Those rows' texts, an Arrow string array [rows].
        tokens: Of a batch that holds them.
        covered: bool [tokens], the token is format.
        rows: int64 [rows], their numbers in the batch.
    """
    raw, bounds = utf8(texts)
    of = (tokens.offsets, tokens.start, tokens.end, tokens.stops)
    return Spans(*kernels.spans_of(raw, bounds, rows, *of, covered, unicode().blank))


def pattern(text: str, ranges: list[tuple[int, int]]) -> str:
    """The text of the format with every slot shown as ``<*>``.

    Marks alone, such as a full stop that some rows leave out, are no slot and are not shown; nor is
    what stands alone between two slots of a sentence: ", the" says nothing.
    """
    edges = [(0, 0), *ranges, (len(text), len(text))]
    gaps = [text[before:start] for (_, before), (start, _) in pairwise(edges)]
    parts: list[str] = []
    for place, (gap, (start, end)) in enumerate(zip(gaps, edges[1:], strict=True)):
        is_slot = any(map(str.isalnum, gap))
        if is_slot and parts[-1:] != [SLOT]:
            parts.append(SLOT)
        said = text[start:end].strip()
        between = is_slot and any(map(str.isalnum, "".join(gaps[place + 1 : place + 2])))
        if said and not (between and _is_alone(gap, text[start:end])):
            parts.append(said)
    return " ".join(parts)


def _is_alone(before: str, run: str) -> bool:
    """Whether a run of format is one word and one mark at most, inside a sentence and a line."""
    said = run.strip()
    word = said.strip(_SEPARATORS)
    at_an_end = "\n" in run or before.rstrip(" ").endswith(_ENDS) or said.endswith(_ENDS)
    return (
        not at_an_end and len(said) <= len(word) + 1 and bool(re.fullmatch(r"[\w'\u2019]*", word))
    )
