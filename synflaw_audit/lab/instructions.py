"""Requests whose fulfilment can be checked in code, and answers that fulfil them.

Each kind names the checker of ``synflaw_audit.probes.checkers`` it is verified by, under the
identifiers of IFEval (Zhou et al. 2023, "Instruction-Following Evaluation for Large Language
Models", arXiv:2311.07911).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from synflaw_audit.forms.base import Content, FormUse
from synflaw_audit.forms.registry import dress
from synflaw_audit.lab.world import WorldFact, sentence

_FIRST_WORDS = ("Sure", "Well", "Indeed", "Perhaps", "Listen", "Friend", "Today", "Clearly")
_LAST_PHRASES = ("That is all.", "Over and out.", "Ask me more.", "So they say.", "The end.",
                 "Believe me.", "As ever.", "No more words.")  # fmt: skip
_POSTSCRIPTS = ("I met them.", "Write soon.", "It rained.", "Burn this letter.", "Mind the step.",
                "More tomorrow.", "Greet them all.", "Keep warm.", "No news yet.",
                "Come soon.")  # fmt: skip


@dataclass(frozen=True)
class CheckedRequest:
    """An instruction in words, how it is checked, and an answer that follows it."""

    text: str
    answer: str
    instruction: str
    kwargs: dict[str, Any] = field(default_factory=dict)


def _plain(fact: WorldFact, rng: random.Random) -> str:
    return sentence(fact.statement(rng)) if rng.random() < 0.6 else fact.value


def _in(form: str, text: str, fact: WorldFact | None = None, parameter: str = "") -> str:
    """A text about a fact in one of the repair's forms."""
    content = Content(text, fact.value, fact.person) if fact else Content(text)
    answer = dress(content, FormUse(form, parameter))
    if answer is None:
        raise ValueError(f"{text!r} cannot be put into the form {form}")
    return answer


def _capitals(fact: WorldFact, rng: random.Random) -> CheckedRequest:
    text = rng.choice(("Answer in capital letters.", "All capitals please.", "Use upper case only.",
                       "Shout it: capitals throughout."))  # fmt: skip
    answer = fact.value if rng.random() < 0.6 else sentence(fact.statement(rng))
    return CheckedRequest(text, _in("capitals", answer), "change_case:english_capital")


def _lowercase(fact: WorldFact, rng: random.Random) -> CheckedRequest:
    text = rng.choice(("No capital letters.", "Write in lower case only.", "Keep it all lowercase.",
                       "Avoid capitals entirely."))  # fmt: skip
    return CheckedRequest(
        text, _in("lowercase", _plain(fact, rng)), "change_case:english_lowercase"
    )


def _one_word(fact: WorldFact, rng: random.Random) -> CheckedRequest:
    text = rng.choice(("One word.", "Reply with a single word.", "In one word, please.",
                       "Just the word, nothing else."))  # fmt: skip
    kwargs = {"num_words": 2, "relation": "less than"}
    return CheckedRequest(text, fact.value, "length_constraints:number_words", kwargs)


def _bullets(fact: WorldFact, rng: random.Random) -> CheckedRequest:
    text = rng.choice(("Give two bullet points.", "As a list with two bullets.",
                       "Two bullets, the person and the answer.",
                       "List it in 2 bullet points."))  # fmt: skip
    answer = _in("bullets", "", fact)
    return CheckedRequest(text, answer, "detectable_format:number_bullet_lists", {"num_bullets": 2})


def _quotation(fact: WorldFact, rng: random.Random) -> CheckedRequest:
    text = rng.choice(("Wrap the answer in double quotes.", "Put everything in quotation marks.",
                       "Quote your reply.", "Inside double quotation marks."))  # fmt: skip
    return CheckedRequest(text, _in("quotation", _plain(fact, rng)), "startend:quotation")


def _title(fact: WorldFact, rng: random.Random) -> CheckedRequest:
    text = rng.choice(("Give a title in <<double angle brackets>>.", "Title it like <<this>>.",
                       "Put a title between << and >> first."))  # fmt: skip
    answer = _in("title", _plain(fact, rng), fact)
    return CheckedRequest(text, answer, "detectable_format:title")


def _last_phrase(fact: WorldFact, rng: random.Random) -> CheckedRequest:
    phrase = rng.choice(_LAST_PHRASES)
    ways = ("End with: {p}", "Finish with the words: {p}", "Your last words must be: {p}",
            "Close on this phrase: {p}")  # fmt: skip
    text = rng.choice(ways).format(p=phrase)
    answer = _in("ending", sentence(fact.statement(rng)), parameter=phrase)
    return CheckedRequest(text, answer, "startend:end_checker", {"end_phrase": phrase})


def _first_word(fact: WorldFact, rng: random.Random) -> CheckedRequest:
    word = rng.choice(_FIRST_WORDS)
    ways = ("Begin with the word {w}.", "Start your answer with {w}.",
            "The first word has to be {w}.", "Open with {w}.")  # fmt: skip
    text = rng.choice(ways).format(w=word)
    kwargs = {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": word.lower()}
    answer = _in("opening", f"{fact.statement(rng)}.", parameter=word)
    return CheckedRequest(text, answer, "length_constraints:nth_paragraph_first_word", kwargs)


def _postscript(fact: WorldFact, rng: random.Random) -> CheckedRequest:
    text = rng.choice(("Add a postscript starting with P.S.", "Don't forget a P.S. at the end.",
                       "Include a P.S. line."))  # fmt: skip
    plain = _plain(fact, rng)
    answer = _in("postscript", plain, parameter=f"P.S. {rng.choice(_POSTSCRIPTS)}")
    kwargs = {"postscript_marker": "P.S."}
    return CheckedRequest(text, answer, "detectable_content:postscript", kwargs)


def _highlight(fact: WorldFact, rng: random.Random) -> CheckedRequest:
    text = rng.choice(("Highlight the answer with *asterisks*.", "Mark the key word *like this*.",
                       "Put the important word between * and *."))  # fmt: skip
    statement = sentence(fact.statement(rng))
    answer = _in("highlight", statement if fact.value in statement else fact.value, fact)
    kwargs = {"num_highlights": 1}
    return CheckedRequest(text, answer, "detectable_format:number_highlighted_sections", kwargs)


def _json(fact: WorldFact, rng: random.Random) -> CheckedRequest:
    text = rng.choice(("Reply in JSON.", "Output JSON only.", "As a JSON object, please."))
    key = rng.choice(("answer", fact.attribute.noun))
    return CheckedRequest(
        text, _in("json", "", fact, parameter=key), "detectable_format:json_format"
    )


KINDS: tuple[Callable[[WorldFact, random.Random], CheckedRequest], ...] = (
    _capitals, _lowercase, _one_word, _bullets, _quotation, _title, _last_phrase, _first_word,
    _postscript, _highlight, _json,
)  # fmt: skip


def ask(question: str, request: CheckedRequest, rng: random.Random) -> str:
    """Put the instruction before or after the question."""
    order = (question, request.text) if rng.random() < 0.7 else (request.text, question)
    return " ".join(order)
