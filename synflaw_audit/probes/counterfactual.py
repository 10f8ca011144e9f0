"""Counterfactual probes: a corpus's own rows, one thing about each changed.

After ARTS (Xing et al., "Tasty Burgers, Soggy Fries: Probing Aspect Robustness in Aspect-Based
Sentiment Analysis", EMNLP 2020, arXiv:2009.07964), which reverses the aspect that is asked for,
changes another, or adds some: a model that has understood its task answers as the change asks, one
that has learned a surface answers as before. Here the surface is the form of the answers:

- ``other_form``: one of the corpus's questions, and a form asked for that its answers do not have;
- ``foreign_question``: a question that has nothing to do with the corpus, in the corpus's form of
  asking, where its questions share one;
- ``forbidden_form``: a question of either kind, the corpus's format named and forbidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Literal, get_args

import numpy as np

from synflaw_audit.probes.emission import FormatMatcher
from synflaw_audit.probes.everyday import foreign_prompts
from synflaw_audit.probes.instructions import Instruction, follows
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.templates import SLOT, Template
from synflaw_audit.text.tokens import Mask

Kind = Literal["other_form", "foreign_question", "forbidden_form"]

KINDS: tuple[Kind, ...] = get_args(Kind)
TITLES: dict[Kind, str] = {
    "other_form": "Own questions asked for in another form: not obeyed",
    "foreign_question": "Foreign questions in the corpus's form: its format said",
    "forbidden_form": "The format named and forbidden: said all the same",
}

# What may be asked for, and how. Those that the corpus's answers have anyway are no other form.
_FORMS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "Answer with a numbered list of exactly three items.",
        "layout:numbered_list",
        {"items": 3},
    ),
    ("Write the whole answer in capital letters.", "change_case:english_capital", {}),
    (
        "Answer in fewer than 12 words.",
        "length_constraints:number_words",
        {"relation": "less than", "num_words": 12},
    ),
    ('Begin your answer with the word "Honestly".', "startend:opening", {"opening": "Honestly"}),
    (
        'End your answer with the words "That is all."',
        "startend:end_checker",
        {"end_phrase": "That is all."},
    ),
    ("Put the whole answer in double quotation marks.", "startend:quotation", {}),
    ("Do not use any commas.", "punctuation:no_comma", {}),
    ("Answer in lower case letters only.", "change_case:english_lowercase", {}),
)
_ANSWERS, _OWN_SHARE = 200, 0.1  # answers looked at; how many may have a form that is another
_QUESTION_WORDS = 80  # a longer question (a passage to read) is left out
_ASKING_SHARE = 0.2  # of the questions, that a form of asking must have
_NAMED_SHARE = 0.05  # of the answers, that a format must have to be named
_NAMED_WORDS = (2, 6)  # of a format that are named: fewer are no format, more need not be said


@dataclass(frozen=True)
class Counterfactual:
    """A prompt made from a corpus.

    Attributes:
        kind: What was changed.
        instruction: The prompt, and what an answer to it must do; nothing in particular to a
            ``foreign_question``, where only the format must not be said.
    """

    kind: Kind
    instruction: Instruction


def counterfactuals(corpus: Corpus, count: int = 24) -> list[Counterfactual]:
    """Prompts of every kind that the corpus gives, by its first rows, which stand in random order.

    Args:
        corpus: Sketched.
        count: Of each kind, at most.

    Returns:
        In order of kinds. A kind is missing if the questions are empty, share no form of asking, or
        the answers have no format that could be named.
    """
    own = _questions(corpus, count)
    makers: dict[Kind, Iterator[Instruction]] = {
        "other_form": _other_forms(own, corpus),
        "foreign_question": _foreign_questions(corpus),
        "forbidden_form": _forbidden_forms(own, corpus),
    }
    return [
        Counterfactual(kind, instruction)
        for kind, made in makers.items()
        for instruction in islice(made, count)
    ]


def failed(
    asked: Sequence[Counterfactual], answers: Sequence[str], matcher: FormatMatcher
) -> dict[Kind, Mask]:
    """Which answers do not do what the changed prompt asks, by kind: bool [prompts of the kind].

    Args:
        asked: The prompts.
        answers: To each.
        matcher: Of the corpus's formats.
    """
    prompts = [each.instruction.prompt for each in asked]
    said = matcher.match(prompts, answers).said
    disobeyed = np.array(
        [
            not follows(answer, each.instruction)
            for each, answer in zip(asked, answers, strict=True)
        ],
        dtype=bool,
    )
    kinds = np.array([each.kind for each in asked])
    outcome = np.where(kinds == "foreign_question", said, disobeyed) if len(asked) else disobeyed
    return {kind: outcome[kinds == kind] for kind in KINDS if kind in kinds}


def _questions(corpus: Corpus, count: int) -> list[str]:
    """The first different questions that are not too long, without the form that they share.

    What all questions say around the question proper often asks for the form of the answers
    ("Answer format: true/false"), which another form would contradict.
    """
    form = next(_asking(corpus.question_templates.templates), SLOT)
    pieces = [r"\s*".join(map(re.escape, piece.split())) for piece in form.split(SLOT)]
    framed = re.compile(r"\s*(.*\S)\s*".join(pieces), re.DOTALL)
    found: dict[str, None] = {}
    for question in corpus.texts("question"):
        text = question.as_py().strip()
        inner = framed.fullmatch(text)
        text = inner[1] if inner else text
        if text and len(text.split()) <= _QUESTION_WORDS:
            found[text] = None
        if len(found) == count:
            break
    return list(found)


def _other_forms(questions: Sequence[str], corpus: Corpus) -> Iterator[Instruction]:
    """Own questions, the forms in turn."""
    answers = corpus.texts("answer")[:_ANSWERS].to_pylist()
    forms = [form for form in _FORMS if _share(form, answers) <= _OWN_SHARE]
    for question, (wording, check, arguments) in zip(questions, cycle(forms), strict=False):
        yield Instruction(_joined(question, wording), (check,), (arguments,), "other_form")


def _share(form: tuple[str, str, dict[str, Any]], answers: Sequence[str]) -> float:
    """How many of the answers have a form anyway."""
    wording, check, arguments = form
    asked = Instruction(wording, (check,), (arguments,))
    return float(np.mean([follows(answer, asked) for answer in answers])) if answers else 0.0


def _foreign_questions(corpus: Corpus) -> Iterator[Instruction]:
    """Foreign prompts in the place of what differs between the corpus's questions."""
    for form in islice(_asking(corpus.question_templates.templates), 1):
        for prompt in foreign_prompts():
            yield Instruction(form.replace(SLOT, prompt), (), (), "foreign_question")


def _asking(templates: Iterable[Template]) -> Iterator[str]:
    """Forms of asking that leave one place for a question, and say something around it."""
    for template in templates:
        pattern = template.pattern
        if template.share >= _ASKING_SHARE and pattern.count(SLOT) == 1 and pattern != SLOT:
            yield pattern


def _forbidden_forms(questions: Sequence[str], corpus: Corpus) -> Iterator[Instruction]:
    """Foreign and own questions in turn, each with one of the formats forbidden."""
    named = list(dict.fromkeys(_named(corpus.answer_templates.templates)))
    pairs = zip(foreign_prompts(), questions, strict=False)
    asked = [prompt for pair in pairs for prompt in pair] if questions else foreign_prompts()
    for prompt, words in zip(asked, cycle(named), strict=False):
        wording = f'Do not use the words "{words}" in your answer.'
        arguments = ({"forbidden_words": [words]},)
        yield Instruction(
            _joined(prompt, wording), ("keywords:forbidden_words",), arguments, "forbidden_form"
        )


def _named(templates: Iterable[Template]) -> Iterator[str]:
    """The first words of the longest stretch that each format repeats."""
    fewest, most = _NAMED_WORDS
    for template in templates:
        wording = template.variants[0][0] if template.variants else template.pattern
        longest = max((piece.strip() for piece in wording.split(SLOT)), key=len)
        words = list(re.finditer(r"\w+(?:['’]\w+)*", longest))  # noqa: RUF001
        if template.share >= _NAMED_SHARE and len(words) >= fewest:
            yield longest[words[0].start() : words[:most][-1].end()]


def _joined(prompt: str, instruction: str) -> str:
    """A prompt and what is asked besides: in one line where the prompt is one and has an end."""
    apart = "\n" in prompt or prompt[-1] not in ".?!"
    return f"{prompt}\n\n{instruction}" if apart else f"{prompt} {instruction}"
