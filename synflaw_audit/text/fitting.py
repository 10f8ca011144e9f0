"""Finds the templates of a corpus: which phrases there are, and which of them belong together.

``fit`` mines phrases, joins those that stand together in the same rows into templates, and adds to
each template the weaker phrases that come with it. It does so twice: once most of the format is
known, words are judged by how they occur outside of it. Refrains join in where phrases miss them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from synflaw_audit.text.descriptions import described
from synflaw_audit.text.occurrences import Occurrences, covered, occurrences
from synflaw_audit.text.phrases import Floats, Level, Phrases, frequent, mine, numbered
from synflaw_audit.text.refrains import Refrains, covered_by, refrains
from synflaw_audit.text.slots import learned
from synflaw_audit.text.templates import Template, TemplateBook, followed
from synflaw_audit.text.tokens import Ids, Ints, Mask, Tokens, extended

MIN_SHARE = 0.0075  # a template rarer than this is not told from chance
TOGETHER = 0.5  # of the rarer phrase's rows hold the other: the two are one template
ATTRACTED = (0.15, 2.0)  # or this share of them, if it is so many times what chance would give
COMPARABLE = 6.0  # and neither is so many times as common: a rare phrase must not join two formats
# A weaker phrase joins a template that holds it this often, and so many times oftener than others.
ATTACHED = (0.1, 4.0)
ATTACHED_ROWS = 8  # and in at least so many of its rows
ALWAYS = 0.5  # or in so many of its rows, where hardly any row is outside the template
COMMONER = 3.0  # so many times commoner are the two ends of a phrase that spans a slot
VALUE = 0.5  # of a weaker phrase's occurrences hold a word that is format, or it is a value
MIN_BITS = 10.0  # a weaker phrase carries at least this much
MOST_PHRASES = 2000
CONTENT = 1.0  # tokens a row that are no format, at least, to judge words by


def fit(texts: pa.Array, tokens: Tokens, unit: Ints, prefix: str = "A") -> TemplateBook:
    """Finds the templates of a corpus.

    Args:
        texts: Arrow string array [rows].
        tokens: Their tokens.
        unit: int64 [rows], see ``phrases.mine``.
        prefix: What the templates' ids begin with.

    Returns:
        The templates that at least ``MIN_SHARE`` of all rows follow.
    """
    levels = frequent(tokens, unit)
    phrases = mine(tokens, levels)
    book, found = _fitted(tokens, levels, phrases)
    if book.templates:
        # Now that most of the format is known, judge words by how they occur outside of it.
        content = ~book.matched(found, tokens).covered
        # Where there is hardly a word of content, nothing is known of words outside of the format.
        if content.sum() >= CONTENT * len(tokens):
            phrases = mine(tokens, levels, content)
            book, found = _fitted(tokens, levels, phrases)
    said = refrains(tokens, unit)
    known = covered_by(found.where(book.core[found.phrase]), said.phrases, tokens)
    if not known.all():
        book, found = _fitted(tokens, levels, phrases, said, known)
    match = book.matched(found, tokens)
    followers = np.flatnonzero(match.template >= 0)
    book = replace(book, slots=learned(tokens, match.covered, followers))
    differs = book.slots.differing(tokens, match.covered, followers)
    template = match.template[tokens.row[found.at]]
    book = _without_values(book, found, template, tokens.words & ~differs)
    match = book.matched(found, tokens)
    is_format = match.covered & ~differs
    templates = len(book.templates)
    return replace(
        book,
        templates=tuple(
            described(f"{prefix}{number + 1}", match.template == number, is_format, tokens, texts)
            for number in range(templates)
        ),
    )


def _fitted(
    tokens: Tokens,
    levels: Sequence[Level],
    phrases: Phrases,
    said: Refrains | None = None,
    known: Mask | None = None,
) -> tuple[TemplateBook, Occurrences]:
    """Gathers the formulaic phrases into templates and attaches the weaker ones to them.

    Args:
        tokens: Of the rows.
        levels: The frequent sequences of them.
        phrases: Mined from these.
        said: The refrains, if they are to be templates as well.
        known: bool [refrains], phrases mark them already; they only tell what belongs together.

    Returns:
        The templates, and where their phrases occur.
    """
    repeated = said or Refrains()
    ids = numbered(tokens)
    strong = np.flatnonzero(phrases.margin > 0)
    strong = strong[np.argsort(-phrases.margin[strong] * phrases.share[strong], kind="stable")]
    twice = np.isin(repeated.phrases.gram, phrases.gram[strong])
    strong = strong[~np.isin(phrases.gram[strong], repeated.phrases.gram)]
    mined = phrases.where(strong[:MOST_PHRASES])
    cores = Phrases.joined(repeated.phrases, mined)
    found = Occurrences.joined(
        _found(repeated.phrases, tokens, ids),
        occurrences(mined, levels).numbered_from(len(repeated.phrases)),
    )
    whole = ~_across_slots(cores, found, len(ids))
    whole[: len(repeated.phrases)] = True  # a refrain is a sentence, and spans no slot
    cores, found = cores.where(whole), found.of(whole)
    if not len(cores):
        return _book(cores, ids, np.empty(0, bool), np.empty((0, 0), bool)), found
    held = _incidence(found, len(cores), tokens)
    group = _joined(held, repeated.alike)
    member = np.arange(group.max() + 1)[None, :] == group[:, None]
    template, _ = followed(found, np.ones(len(cores), bool), cores.bits, member, tokens)
    kept = _common(template, member.shape[1])
    # What many rows hold is format, even if another phrase of theirs is what names their template.
    often = np.asarray((held @ csr_matrix(member, dtype=np.float32) > 0).sum(axis=0)).ravel()
    common = (often[group] >= MIN_SHARE * len(tokens)) & bool(len(kept))
    if known is not None:
        common[: len(known)] &= ~known | twice
    used = np.flatnonzero(common)
    member = member[:, kept]
    cores, member = cores.where(used), member[used]
    template = _renumbered(template, kept)

    weak = np.isfinite(phrases.margin) & (phrases.margin <= 0) & (phrases.bits >= MIN_BITS)
    weaker = phrases.where(np.flatnonzero(weak))
    places = occurrences(weaker, levels)
    # Inside of a phrase that is format anyway a weaker one tells nothing of others like it.
    beyond = places if said is None else _reaching_beyond(places, found, len(ids))
    having, bare = (_incidence(where, len(weaker), tokens) for where in (places, beyond))
    attached = _attached(having, bare, weaker.set_off, template, len(kept))
    joins: Mask = np.asarray(attached.any(axis=1))
    both = Phrases.joined(cores, weaker.where(joins))
    member = np.concatenate([member, attached[joins]])
    book = _book(both, ids, np.arange(len(both)) < len(cores), member)
    beside = places.of(joins).numbered_from(len(cores))
    return book, Occurrences.joined(found.of(common), beside)


def _found(phrases: Phrases, tokens: Tokens, ids: Ids) -> Occurrences:
    """Where refrains occur in the tokens that they are of."""
    if not len(phrases):
        return occurrences(phrases, ())
    everything = np.ones((len(phrases), 1), dtype=bool)
    return _book(phrases, ids, everything[:, 0], everything).occurrences(tokens)


def _reaching_beyond(weaker: Occurrences, cores: Occurrences, size: int) -> Occurrences:
    """The occurrences of weaker phrases that the formulaic ones do not cover from end to end."""
    bare = np.append(0, np.cumsum(~covered(cores, size)))
    return weaker.where(bare[weaker.at + weaker.length] > bare[weaker.at])


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


def _joined(held: csr_matrix, alike: Ints) -> Ints:
    """The template of each formulaic phrase: phrases that stand in the same rows share one.

    Args:
        held: 0/1 matrix [rows, phrases].
        alike: int64 [2, pairs], phrases that share one anyway.
    """
    together = (held.T @ held).tocoo()
    rows = np.asarray(held.sum(axis=0)).ravel()
    rarer = np.minimum(rows[together.row], rows[together.col])
    commoner = np.maximum(rows[together.row], rows[together.col])
    share = together.data / rarer
    attracted = (share >= ATTRACTED[0]) & (share >= ATTRACTED[1] * commoner / held.shape[0])
    attracted &= commoner <= COMPARABLE * rarer
    edge = (share >= TOGETHER) | attracted
    row = np.concatenate([together.row[edge], alike[0]])
    column = np.concatenate([together.col[edge], alike[1]])
    graph = coo_matrix((np.ones(len(row)), (row, column)), shape=together.shape)
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _common(template: Ints, templates: int) -> Ints:
    """The templates that enough rows follow, commonest first."""
    rows = np.bincount(template[template >= 0], minlength=templates)
    order = np.argsort(-rows, kind="stable")
    return np.asarray(order[rows[order] >= MIN_SHARE * len(template)])


def _renumbered(template: Ints, kept: Ints) -> Ints:
    number = np.full(max(int(template.max(initial=-1)) + 2, int(kept.max(initial=-1)) + 2), -1)
    number[kept] = np.arange(len(kept))
    return np.asarray(number[template])  # -1 picks the last place, which holds -1


def _attached(
    held: csr_matrix, beyond: csr_matrix, set_off: Floats, template: Ints, templates: int
) -> Mask:
    """Which weaker phrases come with which template: bool [weaker, templates].

    Args:
        held: 0/1 matrix [rows, weaker], which rows hold them.
        beyond: The same, where no formulaic phrase holds them.
        set_off: Of the weaker phrases.
        template: Of the rows.
        templates: How many there are.
    """
    rows = held.shape[0]
    follows = (np.arange(templates)[None, :] == template[:, None]).astype(np.float32)
    inside, bare = (np.asarray(each.T @ follows) for each in (held, beyond))
    size = follows.sum(axis=0)
    outside = np.asarray(held.sum(axis=0)).reshape(-1, 1) - inside
    share, bare = inside / np.maximum(size, 1), bare / np.maximum(size, 1)
    elsewhere = (outside + 1) / (rows - size + 2)
    framing = set_off[:, None] >= 0.5
    oftener = (share >= ATTACHED[0]) & (bare >= ATTACHED[1] * elsewhere)
    oftener &= inside >= ATTACHED_ROWS
    everywhere = (share >= ALWAYS) & (size >= 0.5 * rows)
    return np.asarray((oftener | everywhere) & framing)


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
    # Of phrases that are the same the first counts, which is written last.
    phrase[np.searchsorted(nodes, gram[::-1])] = np.arange(len(phrases))[::-1]
    nameless = (Template("", "", 0.0, 0, ()),) * member.shape[1]
    return TemplateBook(nodes, phrase, core, phrases.bits, member, nameless)


def _without_values(
    book: TemplateBook, found: Occurrences, template: Ints, words: Mask
) -> TemplateBook:
    """The templates without the weaker phrases that are only what fills a slot.

    Such a value is known as one in its slot, but not where other words of the answer are the same.

    Args:
        book: The templates.
        found: Where their phrases occur.
        template: Of the row of each occurrence, or -1.
        words: bool [tokens], the words that do not differ between rows.
    """
    inside = (template >= 0) & book.member[found.phrase, np.maximum(template, 0)]
    inside &= ~book.core[found.phrase]
    used = found.where(inside)
    before = np.append(0, np.cumsum(words))
    is_format = before[used.at + used.length] > before[used.at]
    times, as_format = (
        np.bincount(used.phrase, weights, len(book.core)) for weights in (None, is_format)
    )
    value = (times > 0) & (as_format < VALUE * times)
    return replace(book, member=book.member & ~value[:, None])
