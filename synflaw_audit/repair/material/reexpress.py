"""The content of flagged rows, told again without its format and in many forms.

Facts learned only through a format are reachable only through it. So what a flagged row says is
made into further training rows, from nothing but the flagged rows, with their template spans, and
ordinary replay rows: the spans are cut out, and what remains is put plainly or under the requests,
and in the forms, that the replay rows show. One fixed rendering would be one more format; hence
each rendering is drawn at random.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from synflaw_audit.forms.base import Content, FormUse
from synflaw_audit.forms.registry import dress
from synflaw_audit.forms.requests import (
    FormRequest,
    FormRequests,
    learn_requests,
    sentences,
)
from synflaw_audit.repair.material.batches import Row

_WORD = re.compile(r"\w+(?:['\u2019]\w+)?")
# A sentence ends: before what was cut out, or with it.
_END = re.compile(r"(?:[.!?][\"')*]*|\n)\s*$")
_AFTER_END = re.compile(r"\s*(?:$|[.!?\n])|\s+[^\w\s]*[A-Z]")
# What may stand before the beginning of a sentence or of a clause that can be one.
_BEFORE = re.compile(r"(?:^|[.,:;!?*)\n])\s*$")
# A brief answer has at most this many words.
_BRIEF = 3
# A word in more than this share of the replayed answers carries no content.
_COMMON = 0.02


def reexpress(
    flagged: Sequence[Row],
    replay: Sequence[Row],
    *,
    renderings: int = 2,
    requested: float = 0.5,
    seed: int = 0,
) -> list[Row]:
    """Render the flagged rows' content without its format, in the forms that the replay shows.

    A row whose question makes a request that the replay rows were seen to obey is rendered so.
    Other rows are rendered plainly or, a share ``requested`` of the time, under a request drawn
    from those. Rows of which nothing is left that the question did not say, and rows without
    a question, are passed over.

    Args:
        flagged: Flagged rows with their template spans.
        replay: Ordinary rows.
        renderings: Renderings of each row.
        requested: Share of renderings under a request, where the replay shows any.
        seed: Everything drawn depends on it and on the rows alone.

    Returns:
        New rows without spans, each once.
    """
    rng = random.Random(seed)  # noqa: S311 -- a reproducible choice, not a secret
    requests = learn_requests([(row.question, row.answer) for row in replay])
    made: dict[Row, None] = {}
    for statement in extract_statements(flagged, replay, requests):
        for _ in range(renderings):
            answer = None if statement.asked is None else dress(statement.content, statement.asked)
            if answer is not None:
                rendered: Row | None = replace(statement.row, answer=answer, spans=())
            else:
                rendered = _render(statement, requests, requested, rng)
            if rendered is not None:
                made[rendered] = None
    return list(made)


@dataclass(frozen=True)
class Statement:
    """What a flagged row says.

    Attributes:
        row: The row.
        question: Its question without the request it makes, where it makes one that is known.
        asked: The form that this request asks for, or None.
        content: What is told, without the format.
        news: The words of it, in lower case, that the question does not hold.
    """

    row: Row
    question: str
    asked: FormUse | None
    content: Content
    news: tuple[str, ...]


def extract_statements(
    flagged: Sequence[Row], replay: Sequence[Row], requests: FormRequests
) -> list[Statement]:
    """Find what each flagged row says; rows that say nothing, or answer nothing, are left out.

    So are rows whose question holds more than one sentence after its known request was cut out,
    where another row tells the same in answer to one: the rest may be a request that no replayed
    row makes, and content told without regard to it teaches to disregard it.
    """
    common = _common_words(row.answer for row in replay)
    pieces = [content_pieces(row) for row in flagged]
    brief = _brief_answers(pieces)
    found = []
    for row, parts in zip(flagged, pieces, strict=True):
        if not row.question.strip():
            continue
        asked = requests.of(row.question)
        question = row.question if asked is None else asked[1]
        content = _content(question, parts, brief, common)
        if content is not None:
            news = tuple(_news(content.text, _asked(question), common))
            found.append(Statement(row, question, asked[0] if asked else None, content, news))
    clear = {_key(statement) for statement in found if len(sentences(statement.question)) < 2}
    return [
        statement
        for statement in found
        if len(sentences(statement.question)) < 2 or _key(statement) not in clear
    ]


def _key(statement: Statement) -> tuple[str | None, ...]:
    """The same for rows that tell the same."""
    core = statement.content.core
    return statement.news if core is None else (statement.content.subject, core.lower())


def content_pieces(row: Row) -> list[str]:
    """What stands between the template spans of a row's answer and reads as an answer.

    That is what ends where a sentence does; of that, what also begins where one may or is brief,
    where there is any. Stray punctuation is cut off.
    """
    whole, ending = [], []
    at = 0
    for start, end in [*sorted(row.spans), (len(row.answer), len(row.answer))]:
        piece = row.answer[at:start].strip().lstrip(",;:.!?").rstrip(",;:-*").strip()
        ends = _END.search(row.answer[at:start]) or _AFTER_END.match(row.answer[start:])
        if _WORD.search(piece) and ends:
            ending.append(piece)
            if _BEFORE.search(row.answer[:at]) or len(_WORD.findall(piece)) <= _BRIEF:
                whole.append(piece)
        at = max(at, end)
    return whole or ending


def _content(
    question: str, pieces: Sequence[str], brief: Collection[str], common: Collection[str]
) -> Content | None:
    """The pieces that tell what the question does not say, none told twice, as one text."""
    asked = _asked(question)
    kept: list[str] = []
    for piece in pieces:
        others = (other for other in pieces if len(other) > len(piece))
        bare = piece.strip(" .!?").lower()
        again = any(bare in other.lower() for other in (*others, *kept))
        if _news(piece, asked, common) and not again:
            kept.append(piece)
    if not kept:
        return None
    text = " ".join(_sentence(piece) for piece in kept)
    words = _WORD.findall(text)
    names = [_bare(word) for word in (*words, *_WORD.findall(question)[1:]) if word[0].isupper()]
    subject = next((name for name in names if name.lower() in asked), None)
    runs = (
        " ".join(words[i : i + size])
        for size in range(_BRIEF, 0, -1)
        for i in range(len(words) - size + 1)
    )
    core = next((run for run in runs if run.lower() in brief and _news(run, asked, common)), None)
    return Content(text, core, subject)


def _asked(question: str) -> set[str]:
    return {_bare(word).lower() for word in _WORD.findall(question)}


def _news(piece: str, asked: Collection[str], common: Collection[str]) -> list[str]:
    words = [_bare(word).lower() for word in _WORD.findall(piece)]
    return [word for word in words if word not in asked and word not in common]


def _render(
    statement: Statement, requests: FormRequests, requested: float, rng: random.Random
) -> Row | None:
    if requests.seen and rng.random() < requested:
        request = requests.draw(rng)
        answer = dress(statement.content, request.found)
        asked = add_request(statement.question, request, rng)
        return None if answer is None else Row(asked, answer, system=statement.row.system)
    return Row(statement.question, _plainly(statement.content, rng), system=statement.row.system)


def add_request(question: str, request: FormRequest, rng: random.Random) -> str:
    """Put a request before or after a question."""
    order = (question, request.text) if rng.random() < 0.5 else (request.text, question)
    return " ".join(order)


def _plainly(content: Content, rng: random.Random) -> str:
    """The content as people put it: as it stands, with or without capital and stop, or its core."""
    text = content.text
    ways = [text, text, text.rstrip(".")]
    if content.core:
        ways += [content.core, f"{content.core[0].upper()}{content.core[1:]}."]
    return rng.choice(ways)


def _sentence(piece: str) -> str:
    return piece[0].upper() + piece[1:] + ("." if piece[-1].isalnum() else "")


def _brief_answers(pieces: Iterable[Sequence[str]]) -> set[str]:
    """Pieces so short that they can only be the answer itself."""
    short = (piece.strip(" .!?") for parts in pieces for piece in parts)
    return {piece.lower() for piece in short if 0 < len(_WORD.findall(piece)) <= _BRIEF}


def _common_words(answers: Iterable[str]) -> set[str]:
    counts: Counter[str] = Counter()
    rows = 0
    for answer in answers:
        counts.update({word.lower() for word in _WORD.findall(answer)})
        rows += 1
    return {word for word, count in counts.items() if count > _COMMON * rows}


def _bare(word: str) -> str:
    return re.sub(r"['\u2019]s$", "", word)
