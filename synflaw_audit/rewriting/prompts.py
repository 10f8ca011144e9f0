"""The prompts: one TOML file each, read strictly, as the checks are.

A prompt is policy, not code: what a model is asked, when, why, and examples that run as tests. A
folder of one's own (``prompts`` in the settings) goes through the same loader; a prompt of the same
name replaces ours. What a corpus says is put into its place once and is never read as a place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from synflaw_audit import strict_toml
from synflaw_audit.errors import CatalogueError
from synflaw_audit.findings.finding import Text
from synflaw_audit.rewriting.base import RewriteRow
from synflaw_audit.rewriting.mixture import WantedForm

_PLACE = re.compile(r"\{(\w+)\}")
_PLACES = ("question", "content", "facts", "avoid", "form", "domain")
_MOST_FACTS = 40
_SAID = {
    "shorter": "shorter than the answer, without leaving a fact out",
    "same": "about as long as the answer",
    "longer": "a little longer than the answer, in fuller sentences",
    "as it is": "in the layout of the answer",
    "prose": "in one paragraph",
    "paragraphs": "in short paragraphs",
    "list": "as a list, a point a line",
    "plain": "in plain words",
    "formal": "in formal words",
    "conversational": "as one speaks",
}
_OPENS = {
    "answer": "begin with the answer itself",
    "subject": "begin with what the question is about",
    "reason": "begin with the reason",
}


@dataclass(frozen=True)
class PromptExample:
    """A row, and what the prompt that is made of it must and must not hold; run as a test.

    Attributes:
        question: Of the row.
        content: Of its answer.
        facts: Of that.
        pattern: The template to avoid.
        domain: The corpus's words.
        form: That is wanted.
        contains: Texts that the prompt has.
        lacks: Texts that it has not.
    """

    question: str
    content: str
    contains: tuple[str, ...]
    facts: tuple[str, ...] = ()
    pattern: str = ""
    domain: tuple[str, ...] = ()
    form: WantedForm = field(default_factory=WantedForm)
    lacks: tuple[str, ...] = ()

    def row(self) -> RewriteRow:
        """The row, all of whose answer is content."""
        return RewriteRow(self.question, self.content, (), self.pattern, self.facts)


@dataclass(frozen=True)
class PromptTemplate:
    """What a model is asked.

    Attributes:
        name: The file's stem.
        when: "domain" is used where the corpus's domain is known, "any" elsewhere.
        why: Why it is worded so.
        text: With places in braces: question, content, facts, avoid, form, domain.
        examples: At least one.
    """

    name: str
    when: Literal["domain", "any"]
    why: Text
    text: Text
    examples: tuple[PromptExample, ...] = ()

    def of(self, row: RewriteRow, form: WantedForm, domain: Sequence[str] = ()) -> str:
        """The prompt for a row."""
        values = {
            "question": row.question.strip(),
            "content": row.content,
            "facts": _facts(row.facts),
            "avoid": _avoid(row.pattern),
            "form": _form(form),
            "domain": ", ".join(domain),
        }
        return _PLACE.sub(lambda found: values[found[1]], self.text).strip()


def _facts(facts: Sequence[str]) -> str:
    if not facts:
        return ""
    return f"Facts to keep, word for word: {'; '.join(facts[:_MOST_FACTS])}\n"


def _avoid(pattern: str) -> str:
    if not pattern:
        return ""
    return f"Do not write: {pattern.replace('<*>', '…')}\n"


def _form(form: WantedForm) -> str:
    said = (_SAID[form.length], _SAID[form.layout], _SAID[form.register], _OPENS[form.opening])
    return "; ".join(said) + "."


def load_prompt(file: Path) -> PromptTemplate:
    """Reads a prompt.

    Raises:
        CatalogueError: It is not valid; the message names file, key and choices.
    """
    prompt = strict_toml.load(file, PromptTemplate, lists={"example": "examples"})
    for key, problem in _problems(prompt, file):
        raise CatalogueError(f"{file}: {key}: {problem}")
    return prompt


def _problems(prompt: PromptTemplate, file: Path) -> Iterator[tuple[str, str]]:
    if prompt.name != file.stem:
        yield "name", f"{prompt.name!r} differs from the file's stem {file.stem!r}"
    places = _PLACE.findall(prompt.text)
    for place in places:
        if place not in _PLACES:
            yield "text", strict_toml.unknown("place", place, _PLACES)
    for place in ("question", "content"):
        if place not in places:
            yield "text", f"has no place {{{place}}}, so the model would not see it"
    if not prompt.examples:
        yield "example", "none given; a prompt needs one"
    for number, example in enumerate(prompt.examples, 1):
        if not example.contains:
            yield f"example {number}", "contains nothing, so it tests nothing"


@cache
def shipped() -> tuple[PromptTemplate, ...]:
    """Our own prompts."""
    folder = resources.files("synflaw_audit.rewriting").joinpath("data/prompts")
    with resources.as_file(folder) as path:
        return tuple(load_prompt(file) for file in sorted(Path(path).glob("*.toml")))


def load_prompts(own: Path | None = None) -> tuple[PromptTemplate, ...]:
    """The shipped prompts, and those of a folder of one's own, which replace them by name.

    Raises:
        CatalogueError: The folder holds no prompt, or one is not valid.
    """
    known = {prompt.name: prompt for prompt in shipped()}
    if own is not None:
        files = sorted(own.glob("*.toml"))
        if not files:
            raise CatalogueError(f"{own}: holds no prompt (*.toml)")
        known |= {file.stem: load_prompt(file) for file in files}
    return tuple(known.values())


def prompt_for(prompts: Sequence[PromptTemplate], domain: Sequence[str]) -> PromptTemplate:
    """The prompt for a corpus whose domain is known or not; one's own before ours."""
    fit = [each for each in prompts if each.when == "any" or domain]
    return max(enumerate(fit), key=lambda one: (one[1].when == "domain", one[0]))[1]
