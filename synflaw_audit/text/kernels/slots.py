"""Walks along sentences, forwards or backwards, that compare each word with what comes before it.

A walk keeps a *context*: the hash of the format words since the sentence began. Whatever is no
format (content, a number that is not fixed, a word that differs from row to row) is a slot, one
and the same in every context however long it is. See ``synflaw_audit.text.slots``.
"""

from __future__ import annotations

import numpy as np

from synflaw_audit.text.kernels import Ids, Ints, Mask, Places, compiled, doubled, inlined, longer
from synflaw_audit.text.kernels.phrases import found_in

_FORWARDS, _BACKWARDS, _NUMBER, _SLOT = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
ALTERNATIVE = np.uint64(5)
_REACH = 64  # tokens of a sentence looked at beyond a slot
_COUNTED = 64  # numbers after one word told apart


@compiled
def number_places(ids: Ids, number: Mask, covered: Mask, offsets: Ints) -> Ids:
    """Where each covered number stands: after which word, and how often it did so in its row.

    Args:
        ids: Of the tokens, numbers made equal.
        number: The tokens that are numbers.
        covered: The tokens that may be format.
        offsets: Of the tokens.

    Returns:
        uint64 [tokens], 0 for every other token.
    """
    places = np.zeros(len(ids), np.uint64)
    for r in range(len(offsets) - 1):
        for at in range(offsets[r] + 1, offsets[r + 1]):
            if number[at] and covered[at]:
                seen = 0
                for i in range(offsets[r] + 1, at):
                    seen += number[i] and ids[i - 1] == ids[at - 1]
                place = longer(longer(np.uint64(0), _NUMBER), ids[at - 1])
                places[at] = longer(place, np.uint64(min(seen, _COUNTED)))
    return places


@compiled
def walked(
    ids: Ids,
    exact: Ids,
    offsets: Ints,
    covered: Mask,
    number: Mask,
    word: Mask,
    bound: Mask,
    exclaims: Mask,
    backwards: bool,
    least: int,
    contexts: Ids,
    contexts_table: Places,
    shared: Ids,
    shared_table: Places,
    differs: Mask,
) -> tuple[Ids, Ids]:
    """Marks in ``differs`` the covered tokens that are not what the rows of their context share.

    Args:
        ids: Of the tokens, numbers made equal.
        exact: Of the tokens. Numbers that are format make contexts of their own: what comes after
            "Step 1:" is not what comes after "Step 2:".
        offsets: Of the tokens.
        covered: The tokens that may be format.
        number: The tokens that are numbers.
        word: The tokens that are words.
        bound: The tokens that end a sentence, a line or a row.
        exclaims: Those that end an exclamation.
        backwards: From each sentence's end to its beginning.
        least: Words a context must have before anything is compared with it.
        contexts: Those that are known.
        contexts_table: ``hash_table`` of them.
        shared: The hashes of each context and what its rows share; followed by ``ALTERNATIVE``
            where that is one of few wordings, which is format in an exclamation where format or
            nothing comes next.
        shared_table: ``hash_table`` of them.
        differs: bool [tokens], holds what is known to differ, and is added to.

    Returns:
        Of each token the context that it comes next to, and the one of the slot that begins with
        it: uint64 [tokens] each, 0 where there is none.
    """
    follows, opens = np.zeros(len(ids), np.uint64), np.zeros(len(ids), np.uint64)
    step = -1 if backwards else 1
    origin = longer(np.uint64(0), _BACKWARDS if backwards else _FORWARDS)
    for r in range(len(offsets) - 1):
        first, last = offsets[r], offsets[r + 1] - 1
        context, words, slot, exclamation = origin, 0, False, False
        i = last if backwards else first
        while first <= i <= last:
            compared = words >= least
            if compared and not slot:
                follows[i] = context
            if bound[i]:
                context, words, slot, exclamation = origin, 0, False, exclaims[i]
                i += step
                continue
            is_format = covered[i] and not differs[i]
            if is_format and number[i]:
                # A number is part of what it follows: "March 2024" varies if the month does.
                is_format = bound[i - 1] or (covered[i - 1] and not differs[i - 1])
                differs[i] = not is_format
            elif (
                covered[i]
                and not number[i]
                and compared
                and found_in(contexts_table, contexts, context) >= 0
            ):
                key, beyond_it = longer(context, ids[i]), i + step
                within = bound[beyond_it] or (covered[beyond_it] and not differs[beyond_it])
                shares = found_in(shared_table, shared, key) >= 0
                # What the other walk says to differ is one of several, but not if this one's
                # context always has it.
                if is_format and not shares and within and exclamation:
                    shares = found_in(shared_table, shared, longer(key, ALTERNATIVE)) >= 0
                differs[i], is_format = not shares, shares
            if is_format:
                context, slot = longer(context, exact[i]), False
                words += word[i]
            elif not slot and words:
                context, slot = longer(context, _SLOT), True
                if compared and (covered[i] or number[i]):
                    opens[i] = context
            if not covered[i] and not number[i]:
                words = 0  # free text may be of any length: what comes after it begins anew
            i += step
    return follows, opens


@compiled
def beyond(ids: Ids, row: Places, bound: Mask, opens: Ids, backwards: bool) -> tuple[Ids, Ids]:
    """What the sentences hold beyond each slot.

    Args:
        ids: Of the tokens, numbers made equal.
        row: Of the tokens.
        bound: The tokens that end a sentence, a line or a row.
        opens: Of each token the context of the slot that begins with it, or 0.
        backwards: As in ``walked``.

    Returns:
        Contexts, each with every distinct token beyond the slot in parallel.
    """
    contexts, tokens = np.empty(1024, np.uint64), np.empty(1024, np.uint64)
    n = 0
    step = -1 if backwards else 1
    for i in range(len(opens)):
        if not opens[i]:
            continue
        first = n
        for distance in range(1, _REACH):
            at = i + step * distance
            if at < 0 or at >= len(ids) or row[at] != row[i] or bound[at]:
                break
            fresh = True
            for k in range(first, n):
                fresh = fresh and tokens[k] != ids[at]
            if fresh:
                if n == len(tokens):
                    contexts, tokens = doubled(contexts), doubled(tokens)
                contexts[n], tokens[n] = opens[i], ids[at]
                n += 1
    return contexts[:n], tokens[:n]


@inlined
def _spread(
    first: int,
    last: int,
    start: Places,
    end: Places,
    covered: Mask,
    number: Mask,
    mark: Mask,
    differs: Mask,
) -> None:
    """Spreads ``differs`` in a row over marks and numbers between parts of one value."""
    i = first
    while i < last:
        # Tokens that no white space parts.
        stop = i + 1
        while stop < last and start[stop] == end[stop - 1]:
            stop += 1
        left = right = -1
        for k in range(i, stop):
            if differs[k] or (number[k] and not covered[k]):
                right = k
                left = k if left < 0 else left
        if left >= 0:
            while left - 2 >= i and number[left - 2] and mark[left - 1]:
                left -= 2
            while right + 2 < stop and number[right + 2] and mark[right + 1]:
                right += 2
            for k in range(left, right + 1):
                differs[k] = True
        i = stop


@compiled
def settled(
    offsets: Ints,
    start: Places,
    end: Places,
    covered: Mask,
    number: Mask,
    word: Mask,
    bound: Mask,
    ahead: Mask,
    behind: Mask,
    stretch: int,
    differs: Mask,
) -> None:
    """Decides in ``differs`` which covered tokens are slots, from what both walks say.

    What only the words behind it tell from other rows is a slot where it begins the sentence: later
    words are told by those before them. A long run of words that differ is a wording, not a value.
    What touches two parts of a value, as in ``12/03/2024``, is part of it.

    Args:
        offsets: Of the tokens.
        start: Of the tokens.
        end: Of the tokens.
        covered: The tokens that may be format.
        number: The tokens that are numbers.
        word: The tokens that are words.
        bound: The tokens that end a sentence, a line or a row.
        ahead: What the walk forwards says.
        behind: What the walk backwards says.
        stretch: Words that make a wording.
        differs: bool [tokens], written to.
    """
    mark = ~(word | number | bound)
    for r in range(len(offsets) - 1):
        leading = True
        run, words = offsets[r], 0
        for i in range(offsets[r], offsets[r + 1]):
            if bound[i]:
                leading = True
            differs[i] = ahead[i] or (leading and behind[i])
            if covered[i] and word[i] and not differs[i]:
                leading = False
            if covered[i] and differs[i]:
                words += word[i]
                continue
            if words >= stretch:
                for k in range(run, i):
                    differs[k] = differs[k] and number[k]
            run, words = i + 1, 0
        _spread(offsets[r], offsets[r + 1], start, end, covered, number, mark, differs)
