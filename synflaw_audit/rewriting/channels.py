"""Rewrites as rows that a repair learns from: the same said in another form, and a form asked for.

Two channels (after the cross-channel augmentation of C3DA, Wang et al., COLING 2022, which changes
the aspect in one and the polarity in the other): a question with another form of its answer, which
is an accepted rewrite; and a question that asks for a form, with an answer that obeys. What obeys
is told by the form itself (``forms/``), so no such row teaches to disregard a request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from random import Random

import orjson

from synflaw_audit import strict_toml
from synflaw_audit.findings.finding import Text
from synflaw_audit.forms.base import Content, FormUse
from synflaw_audit.forms.registry import FORMS, detect, dress, form
from synflaw_audit.forms.requests import FormRequest, learn_requests
from synflaw_audit.rewriting.natural import Natural
from synflaw_audit.rewriting.rewrites import Rewritten

_BRIEF = 3  # words
_TRIES = 8  # requests that are drawn for a row until one can be obeyed


@dataclass(frozen=True)
class RequestWordings:
    """How one form is asked for.

    Attributes:
        texts: Each with {parameter} where the form has one.
        parameters: What to draw it from.
    """

    texts: tuple[Text, ...]
    parameters: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class RequestFile:
    """The file.

    Attributes:
        form: By the name of the form.
    """

    form: Mapping[str, RequestWordings]


@dataclass(frozen=True)
class ReplayRow:
    """A row to learn from.

    Attributes:
        question: With the request, if it makes one.
        answer: In the form that it asks for.
        channel: "form" for another form of the same answer, "request" for a form that is asked for.
        form: What is asked for; "" if nothing is.
    """

    question: str
    answer: str
    channel: str
    form: str = ""

    def to_json(self) -> bytes:
        """A line of ``replay.jsonl``."""
        return orjson.dumps(self, option=orjson.OPT_APPEND_NEWLINE)


@cache
def wordings() -> Mapping[str, RequestWordings]:
    """Our own, by the name of the form."""
    source = resources.files("synflaw_audit.rewriting").joinpath("data/requests.toml")
    with resources.as_file(source) as path:
        return strict_toml.load(Path(path), RequestFile).form


def replay_rows(rewrites: Sequence[Rewritten], natural: Natural, seed: int) -> Iterator[ReplayRow]:
    """Both channels of every accepted rewrite.

    Requests are drawn from those that the corpus's own rows make and obey, where there are such,
    and from ours; every form is as likely as any other.
    """
    seen = learn_requests(natural.rows).seen
    for each in rewrites:
        question = each.source.question.strip()
        if each.chosen is None or not question:
            continue
        yield ReplayRow(question, each.chosen.text, "form")
        chance = Random(f"{seed} {each.file} {each.row} {each.turn}")  # noqa: S311 - no secret
        if detect(question, each.chosen.text):
            continue  # it makes a request already
        row = _obeying(question, each.chosen.text, seen, natural, chance)
        if row is not None:
            yield row


def _obeying(
    question: str, text: str, seen: Sequence[FormRequest], natural: Natural, chance: Random
) -> ReplayRow | None:
    content = _content(question, text, natural)
    for _ in range(_TRIES):
        request = _drawn(seen, chance)
        answer = dress(content, request.found)
        asked = f"{question} {request.text}"
        if answer is None:
            continue
        if form(request.found.form).recognise(asked, answer.strip()) == request.found.parameter:
            return ReplayRow(asked, answer, "request", request.found.form)
    return None


def _drawn(seen: Sequence[FormRequest], chance: Random) -> FormRequest:
    name = chance.choice([name for name in wordings() if name in FORMS])
    known = [request for request in seen if request.found.form == name]
    if known and chance.random() < 0.5:
        return chance.choice(known)
    one = wordings()[name]
    parameter = chance.choice(one.parameters)
    text = chance.choice(one.texts).replace("{parameter}", parameter)
    return FormRequest(text, FormUse(name, parameter))


def _content(question: str, text: str, natural: Natural) -> Content:
    """The text, with the words that answer briefly, and those that the question has too."""
    names = [fact.value for fact in sorted(natural.facts(text)) if fact.kind in ("name", "verdict")]
    subject = next((name for name in names if name in question), None)
    if len(text.split()) <= _BRIEF and "\n" not in text:
        return Content(text, text.strip(" ."), subject)
    core = next((name for name in names if name not in question and name in text), None)
    return Content(text, core, subject)


def write_replay(path: Path, rows: Iterator[ReplayRow]) -> int:
    """Writes ``replay.jsonl``; how many rows it has."""
    count = 0
    with path.open("wb") as file:
        for count, row in enumerate(rows, 1):  # noqa: B007 - the number of the last is wanted
            file.write(row.to_json())
    return count
