"""Format cut out of an answer, where what is left still reads as one.

A span is cut where sentences and clauses can be told apart: it begins where a sentence or a line
does, and ends where one does, at a colon or a comma, or at what asks for the answer itself ("the
answer is", "I would advise you to"). Within a sentence it is cut where it stands between commas or
the like, where it ends the sentence behind one or with an aim, a time or a reason ("to confirm the
diagnosis"), and where it leads into a clause ("..., and it is clear that ..."). A word or two
within a sentence of content are grammar, and stay. If any other span is left, or a bracket, a quote
or a tag would lose its partner, the answer is not cut at all: half a format is none the less one,
and half a sentence is worse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from synflaw_audit.findings.finding import Span

_WORD = re.compile(r"\w+")
_SENTENCE_ENDS, _CLAUSE_ENDS = ".!?…。！？", ":;,：，—–)>`\\-"  # noqa: RUF001 - of many scripts
_CLOSING = "\"'”’*_`)\\]"  # noqa: RUF001 - what may stand between those and the next sentence
_SENTENCE_END = re.compile(rf"[{_SENTENCE_ENDS}][{_CLOSING}]*(?=\s|$)|\n")
_AFTER_SENTENCE = re.compile(rf"(?:[{_SENTENCE_ENDS}:：][{_CLOSING}>]*|\n|^)[ \t]*\Z")  # noqa: RUF001
_AT_CLAUSE_END = re.compile(rf"[{_SENTENCE_ENDS}{_CLAUSE_ENDS}\n\]*_][{_CLOSING}\s]*\Z")
# What follows these is what was asked for.
_COPULAS = frozenset(
    [
        *("is", "are", "was", "were", "be", "that"),
        *("ist", "sind", "war", "dass", "est", "sont", "que", "es", "son", "é", "são"),
    ]
)
# What follows these is told to do something, or that it is so; "to" alone may lead to a place.
_ADVICE = re.compile(
    r"(?:\b(?:should|must|can|could|might|please|let['’]s|that)"  # noqa: RUF001
    r"|\b(?:suggest|advis|recommend|encourag|urg|need|want|try|tr(?:ies|ied)|ha(?:ve|s)|ought|able"
    r"|important|necessary|essential|best|better|good|wise|time|how|like)\w*(?:\s+\w+){0,2}\s+to)\s*\Z",
    re.IGNORECASE,
)
_DELIMITERS = ",;:–—，；：、"  # noqa: RUF001 - what divides clauses, in many scripts
_AFTER_CLAUSE = re.compile(
    rf"(?:[{_DELIMITERS}(]|\b(?:and|or|but|so|then|also|because|und|et|y))\s*\Z",
    re.IGNORECASE,
)
# What a sentence can end before: an aim, a time, a reason, a condition.
_ADJUNCT = re.compile(
    r"\s*(?:to|in order to|so as to|so that|as soon as|because|since|until|based on|according to"
    r"|if|when|while|whenever|whether)\b",
    re.IGNORECASE,
)
# What such words are rather a part of: to need to, to ask somebody to.
_TAKES_ADJUNCT = re.compile(
    r"\b(?:need|want|try|tr(?:ies|ied)|like|lik|ha[sd]|have|able|ought|going|used|seem|appear|help|allow"
    r"|important|necessary|essential|best|better|good|wise|time|how|where|what|suggest|advis|recommend"
    r"|encourag|urg|ask|tell|told|expect|remember|forget|decid|start|begin|continu|know|see|is|are|was"
    r"|were|be|been|and|or|but|not|only|even|the|an?|of|in|on|at|by|for|with|from|as|than|that)\w*"
    r"(?:\W+\w+){0,1}\W*\Z",
    re.IGNORECASE,
)
_MOST_GRAMMAR = 2  # words
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"), ("“", "”"))
_EVEN = ('"', "**", "```", "$")
_CLOSES = re.compile(r"(?:</[\w-]+>|[\"'”’)\]}`*_\s])+")  # noqa: RUF001
_TAG = re.compile(r"<(/?)[A-Za-z][\w-]*[^<>]*>")


def cut(answer: str, spans: Sequence[Span]) -> str | None:
    """The answer without its format; None where what is left would not read as an answer.

    Every character outside of the spans stays, but for the case of a letter that now begins a
    sentence, and for blanks beside a cut.

    Args:
        answer: The answer.
        spans: What of it is format, in order.
    """
    clauses: list[Span] = []
    closing: list[Span] = []
    for start, end in _clauses(answer, spans):
        begins = _AFTER_SENTENCE.search(answer[:start])
        if (begins and _is_complete(answer, start, end)) or _is_inner(answer, start, end):
            clauses.append((start, end))
        elif _CLOSES.fullmatch(answer, start, end):
            closing.append((start, end))
        elif len(_WORD.findall(answer, start, end)) > _MOST_GRAMMAR:
            return None
    if not clauses:
        return None
    # What closes goes with what opened it, and stays where that stays.
    for cuts in (sorted([*clauses, *closing]), clauses):
        rest = _without(answer, cuts)
        if _WORD.search(rest) and _balanced(answer, rest):
            return rest
    return None


def _clauses(answer: str, spans: Sequence[Span]) -> Iterator[Span]:
    """The spans, divided where a sentence or a line ends within one."""
    for first, last in spans:
        start = first
        ends = [found.end() for found in _SENTENCE_END.finditer(answer, first, last)]
        for end in (*ends, last):
            if answer[start:end].strip():
                yield start, end
            start = end


def _is_complete(answer: str, start: int, end: int) -> bool:
    """Whether a clause that begins a sentence leaves a sentence, or nothing, behind it."""
    after = answer[end:].lstrip(" \t")
    if not after or after[0] == "\n" or _AT_CLAUSE_END.search(answer[start:end].rstrip(" \t")):
        return True
    return _leads_in(answer, start, end) or after[0].isdigit()


def _leads_in(answer: str, start: int, end: int) -> bool:
    """Whether what follows a clause is what it says, and can be said without it."""
    words = _WORD.findall(answer, start, end)
    if not words:
        return False
    return words[-1].lower() in _COPULAS or _ADVICE.search(answer[start:end]) is not None


def _is_inner(answer: str, start: int, end: int) -> bool:
    """Whether a clause within a sentence can be taken out of it, or off its end."""
    before, span, after = answer[:start].rstrip(), answer[start:end].strip(), answer[end:].lstrip()
    if len(_WORD.findall(span)) <= _MOST_GRAMMAR or not _WORD.search(before):
        return False
    divided = before[-1] in _DELIMITERS or span[0] in _DELIMITERS
    at_end = not after or span[-1] in _SENTENCE_ENDS or after[0] in _SENTENCE_ENDS
    at_end |= answer[end:].lstrip(" \t")[:1] == "\n"
    if divided and (at_end or after[0] in _DELIMITERS or span[-1] in _DELIMITERS):
        return True
    if at_end and _ADJUNCT.match(answer, start, end):
        return _TAKES_ADJUNCT.search(before) is None
    return bool(_AFTER_CLAUSE.search(before)) and _leads_in(answer, start, end)


def _without(answer: str, cuts: Sequence[Span]) -> str:
    """The answer without some spans; blanks and case mended at each."""
    kept_end = cuts[0][0]
    rest, capital = answer[:kept_end], False
    for (start, end), (following, _) in pairwise([*cuts, (len(answer), len(answer))]):
        removed = _WORD.search(answer, start, end)
        begins = _AFTER_SENTENCE.search(answer[:start]) is not None
        capital |= begins and removed is not None and removed[0][0].isupper()
        piece = answer[end:following]
        if not begins and rest:
            rest = _closed(rest, answer[start:end], piece)
        if not piece.strip():
            continue
        gap = _gap(rest, answer[kept_end:end], piece) if rest.strip() else ""
        if piece.lstrip()[0] in _DELIMITERS + _SENTENCE_ENDS and not begins:
            gap = ""
        piece = _capitalised(piece.lstrip()) if capital else piece.lstrip()
        rest = rest.rstrip() + gap + piece
        kept_end, capital = following, False
    return rest if kept_end == len(answer) else rest.rstrip()


def _closed(before: str, removed: str, after: str) -> str:
    """What stood before a cut within a sentence, without a comma that divides it from nothing.

    Where the cut took the sentence's end with it, it is put back.
    """
    text = before.rstrip().rstrip(_DELIMITERS + " ")
    follows, end = after.lstrip(" \t")[:1], removed.rstrip()[-1:]
    if end and end in _SENTENCE_ENDS:
        return text + end
    divided = not follows or follows in "\n)" + _DELIMITERS + _SENTENCE_ENDS
    return text if divided else before


def _gap(before: str, removed: str, after: str) -> str:
    """What divides what stood before and after a cut: the most line breaks that did."""
    blanks = [
        before[len(before.rstrip()) :],
        removed[: len(removed) - len(removed.lstrip())],
        removed[len(removed.rstrip()) :],
        after[: len(after) - len(after.lstrip())],
    ]
    return max(blanks, key=lambda blank: (blank.count("\n"), len(blank))) or " "


def _capitalised(text: str) -> str:
    """The text with a capital, unless its first word is spelt in a way of its own, as iPhone is."""
    word = _WORD.match(text)
    if word is None or not (word[0].islower() and word[0].isalpha()):
        return text
    return text[0].upper() + text[1:]


def _balanced(answer: str, rest: str) -> bool:
    """Whether nothing in the rest has lost its partner."""
    return all(after <= before for before, after in zip(_odd(answer), _odd(rest), strict=True))


def _odd(text: str) -> Iterator[int]:
    """How many brackets, quotes and tags of each kind have no partner."""
    for one, other in _BRACKETS:
        yield abs(text.count(one) - text.count(other))
    for mark in _EVEN:
        yield text.count(mark) % 2
    closing = [slash == "/" for slash in _TAG.findall(text)]
    yield abs(len(closing) - 2 * sum(closing))
