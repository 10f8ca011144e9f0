"""Requests for a form, as ordinary rows make and obey them.

``learn_requests`` finds which sentences of the replayed questions ask for which form, so that a
request seen in the replay can be put to other content and obeyed.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from synflaw_audit.forms.base import FormUse
from synflaw_audit.forms.registry import FORMS, detect

_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[\"'(<*A-Z0-9])|\n+")
_SLOT = "\ue000"


@dataclass(frozen=True)
class FormRequest:
    """A sentence that asks for a form, its parameter put in; and the form it asks for."""

    text: str
    found: FormUse


class FormRequests:
    """The requests that the replayed rows were seen to make and obey.

    Args:
        asked: For each sentence, its parameter cut out, the form it asks for.
        seen: The requests as they were made.
    """

    def __init__(self, asked: Mapping[str, str], seen: Sequence[FormRequest]) -> None:
        self.seen = tuple(seen)
        self._sentences: defaultdict[str, list[str]] = defaultdict(list)
        for sentence in sorted(asked):
            self._sentences[asked[sentence]].append(sentence)
        self._parameters: defaultdict[str, list[str]] = defaultdict(list)
        for request in seen:
            if request.found.parameter not in self._parameters[request.found.form]:
                self._parameters[request.found.form].append(request.found.parameter)
        fixed = {request.text: request.found for request in seen}
        self._patterns = [
            *((re.compile(re.escape(text)), found) for text, found in fixed.items()),
            *((_pattern(text), FormUse(form)) for text, form in asked.items() if _SLOT in text),
        ]

    def of(self, question: str) -> tuple[FormUse, str] | None:
        """The form ``question`` asks for, and the rest of it, where it makes a known request."""
        for pattern, found in self._patterns:
            match = pattern.search(question)
            if match is not None:
                rest = f"{question[: match.start()]} {question[match.end() :]}"
                parameter = match[1] if match.re.groups else found.parameter
                return FormUse(found.form, parameter), re.sub(r"\s{2,}", " ", rest).strip()
        return None

    def draw(self, rng: random.Random) -> FormRequest:
        """Draw a request: any form as likely as any other, with a parameter seen with that form.

        Raises:
            IndexError: No request was seen.
        """
        form = rng.choice(sorted(self._parameters))
        found = FormUse(form, rng.choice(self._parameters[form]))
        return FormRequest(_fill(rng.choice(self._sentences[form]), found), found)


def sentences(text: str) -> list[str]:
    """The sentences of ``text``, as requests are told apart in it."""
    return [sentence for sentence in _SENTENCE.split(text.strip()) if sentence]


def learn_requests(
    rows: Sequence[tuple[str, str]], *, support: int = 2, precision: float = 0.8
) -> FormRequests:
    """Find the sentences of questions that go with a form of the answer.

    A sentence asks for a form if a share ``precision`` of the answers to questions that hold it
    takes the form, if the form is at least twice as frequent there as it is anywhere, and if
    ``support`` of these questions hold no likelier request: what is asked under one request twice
    is none itself.

    Args:
        rows: Ordinary questions and answers.
        support: Questions that must speak for a sentence.
        precision: Share of the answers that must take the form.
    """
    holders: defaultdict[str, set[str]] = defaultdict(set)
    takers: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    frequency: Counter[str] = Counter()
    made: list[tuple[str, FormRequest]] = []
    whole: set[str] = set()
    for question, answer in rows:
        forms = detect(question, answer)
        frequency.update(found.form for found in forms)
        stated = dict.fromkeys(_SENTENCE.split(question))
        whole.update(stated if len(stated) == 1 else ())
        for found in forms:
            for sentence in _SENTENCE.split(_cut(question, found)):
                takers[sentence][found.form].add(question)
                made.append((sentence, FormRequest(_fill(sentence, found), found)))
                stated[sentence] = None
        for sentence in stated:
            holders[sentence].add(question)
    likely: dict[str, tuple[str, set[str]]] = {}
    # A request stands beside a question, never alone.
    for sentence in takers.keys() - whole:
        # One word, or one beside the slot, is too little to be a request.
        if len(re.findall(r"\w+", sentence)) < 2:
            continue
        shares = {form: len(q) / len(holders[sentence]) for form, q in takers[sentence].items()}
        usual = {form: frequency[form] / len(rows) for form in shares}
        fit = [form for form in shares if shares[form] >= max(precision, 2 * usual[form])]
        if fit:
            # The rarest form says most: what is in capitals is often one word too.
            form = min(fit, key=lambda form: (usual[form] ** 0.5 / shares[form], form))
            likely[sentence] = form, takers[sentence][form]
    asked = _explaining(likely, support)
    key = _commonest_key(request.found for _, request in made)
    seen = dict.fromkeys(
        request if request.found.form != "json" else FormRequest(request.text, FormUse("json", key))
        for sentence, request in made
        if asked.get(sentence) == request.found.form
    )
    return FormRequests(asked, list(seen))


def _explaining(likely: Mapping[str, tuple[str, set[str]]], support: int) -> dict[str, str]:
    """Of likely requests, each with its form and the questions that speak for it, the real ones.

    The one that most questions speak for explains them; the others are left with the rest.
    """
    asked: dict[str, str] = {}
    explained: set[str] = set()
    for sentence in sorted(likely, key=lambda each: (-len(likely[each][1]), each)):
        form, questions = likely[sentence]
        if len(questions - explained) >= support:
            asked[sentence] = form
            explained |= questions
    return asked


def _pattern(sentence: str) -> re.Pattern[str]:
    """What a request with a slot looks like, whatever fills the slot."""
    before, _, after = sentence.partition(_SLOT)
    # After the slot the sentence ends; what the slot ends with itself is its own full stop.
    slot = r"(\w+)" if after.strip() else r"(\S[^.!?\n]*[.!?])"
    return re.compile(re.escape(before) + slot + re.escape(after))


def _commonest_key(found: Iterable[FormUse]) -> str:
    keys = Counter(each.parameter for each in found if each.form == "json")
    return min(keys, key=lambda key: (-keys[key], key), default="answer")


def _cut(question: str, found: FormUse) -> str:
    """``question`` with what the answer repeats of it, the parameter, made a slot."""
    if not FORMS[found.form].quoted:
        return question
    return question.replace(found.parameter, _SLOT, 1)


def _fill(sentence: str, found: FormUse) -> str:
    return sentence.replace(_SLOT, found.parameter)
