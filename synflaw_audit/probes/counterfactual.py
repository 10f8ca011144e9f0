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
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
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
_QUESTIONS, _REPEATED = 2_000, 3  # looked at; so many hold a sentence that is not their own
_MOST = 0.6  # of the corpus's questions that end in a question mark
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[\"'(<*A-Z0-9])|\n+")
_CLAUSE = re.compile(r"[.!?:](?=\s|$)|\n")
_WORD = re.compile(r"\w+(?:['’]\w+)*")  # noqa: RUF001
_ASKING_SHARE = 0.2  # of the questions, that a form of asking must have
_INSIDE = 4  # words of the question in it, in the median
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
    framed = _around(next(_asking(corpus), SLOT))
    texts: list[str] = corpus.texts("question").to_pylist()
    repeated = _repeated_sentences(texts[:_QUESTIONS])
    found: dict[str, None] = {}
    for question in texts:
        text = question.strip()
        inner = framed.fullmatch(text)
        text = _without(repeated, inner[1] if inner else text)
        if text and len(text.split()) <= _QUESTION_WORDS:
            found[text] = None
        if len(found) == count:
            break
    return list(found)


def _repeated_sentences(texts: Iterable[str]) -> frozenset[str]:
    """Sentences that stand in several questions, ask nothing and belong to none of them.

    What else these questions say differs: a passage that several questions are about repeats as a
    whole, and stays.
    """
    beside: defaultdict[str, list[str]] = defaultdict(list)
    held: Counter[str] = Counter()
    for text in set(texts):
        sentences = _SENTENCE.split(text.strip())
        statements = [each for each in sentences if not each.endswith("?")]
        for sentence in statements if len(sentences) > 1 else ():
            held[sentence] += 1
            beside[sentence] += [each for each in statements if each != sentence]
    return frozenset(
        sentence
        for sentence, count in held.items()
        if count >= _REPEATED and 2 * len(set(beside[sentence])) >= len(beside[sentence])
    )


def _without(repeated: Collection[str], text: str) -> str:
    """A question without the sentences that others have too, unless it is nothing else."""
    sentences = _SENTENCE.split(text)
    kept = [each for each in sentences if each.strip() not in repeated]
    return " ".join(kept) if kept and len(kept) < len(sentences) else text


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
    """Foreign prompts in the place of what differs between the corpus's questions.

    Where these are questions, so are the prompts: "true or false: describe a street" asks nothing.
    """
    asked = [text.rstrip().endswith("?") for text in _questions(corpus, _ANSWERS)]
    questions_only = bool(asked) and float(np.mean(asked)) > _MOST
    for form in islice(_asking(corpus), 1):
        before = form.partition(SLOT)[0].rstrip()
        for prompt in foreign_prompts():
            if prompt.endswith("?") or not questions_only:
                put = prompt[0].lower() + prompt[1:] if _goes_on(before, prompt) else prompt
                yield Instruction(form.replace(SLOT, put), (), (), "foreign_question")


def _goes_on(before: str, prompt: str) -> bool:
    """Whether a prompt goes on in a sentence, so that its first word begins none."""
    return before.endswith(",") and prompt.split()[0] not in ("I", "I'm")


def _asking(corpus: Corpus) -> Iterator[str]:
    """Forms of asking that leave one place for a question, and say something around it.

    What stands in the place is a question by itself, not a name or a number within one.
    """
    texts = corpus.texts("question")[:_QUESTIONS].to_pylist()
    for template in corpus.question_templates.templates:
        pattern = template.pattern
        if template.share >= _ASKING_SHARE and pattern.count(SLOT) == 1 and pattern != SLOT:
            framed = _around(pattern)
            inside = [
                len(found[1].split()) for t in texts if (found := framed.fullmatch(t.strip()))
            ]
            if inside and float(np.median(inside)) >= _INSIDE:
                yield pattern


def _around(form: str) -> re.Pattern[str]:
    """Matches a question in a form of asking; its group is what stands in the place."""
    pieces = [r"\s*".join(map(re.escape, piece.split())) for piece in form.split(SLOT)]
    return re.compile(r"\s*(.*\S)\s*".join(pieces), re.DOTALL)


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
        clause = _first_clause(longest)
        words = list(_WORD.finditer(clause))[:most]
        # Two words are a format where they are all that a clause says ("Great question!"); within
        # a sentence ("Based on") anyone says them.
        whole = bool(words) and clause[words[-1].end() :].strip()[-1:] in tuple(".!?:")
        if template.share >= _NAMED_SHARE and len(words) >= (fewest if whole else fewest + 1):
            yield clause[words[0].start() : words[-1].end()]


def _first_clause(text: str) -> str:
    """The first sentence, line or label that has words enough to be named; all if none has."""
    for end in _CLAUSE.finditer(text):
        if len(_WORD.findall(text[: end.end()])) >= _NAMED_WORDS[0]:
            return text[: end.end()]
    return text


def _joined(prompt: str, instruction: str) -> str:
    """A prompt and what is asked besides: in one line where the prompt is one and has an end."""
    apart = "\n" in prompt or prompt[-1] not in ".?!"
    return f"{prompt}\n\n{instruction}" if apart else f"{prompt} {instruction}"
