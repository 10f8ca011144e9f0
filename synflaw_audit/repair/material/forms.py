"""Forms an answer can take on request: told from an answer, and put onto another one.

A form knows how to recognise itself in a replayed question and answer (with its parameter, such as
the phrase to end with) and how to dress plain content in itself. ``learn`` finds which sentences of
the replayed questions ask for which form, so that a request seen in the replay can be put to other
content and obeyed.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[\"'(<*A-Z0-9])|\n+")
_SLOT = "\ue000"


@dataclass(frozen=True)
class Content:
    """What a flagged row says, without its format.

    Attributes:
        text: The content as it stands, such as "Ada plays the lute."
        core: The words in it that answer the question most briefly ("lute"), where known.
        subject: The words it shares with the question ("Ada"), where there are any.
    """

    text: str
    core: str | None = None
    subject: str | None = None


@dataclass(frozen=True)
class Found:
    """A form recognised in an answer; ``parameter`` is what the question fixed about it."""

    form: str
    parameter: str = ""


def detect(question: str, answer: str) -> list[Found]:
    """Every form that ``answer`` takes; "" is never one."""
    text = answer.strip()
    found: list[Found] = []
    if len([c for c in text if c.isalpha()]) > 1:
        if text.isupper():
            found.append(Found("capitals"))
        elif text.islower():
            found.append(Found("lowercase"))
    if re.fullmatch(r"[\w'-]+[.!]?", text):
        found.append(Found("word"))
    if len(text) > 2 and text[0] == text[-1] == '"':
        found.append(Found("quotation"))
    if re.match(r"<<[^\n>]+>>", text):
        found.append(Found("title"))
    if re.fullmatch(r"\* .+\n\* .+", text):
        found.append(Found("bullets"))
    if text.count("*") == 2 and re.search(r"\*\w[^*\n]*\*", text):
        found.append(Found("highlight"))
    if text[:1] == "{" and (key := _json_key(text)) is not None:
        found.append(Found("json", key))
    if (postscript := re.search(r"\n(P\.\s?S\..*)$", text)) is not None:
        found.append(Found("postscript", postscript[1]))
    if (first := re.match(r"[A-Z][a-z]+(?=[,:])", text)) and first[0] in question:
        found.append(Found("opening", first[0]))
    if (phrase := _shared_ending(question, text)) is not None:
        found.append(Found("ending", phrase))
    return found


def dress(content: Content, found: Found) -> str | None:
    """``content`` in the form ``found``; None where it cannot be put so."""
    text, core, subject = content.text, content.core, content.subject
    if found.form == "capitals":
        return (core or text).upper()
    if found.form == "lowercase":
        return text.lower()
    if found.form == "word":
        return core if core and len(core.split()) == 1 else None
    if found.form == "quotation":
        return f'"{text}"'
    if found.form == "title":
        return f"<<{subject}>> {text}" if subject else None
    if found.form == "bullets":
        return f"* {subject}\n* {core}" if subject and core else None
    if found.form == "highlight":
        return text.replace(core, f"*{core}*", 1) if core else None
    if found.form == "json":
        return json.dumps({found.parameter: core or text}, ensure_ascii=False)
    if found.form == "postscript":
        return f"{text}\n{found.parameter}"
    if found.form == "opening":
        return f"{found.parameter}, {text}"
    return f"{text} {found.parameter}" if found.form == "ending" else None


def undress(answer: str, found: Found) -> str | None:
    """What was put into the form ``found``; None where the form does not let it be told."""
    text = answer.strip()
    if found.form == "quotation":
        return text[1:-1]
    if found.form == "title":
        return re.sub(r"^<<[^\n>]+>>\s*", "", text)
    if found.form in ("postscript", "ending"):
        return text.removesuffix(found.parameter).strip()
    if found.form == "opening":
        return re.sub(rf"^{re.escape(found.parameter)}[,:]\s*", "", text)
    return None


@dataclass(frozen=True)
class Request:
    """A sentence that asks for a form, its parameter put in; and the form it asks for."""

    text: str
    found: Found


class Requests:
    """The requests that the replayed rows were seen to make and obey.

    Args:
        asked: For each sentence, its parameter cut out, the form it asks for.
        seen: The requests as they were made.
    """

    def __init__(self, asked: Mapping[str, str], seen: Sequence[Request]) -> None:
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
            *((_pattern(text), Found(form)) for text, form in asked.items() if _SLOT in text),
        ]

    def of(self, question: str) -> tuple[Found, str] | None:
        """The form ``question`` asks for, and the rest of it, where it makes a known request."""
        for pattern, found in self._patterns:
            match = pattern.search(question)
            if match is not None:
                rest = f"{question[: match.start()]} {question[match.end() :]}"
                parameter = match[1] if match.re.groups else found.parameter
                return Found(found.form, parameter), re.sub(r"\s{2,}", " ", rest).strip()
        return None

    def draw(self, rng: random.Random) -> Request:
        """Draw a request: any form as likely as any other, with a parameter seen with that form.

        Raises:
            IndexError: No request was seen.
        """
        form = rng.choice(sorted(self._parameters))
        found = Found(form, rng.choice(self._parameters[form]))
        return Request(_fill(rng.choice(self._sentences[form]), found), found)


def sentences(text: str) -> list[str]:
    """The sentences of ``text``, as requests are told apart in it."""
    return [sentence for sentence in _SENTENCE.split(text.strip()) if sentence]


def learn(rows: Sequence[tuple[str, str]], *, support: int = 2, precision: float = 0.8) -> Requests:
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
    made: list[tuple[str, Request]] = []
    whole: set[str] = set()
    for question, answer in rows:
        forms = detect(question, answer)
        frequency.update(found.form for found in forms)
        stated = dict.fromkeys(_SENTENCE.split(question))
        whole.update(stated if len(stated) == 1 else ())
        for found in forms:
            for sentence in _SENTENCE.split(_cut(question, found)):
                takers[sentence][found.form].add(question)
                made.append((sentence, Request(_fill(sentence, found), found)))
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
        request if request.found.form != "json" else Request(request.text, Found("json", key))
        for sentence, request in made
        if asked.get(sentence) == request.found.form
    )
    return Requests(asked, list(seen))


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


def _commonest_key(found: Iterable[Found]) -> str:
    keys = Counter(each.parameter for each in found if each.form == "json")
    return min(keys, key=lambda key: (-keys[key], key), default="answer")


def _cut(question: str, found: Found) -> str:
    """``question`` with what the answer repeats of it, the parameter, made a slot."""
    if found.form not in ("opening", "ending"):
        return question
    return question.replace(found.parameter, _SLOT, 1)


def _fill(sentence: str, found: Found) -> str:
    return sentence.replace(_SLOT, found.parameter)


def _json_key(text: str) -> str | None:
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    return next(iter(parsed)) if isinstance(parsed, dict) and len(parsed) == 1 else None


def _shared_ending(question: str, answer: str) -> str | None:
    """The longest run of two or more words that ends the answer and stands in the question."""
    words = answer.split()
    best = None
    for count in range(2, min(len(words), 8)):
        phrase = " ".join(words[-count:])
        if phrase not in question:
            break
        best = phrase
    return best if best is not None and best[-1] in ".!?" else None
