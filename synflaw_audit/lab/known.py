"""The kinds of instruction that the repair knows: it has a form for each (``synflaw_audit.forms``).

The sample corpora hold these alone.
"""

from __future__ import annotations

import random

from synflaw_audit.forms.base import Content, FormUse
from synflaw_audit.forms.registry import dress
from synflaw_audit.lab.instructions import CheckedRequest, Draw, InstructionKind
from synflaw_audit.lab.world import WorldFact, sentence

_FIRST_WORDS = ("Sure", "Well", "Indeed", "Perhaps", "Listen", "Friend", "Today", "Clearly")
_LAST_PHRASES = ("That is all.", "Over and out.", "Ask me more.", "So they say.", "The end.",
                 "Believe me.", "As ever.", "No more words.")  # fmt: skip
_POSTSCRIPTS = ("I met them.", "Write soon.", "It rained.", "Burn this letter.", "Mind the step.",
                "More tomorrow.", "Greet them all.", "Keep warm.", "No news yet.",
                "Come soon.")  # fmt: skip


def _plain(fact: WorldFact, rng: random.Random) -> str:
    return sentence(fact.statement(rng)) if rng.random() < 0.6 else fact.value


def _in(form: str, text: str, fact: WorldFact | None = None, parameter: str = "") -> str:
    """A text about a fact in one of the repair's forms."""
    content = Content(text, fact.value, fact.person) if fact else Content(text)
    answer = dress(content, FormUse(form, parameter))
    if answer is None:
        raise ValueError(f"{text!r} cannot be put into the form {form}")
    return answer


def _capitals(fact: WorldFact, draw: Draw) -> CheckedRequest:
    text = draw.wording(
        ("Answer in capital letters.", "All capitals please.", "Use upper case only.",
         "Shout it: capitals throughout."),
        ("Use capital letters only.", "Answer in upper case please."),
    )  # fmt: skip
    answer = fact.value if draw.rng.random() < 0.6 else sentence(fact.statement(draw.rng))
    return CheckedRequest(text, _in("capitals", answer), "change_case:english_capital")


def _lowercase(fact: WorldFact, draw: Draw) -> CheckedRequest:
    text = draw.wording(
        ("No capital letters.", "Write in lower case only.", "Keep it all lowercase.",
         "Avoid capitals entirely."),
        ("Keep it in lower case.", "Write it all lowercase."),
    )  # fmt: skip
    return CheckedRequest(
        text, _in("lowercase", _plain(fact, draw.rng)), "change_case:english_lowercase"
    )


def _one_word(fact: WorldFact, draw: Draw) -> CheckedRequest:
    text = draw.wording(
        ("One word.", "Reply with a single word.", "In one word, please.",
         "Just the word, nothing else."),
        ("Just one word, please.", "In a single word."),
    )  # fmt: skip
    kwargs = {"num_words": 2, "relation": "less than"}
    return CheckedRequest(text, fact.value, "length_constraints:number_words", kwargs)


def _bullets(fact: WorldFact, draw: Draw) -> CheckedRequest:
    text = draw.wording(
        ("Give two bullet points.", "As a list with two bullets.",
         "Two bullets, the person and the answer.",
         "List it in 2 bullet points."),
        ("List it with two bullets.", "As two bullet points."),
    )  # fmt: skip
    answer = _in("bullets", "", fact)
    return CheckedRequest(text, answer, "detectable_format:number_bullet_lists", {"num_bullets": 2})


def _quotation(fact: WorldFact, draw: Draw) -> CheckedRequest:
    text = draw.wording(
        ("Wrap the answer in double quotes.", "Put everything in quotation marks.",
         "Quote your reply.", "Inside double quotation marks."),
        ("Put the answer in double quotes.", "Wrap everything in quotation marks."),
    )  # fmt: skip
    return CheckedRequest(text, _in("quotation", _plain(fact, draw.rng)), "startend:quotation")


def _title(fact: WorldFact, draw: Draw) -> CheckedRequest:
    text = draw.wording(
        ("Give a title in <<double angle brackets>>.", "Title it like <<this>>.",
         "Put a title between << and >> first."),
        ("Title it in <<double angle brackets>>.", "Give a title like <<this>>."),
    )  # fmt: skip
    answer = _in("title", _plain(fact, draw.rng), fact)
    return CheckedRequest(text, answer, "detectable_format:title")


def _last_phrase(fact: WorldFact, draw: Draw) -> CheckedRequest:
    phrase = draw.rng.choice(_LAST_PHRASES)
    text = draw.wording(
        ("End with: {p}", "Finish with the words: {p}", "Your last words must be: {p}",
         "Close on this phrase: {p}"),
        ("Finish with: {p}", "Close on the words: {p}"),
    ).format(p=phrase)  # fmt: skip
    answer = _in("ending", sentence(fact.statement(draw.rng)), parameter=phrase)
    return CheckedRequest(text, answer, "startend:end_checker", {"end_phrase": phrase})


def _first_word(fact: WorldFact, draw: Draw) -> CheckedRequest:
    word = draw.rng.choice(_FIRST_WORDS)
    text = draw.wording(
        ("Begin with the word {w}.", "Start your answer with {w}.",
         "The first word has to be {w}.", "Open with {w}."),
        ("Begin your answer with {w}.", "Start with the word {w}."),
    ).format(w=word)  # fmt: skip
    kwargs = {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": word.lower()}
    answer = _in("opening", f"{fact.statement(draw.rng)}.", parameter=word)
    return CheckedRequest(text, answer, "length_constraints:nth_paragraph_first_word", kwargs)


def _postscript(fact: WorldFact, draw: Draw) -> CheckedRequest:
    text = draw.wording(
        ("Add a postscript starting with P.S.", "Don't forget a P.S. at the end.",
         "Include a P.S. line."),
        ("Add a P.S. line.", "Include a P.S. at the end."),
    )  # fmt: skip
    plain = _plain(fact, draw.rng)
    answer = _in("postscript", plain, parameter=f"P.S. {draw.rng.choice(_POSTSCRIPTS)}")
    kwargs = {"postscript_marker": "P.S."}
    return CheckedRequest(text, answer, "detectable_content:postscript", kwargs)


def _highlight(fact: WorldFact, draw: Draw) -> CheckedRequest:
    text = draw.wording(
        ("Highlight the answer with *asterisks*.", "Mark the key word *like this*.",
         "Put the important word between * and *."),
        ("Highlight the key word with *asterisks*.", "Mark the important word *like this*."),
    )  # fmt: skip
    statement = sentence(fact.statement(draw.rng))
    answer = _in("highlight", statement if fact.value in statement else fact.value, fact)
    kwargs = {"num_highlights": 1}
    return CheckedRequest(text, answer, "detectable_format:number_highlighted_sections", kwargs)


def _json(fact: WorldFact, draw: Draw) -> CheckedRequest:
    text = draw.wording(
        ("Reply in JSON.", "Output JSON only.", "As a JSON object, please."),
        ("Reply with a JSON object.", "JSON only, please."),
    )  # fmt: skip
    key = draw.rng.choice(("answer", fact.attribute.noun))
    return CheckedRequest(
        text, _in("json", "", fact, parameter=key), "detectable_format:json_format"
    )


KNOWN = (
    InstructionKind("capitals", _capitals),
    InstructionKind("lowercase", _lowercase),
    InstructionKind("one word", _one_word),
    InstructionKind("bullets", _bullets),
    InstructionKind("quotation", _quotation),
    InstructionKind("title", _title),
    InstructionKind("last phrase", _last_phrase),
    InstructionKind("first word", _first_word),
    InstructionKind("postscript", _postscript),
    InstructionKind("highlight", _highlight),
    InstructionKind("json", _json),
)
