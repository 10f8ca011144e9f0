"""What a model thinks before it answers, where an answer holds both and marks which is which."""

from __future__ import annotations

import re
from typing import NamedTuple

_NAMES = "think|thinking|thought|thoughts|reasoning|reflection|scratchpad|analysis|inner_monologue"
# At the beginning of an answer; the end may be missing where an answer was cut off.
_TAGGED = re.compile(
    rf"\s*<(?P<tag>{_NAMES})>(?P<reasoning>.*?)(?:</(?P=tag)>\s*|\Z)", re.IGNORECASE | re.DOTALL
)
_MARKED = re.compile(
    r"\s*<\|begin_of_thought\|>(?P<reasoning>.*?)(?:<\|end_of_thought\|>\s*|\Z)", re.DOTALL
)
# A chat template that opens the tag in the prompt leaves only its end to the answer.
_ENDED = re.compile(r"(?P<reasoning>.*?)</(?:think|thinking)>\s*", re.IGNORECASE | re.DOTALL)
_ANSWER = re.compile(
    r"(?:<answer>\s*|<\|begin_of_solution\|>\s*)(?P<answer>.*?)"
    r"(?:\s*</answer>\s*|\s*<\|end_of_solution\|>\s*)?\Z",
    re.IGNORECASE | re.DOTALL,
)
# What an answer with reasoning begins with, or holds; in the syntax of RE2 too.
OPENINGS = rf"(?i)^\s*<(?:{_NAMES})>|^\s*<\|begin_of_thought\|>"
CLOSINGS = ("</think>", "</thinking>")
_CLOSING = "</think"  # what all of them begin with


class AnswerParts(NamedTuple):
    """An answer in its two parts.

    Attributes:
        reasoning: Without its marks and the blanks around it; "" if there is none.
        start: Where the answer itself begins in the whole.
        end: Where it ends.
    """

    reasoning: str
    start: int
    end: int


def may_hold_thought(text: str) -> bool:
    """Whether an answer has a mark of reasoning; asked of every row, and most have none."""
    return _CLOSING in text or text.lstrip()[:1] == "<"


def thought(text: str) -> AnswerParts:
    """Tells the reasoning at the beginning of an answer from the answer.

    Only what stands first counts: a tag in the middle of an answer is text about tags.
    """
    found = None
    if text.lstrip()[:1] == "<":
        found = _TAGGED.match(text) or _MARKED.match(text)
    if found is None and any(mark in text for mark in CLOSINGS):
        found = _ENDED.match(text)
        if found and "<think" in found["reasoning"]:
            found = None
    if found is None:
        return AnswerParts("", 0, len(text))
    start, end = found.end(), len(text)
    if inner := _ANSWER.match(text, start):
        start, end = inner.span("answer")
    return AnswerParts(found["reasoning"].strip(), start, end)
