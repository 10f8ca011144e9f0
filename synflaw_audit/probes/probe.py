"""Is this model overfitted to a pattern, and to which? What its answers show, without its data.

The answers to open prompts of many kinds are audited like a corpus, by the same checks: whatever
format they share has no place in most of them. With a base model beside it the two are compared
prompt by prompt, and only what the base does not say as well speaks against the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pyarrow as pa

from synflaw_audit.engines.registry import open_engine
from synflaw_audit.errors import InputError
from synflaw_audit.findings.report import Report
from synflaw_audit.outputs.folder import OutputFolder
from synflaw_audit.probes.answering import Answerer
from synflaw_audit.probes.counterfactual import TITLES, counterfactuals, failed
from synflaw_audit.probes.emission import Format, FormatMatcher
from synflaw_audit.probes.everyday import everyday_instructions, foreign_prompts
from synflaw_audit.probes.instructions import follows
from synflaw_audit.probes.intervals import (
    Figure,
    bootstrap,
    difference,
    share_difference,
    share_figure,
)
from synflaw_audit.probes.likeness import lengths, likeness
from synflaw_audit.run import audit, measure
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.settings import AuditSettings
from synflaw_audit.verdicts.catalogue import Check, defaults, load_checks

# Of the answers, what may carry a format before the model is called overfitted to it.
MAX_EMISSION = 0.1
_LENGTH = "answer-length"


@dataclass(frozen=True)
class ProbedFigure:
    """One figure of the model, the base's, and the difference, paired over prompts."""

    title: str
    model: Figure
    base: Figure | None = None
    difference: Figure | None = None


@dataclass(frozen=True)
class ProbeResult:
    """What a model's answers show.

    Attributes:
        model: Its name.
        base: The base's, if there is one.
        outcome: "fail" if it says a format where none belongs.
        reasons: Why it fails, one sentence each.
        figures: By name: ``emission`` (share of answers that carry a format of the answers, or of
            the corpus), ``instruction_following``, ``likeness``, ``words`` and, with a corpus, the
            kinds of :mod:`~synflaw_audit.probes.counterfactual`.
        formats: What is said, the commonest first.
        base_formats: The same formats in the base's answers.
    """

    model: str
    base: str | None
    outcome: Literal["pass", "fail"]
    reasons: tuple[str, ...]
    figures: dict[str, ProbedFigure]
    formats: tuple[Format, ...]
    base_formats: tuple[Format, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail."""
        return 0 if self.outcome == "pass" else 1

    def to_json(self) -> str:
        """The result as JSON; what ``probe.json`` holds."""
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        return orjson.dumps(asdict(self), option=options).decode()


def probe(
    model: Answerer,
    *,
    against: Answerer | None = None,
    corpus: Any = None,
    prompts: int = 212,
    instructions: int = 140,
    languages: Sequence[str] | None = None,
    counterfactual: int = 24,
    max_new_tokens: int = 64,
    out: Path | OutputFolder | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> tuple[ProbeResult, Report]:
    """Ask a model, and audit what it answers.

    Args:
        model: What is probed.
        against: Its base, asked the same.
        corpus: A corpus whose formats are looked for, as ``synflaw_audit.audit`` takes it, or one
            that is sketched already; without it, those that the answers share.
        prompts: Open prompts, at most as many as there are.
        instructions: Prompts with a verifiable instruction; 0 leaves them out.
        languages: Codes of the languages of those; all that there are if not given.
        counterfactual: Prompts of each kind that are made from the corpus's own rows, if there is
            one; 0 leaves them out.
        max_new_tokens: Of each answer.
        out: A directory for the audit's rows, as for ``synflaw_audit.audit``.
        log: Called with a line for each step.

    Returns:
        The result, and the audit of the answers.

    Raises:
        InputError: A model cannot be asked, answers nothing, or the corpus cannot be read; there
            are no prompts in one of the languages.
    """
    foreign = foreign_prompts()[:prompts]
    asked = everyday_instructions(instructions, languages=languages) if instructions else []
    known = load_checks()
    sketched = None if corpus is None else _sketched(corpus, known)
    made = [] if sketched is None else counterfactuals(sketched, counterfactual)
    everything = [
        *foreign,
        *(each.prompt for each in asked),
        *(each.instruction.prompt for each in made),
    ]
    answered: list[list[str]] = []
    for one in (model, against):
        if one is not None:
            log(f"asking {one.name}: {len(everything)} prompts")
            answered.append(one.answer(everything, max_new_tokens))
            if not any(answer.strip() for answer in answered[-1]):
                raise InputError(f"{one.name}: every answer is empty")
    answers, base = answered[0], answered[1] if against is not None else None
    open_answers = answers[: len(foreign)]
    rows = pa.table({"question": list(foreign), "answer": open_answers})
    log("auditing the answers")
    # The answers are of one length because they are cut at it.
    report = audit(
        rows, out=out, checks=[check for check in defaults(known) if check.name != _LENGTH]
    )
    matcher = FormatMatcher.of(_sketched(rows, known) if sketched is None else sketched, known)
    said = matcher.match(foreign, open_answers)
    base_said = None if base is None else matcher.match(foreign, base[: len(foreign)])

    def both(function: Callable[[Sequence[str]], Any]) -> tuple[Any, Any]:
        mine = function(answers)
        return mine, None if base is None else function(base)

    figures = {
        "emission": _shares(
            "Answers that carry a format", said.said, None if base_said is None else base_said.said
        )
    }
    if asked:

        def obeyed(texts: Sequence[str]) -> list[bool]:
            replies = texts[len(foreign) : len(foreign) + len(asked)]
            pairs = zip(replies, asked, strict=True)
            return [follows(answer, each) for answer, each in pairs]

        figures["instruction_following"] = _shares("Instructions followed", *both(obeyed))
    figures["likeness"] = _means(
        "Likeness of the answers to one another",
        *both(lambda texts: likeness(texts[: len(foreign)])),
    )
    figures["words"] = _means(
        "Words of an answer", *both(lambda texts: lengths(texts[: len(foreign)]))
    )
    ours, theirs = both(lambda texts: failed(made, texts[len(everything) - len(made) :], matcher))
    for kind, outcome in ours.items():
        figures[kind] = _shares(TITLES[kind], outcome, None if theirs is None else theirs[kind])
    reasons = _reasons(figures["emission"], said.formats, corpus is not None)
    return (
        ProbeResult(
            model=model.name,
            base=None if against is None else against.name,
            outcome="fail" if reasons else "pass",
            reasons=reasons,
            figures=figures,
            formats=said.formats,
            base_formats=() if base_said is None else base_said.formats,
        ),
        report,
    )


def _sketched(source: Any, checks: Sequence[Check]) -> Corpus:
    if isinstance(source, Corpus):
        return source
    return measure(open_engine(source, AuditSettings()), checks).corpus


def _shares(title: str, ours: Any, theirs: Any) -> ProbedFigure:
    if theirs is None:
        return ProbedFigure(title, share_figure(ours))
    return ProbedFigure(
        title, share_figure(ours), share_figure(theirs), share_difference(ours, theirs)
    )


def _means(title: str, ours: Any, theirs: Any) -> ProbedFigure:
    def mean(values: Any) -> Figure:
        return bootstrap(lambda drawn: float(np.mean(drawn)), values)

    if theirs is None:
        return ProbedFigure(title, mean(ours))
    return ProbedFigure(title, mean(ours), mean(theirs), bootstrap(difference, ours, theirs))


def _reasons(
    emission: ProbedFigure, formats: tuple[Format, ...], of_corpus: bool
) -> tuple[str, ...]:
    """Why the model fails: surely more answers than are allowed carry a format."""
    found = emission.model if emission.difference is None else emission.difference
    if not found.low > MAX_EMISSION:
        return ()
    share, gap = emission.model, emission.difference
    bounds = f"{found.low:.0%} to {found.high:.0%}"
    said = f"{share.value:.0%} of its answers to open prompts carry "
    said += "a format of the corpus" if of_corpus else "a format that they share"
    said += f", {gap.value:.0%} more than of its base's" if gap is not None else ""
    first = f". Most often an answer {formats[0].text}" if formats else ""
    return (f"{said} ({bounds}; {MAX_EMISSION:.0%} is allowed){first}.",)
