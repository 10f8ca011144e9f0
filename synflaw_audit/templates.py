"""Templates: the formulaic phrases that rows share, gathered into the formats they belong to.

``fit`` mines phrases, joins those that stand together in the same rows into templates, and adds to
each template the weaker phrases that come with it. The result, a ``TemplateBook``, is a plain
value: ``match`` finds in any batch of texts the rows that follow a template and the characters
that are its format.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from synflaw_audit.kernels import phrases as kernels
from synflaw_audit.phrases import Floats, Phrases, frequent, labels_in, mine, numbered
from synflaw_audit.tokens import Ids, Ints, Mask, Places, Tokens, extended, unicode, utf8

SLOT = "<*>"
MIN_SHARE = 0.0075  # a template rarer than this is not told from chance
TOGETHER = 0.5  # of the rarer phrase's rows hold the other: the two are one template
ATTRACTED = (0.15, 2.0)  # or this share of them, if it is so many times what chance would give
COMPARABLE = 6.0  # and neither is so many times as common: a rare phrase must not join two formats
# A weaker phrase joins a template that holds it this often, and so many times oftener than others.
ATTACHED = (0.1, 4.0)
ATTACHED_ROWS = 8  # and in at least so many of its rows
ALWAYS = 0.5  # or in so many of its rows, where hardly any row is outside the template
COMMONER = 3.0  # so many times commoner are the two ends of a phrase that spans a slot
FIXED = 0.2  # a number that so many rows of a template have at one place is format, not content
MIN_BITS = 10.0  # a weaker phrase carries at least this much
MOST_PHRASES = 2000
DESCRIBED = 1000  # rows of a template whose patterns are looked at


@dataclass(frozen=True)
class Template:
    """One template: its pattern with slots as ``<*>``, its share of rows, and what shows it."""

    id: str
    pattern: str
    share: float
    rows: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Match:
    """The templates of a batch of rows.

    Attributes:
        template: int64 [rows], index of the row's template; -1 where it follows none.
        bits: float64 [rows], the information of the strongest formulaic phrase in the row.
        covered: bool [tokens], the token is format.
    """

    template: Ints
    bits: Floats
    covered: Mask


@dataclass(frozen=True)
class Occurrences:
    """Where phrases occur in some tokens, as parallel arrays [occurrences].

    Attributes:
        at: int64, the first token.
        length: int64, in tokens.
        phrase: int64, which phrase.
    """

    at: Ints
    length: Ints
    phrase: Ints

    def where(self, kept: Mask) -> Occurrences:
        """Those that a mask keeps."""
        return Occurrences(self.at[kept], self.length[kept], self.phrase[kept])

    def of(self, kept: Mask) -> Occurrences:
        """Those of the phrases that a mask keeps, which are numbered anew."""
        these = self.where(kept[self.phrase])
        return replace(these, phrase=(np.cumsum(kept) - 1)[these.phrase])


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
        fixed: Sorted hashes of the numbers that are format, see ``_number_keys``.
    """

    nodes: Ids
    phrase: Ints
    core: Mask
    bits: Floats
    member: Mask
    templates: tuple[Template, ...]
    fixed: Ids = field(default_factory=lambda: np.empty(0, dtype=np.uint64))

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
        found = self.occurrences(tokens)
        chosen, bits = _followed(found, self.core, self.bits, self.member, tokens)
        template = chosen[tokens.row[found.at]]
        used = self.core[found.phrase] | self.member[found.phrase, np.maximum(template, 0)]
        covered = _covered(found.where((template >= 0) & used), len(tokens.ids))
        slots = np.flatnonzero(covered & tokens.number)
        constant = _is_in(_number_keys(tokens, chosen, slots), self.fixed)
        covered[slots[~constant]] = False
        return Match(chosen, np.where(chosen >= 0, bits, 0.0), covered)


def _is_in(values: Ids, table: Ids) -> Mask:
    """Membership in a sorted table."""
    if not len(table):
        return np.zeros(len(values), dtype=bool)
    place = np.minimum(np.searchsorted(table, values), len(table) - 1)
    return np.asarray(table[place] == values)


def _followed(
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


def _covered(found: Occurrences, size: int) -> Mask:
    """Which tokens the phrases cover."""
    change = np.bincount(found.at, minlength=size + 1)
    change -= np.bincount(found.at + found.length, minlength=size + 1)
    return np.asarray(np.cumsum(change[:-1]) > 0)


def _book(phrases: Phrases, ids: Ids, core: Mask, member: Mask) -> TemplateBook:
    """Lays the phrases out as a trie; the templates have no names yet."""
    longest = int(phrases.length.max(initial=0))
    gram = np.zeros(len(phrases), dtype=np.uint64)
    beginnings: list[Ids] = []
    for length in range(1, longest + 1):
        alive = phrases.length >= length
        token = ids[np.minimum(phrases.example + length - 1, len(ids) - 1)]
        gram = np.where(alive, extended(gram, token), gram)
        beginnings.append(gram[alive])
    nodes = np.unique(np.concatenate([gram, *beginnings]))
    phrase = np.full(len(nodes), -1, dtype=np.int64)
    phrase[np.searchsorted(nodes, gram)] = np.arange(len(phrases))
    nameless = (Template("", "", 0.0, 0, ()),) * member.shape[1]
    return TemplateBook(nodes, phrase, core, phrases.bits, member, nameless)


def fit(
    texts: pa.Array, tokens: Tokens, unit: Ints, weight: Ints, prefix: str = "A"
) -> TemplateBook:
    """Finds the templates of a corpus.

    Args:
        texts: Arrow string array [rows].
        tokens: Their tokens.
        unit: int64 [rows], see ``phrases.mine``.
        weight: int64 [rows], how many records each row stands for.
        prefix: What the templates' ids begin with.

    Returns:
        The templates that at least ``MIN_SHARE`` of all records follow.
    """
    levels = frequent(tokens, unit)
    book = _fitted(tokens, mine(tokens, levels), weight)
    if book.templates:
        # Now that most of the format is known, judge words by how they occur outside of it.
        content = ~book.match(tokens).covered
        book = _fitted(tokens, mine(tokens, levels, content), weight)
    book = replace(book, fixed=_fixed_numbers(book, tokens))
    return replace(book, templates=_described(book, tokens, texts, weight, prefix))


def _fitted(tokens: Tokens, phrases: Phrases, weight: Ints) -> TemplateBook:
    """Gathers the formulaic phrases into templates and attaches the weaker ones to them."""
    ids = numbered(tokens)
    strong = np.flatnonzero(phrases.margin > 0)
    strong = strong[np.argsort(-phrases.margin[strong] * phrases.share[strong], kind="stable")]
    cores = phrases.where(strong[:MOST_PHRASES])
    found = _found(cores, tokens, ids)
    whole = ~_across_slots(cores, found, len(ids))
    cores, found = cores.where(whole), found.of(whole)
    if not len(cores):
        return _book(cores, ids, np.empty(0, bool), np.empty((0, 0), bool))
    group = _joined(_incidence(found, len(cores), tokens))
    member = np.arange(group.max() + 1)[None, :] == group[:, None]
    template, _ = _followed(found, np.ones(len(cores), bool), cores.bits, member, tokens)
    kept = _common(template, weight, member.shape[1])
    member = member[:, kept]
    used = np.flatnonzero(member.any(axis=1))
    cores, member = cores.where(used), member[used]
    template = _renumbered(template, kept)

    weak = np.isfinite(phrases.margin) & (phrases.margin <= 0) & (phrases.bits >= MIN_BITS)
    weaker = phrases.where(np.flatnonzero(weak))
    incidence = _incidence(_found(weaker, tokens, ids), len(weaker), tokens)
    attached = _attached(incidence, weaker.set_off, template, len(kept))
    held = np.flatnonzero(attached.any(axis=1))
    both = Phrases.joined(cores, weaker.where(held))
    member = np.concatenate([member, attached[held]])
    return _book(both, ids, np.arange(len(both)) < len(cores), member)


def _found(phrases: Phrases, tokens: Tokens, ids: Ids) -> Occurrences:
    """Where each of the phrases occurs in the tokens they were mined from."""
    everything = np.ones((len(phrases), 1), dtype=bool)
    return _book(phrases, ids, everything[:, 0], everything).occurrences(tokens)


def _across_slots(cores: Phrases, found: Occurrences, size: int) -> Mask:
    """Phrases that are two much commoner phrases and the content of the slot between them.

    Args:
        cores: The phrases.
        found: Where they occur.
        size: Tokens that they were mined from.
    """
    longest = int(cores.length.max(initial=0))
    commonest = np.zeros(size + longest)
    for step in range(longest):
        reaches = found.where(found.length > step)
        np.maximum.at(commonest, reaches.at + step, cores.share[reaches.phrase])
    across = np.zeros(len(cores), dtype=bool)
    for core, (first, length) in enumerate(zip(cores.example, cores.length, strict=True)):
        held = commonest[first : first + length] >= COMMONER * cores.share[core]
        across[core] = bool(held[0] and held[-1] and not held.all())
    return across


def _incidence(found: Occurrences, phrases: int, tokens: Tokens) -> csr_matrix:
    """0/1 matrix [rows, phrases]: the row holds the phrase."""
    ones = np.ones(len(found.at), dtype=np.float32)
    places = (tokens.row[found.at], found.phrase)
    held = coo_matrix((ones, places), shape=(len(tokens), phrases)).tocsr()
    held.data[:] = 1
    return held


def _joined(held: csr_matrix) -> Ints:
    """The template of each formulaic phrase: phrases that stand in the same rows share one.

    Args:
        held: 0/1 matrix [rows, phrases].
    """
    together = (held.T @ held).tocoo()
    rows = np.asarray(held.sum(axis=0)).ravel()
    rarer = np.minimum(rows[together.row], rows[together.col])
    commoner = np.maximum(rows[together.row], rows[together.col])
    share = together.data / rarer
    attracted = (share >= ATTRACTED[0]) & (share >= ATTRACTED[1] * commoner / held.shape[0])
    attracted &= commoner <= COMPARABLE * rarer
    edge = (share >= TOGETHER) | attracted
    graph = coo_matrix(
        (np.ones(int(edge.sum())), (together.row[edge], together.col[edge])), shape=together.shape
    )
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _common(template: Ints, weight: Ints, templates: int) -> Ints:
    """The templates that enough records follow, commonest first."""
    records = np.bincount(template[template >= 0], weight[template >= 0], templates)
    order = np.argsort(-records, kind="stable")
    return np.asarray(order[records[order] >= MIN_SHARE * weight.sum()])


def _renumbered(template: Ints, kept: Ints) -> Ints:
    number = np.full(max(int(template.max(initial=-1)) + 2, int(kept.max(initial=-1)) + 2), -1)
    number[kept] = np.arange(len(kept))
    return np.asarray(number[template])  # -1 picks the last place, which holds -1


def _attached(held: csr_matrix, set_off: Floats, template: Ints, templates: int) -> Mask:
    """Which weaker phrases come with which template: bool [weaker, templates].

    Args:
        held: 0/1 matrix [rows, weaker], which rows hold them.
        set_off: Of the weaker phrases.
        template: Of the rows.
        templates: How many there are.
    """
    rows = held.shape[0]
    follows = np.arange(templates)[None, :] == template[:, None]
    inside = np.asarray(held.T @ follows.astype(np.float32))
    size = follows.sum(axis=0)
    outside = np.asarray(held.sum(axis=0)).reshape(-1, 1) - inside
    share = inside / np.maximum(size, 1)
    elsewhere = (outside + 1) / (rows - size + 2)
    framing = set_off[:, None] >= 0.5
    oftener = (share >= ATTACHED[0]) & (share >= ATTACHED[1] * elsewhere) & framing
    oftener &= inside >= ATTACHED_ROWS
    everywhere = (share >= ALWAYS) & (size >= 0.5 * rows)
    return np.asarray(oftener | everywhere)


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

    Marks alone, such as a full stop that some rows leave out, are no slot and are not shown.
    """
    parts: list[str] = []
    for (_, before), (start, end) in pairwise([(0, 0), *ranges, (len(text), len(text))]):
        if any(character.isalnum() for character in text[before:start]):
            parts.append(SLOT)
        parts.append(text[start:end].strip())
    return " ".join(filter(None, parts))


def _number_keys(tokens: Tokens, template: Ints, at: Ints) -> Ids:
    """What a number stands for: the row's template, the token before it, and the number itself."""
    key = extended(np.zeros(len(at), dtype=np.uint64), template[tokens.row[at]].astype(np.uint64))
    return extended(extended(key, tokens.ids[at - 1]), tokens.ids[at])


def _fixed_numbers(book: TemplateBook, tokens: Tokens) -> Ids:
    """The numbers that many rows of a template have at one place, as in "Step 1:"."""
    match = book.match(tokens)
    at = np.flatnonzero(
        tokens.number & np.roll(match.covered, 1) & (match.template[tokens.row] >= 0)
    )
    key = _number_keys(tokens, match.template, at)
    pairs = np.unique(np.stack([key, tokens.row[at].astype(np.uint64)]), axis=1)
    distinct, first, rows = np.unique(pairs[0], return_index=True, return_counts=True)
    size = np.bincount(match.template[match.template >= 0], minlength=1)
    of = match.template[pairs[1, first].astype(np.int64)]
    return np.asarray(distinct[rows >= FIXED * size[of]])


def _described(
    book: TemplateBook, tokens: Tokens, texts: pa.Array, weight: Ints, prefix: str
) -> tuple[Template, ...]:
    """Names every template by the pattern that most of its rows show."""
    match = book.match(tokens)
    total = int(weight.sum())
    described = []
    for template in range(len(book.templates)):
        rows = np.flatnonzero(match.template == template)
        counts: Counter[str] = Counter()
        shown: dict[str, str] = {}
        chosen = texts.take(pa.array(rows[:DESCRIBED]))
        ranges = spans(chosen, tokens, match.covered, rows[:DESCRIBED])
        for place, (row, text) in enumerate(zip(rows.tolist(), chosen.to_pylist(), strict=False)):
            seen = pattern(text, ranges[place])
            counts[seen] += int(weight[row])
            shown.setdefault(seen, text)
        # Ties are broken by the text, so that the order of rows changes nothing.
        ranked = sorted(counts, key=lambda seen: (-counts[seen], seen))
        records = int(weight[rows].sum())
        described.append(
            Template(
                id=f"{prefix}{template + 1}",
                pattern=ranked[0] if ranked else SLOT,
                share=records / total if total else 0.0,
                rows=records,
                examples=tuple(shown[seen] for seen in ranked[:3]),
            )
        )
    return tuple(described)
