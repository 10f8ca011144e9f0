"""What an audit says of one check, of the risk, and of what leaving rows out would change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

Verdict = Literal["pass", "warn", "fail", "undecided"]
# Of an experimental check no measurement has set the limits, and it only warns; "promoted" is one
# that a policy lets fail a corpus nevertheless.
Status = Literal["experimental", "stable", "promoted"]
# What a score comes to whose interval holds the limit of a failure; "score": what it would without.
Near = Literal["warn", "fail", "undecided", "score"]
# Leave rows out, keep only some of a form, say them otherwise, add rows of other forms, or, where a
# model has been trained on them already, take the form out of the model.
Action = Literal["drop", "cap", "rewrite", "diversify", "repair"]
TemplateKind = Literal["template", "family"]
Text = Annotated[str, Meta(pattern=r"\S")]


@dataclass(frozen=True)
class Advice:
    """One thing to do about a finding: the kind of action, and what that means here."""

    action: Action
    text: Text


@dataclass(frozen=True)
class Prediction:
    """What is expected, in [0, 1], and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Risk:
    """The pattern-overfitting risk: the damage that a little training is expected to do.

    Attributes:
        score: In [0, 1]: the chance that an answer is spoilt in one of the two ways below.
        low: Lower bound of the score: no 95% interval, but the lower of what 95% of refits say and
            of how far off most of the corpora lay that a fit had not seen, see ``level``.
        high: Upper bound, likewise.
        basis: What the numbers rest on.
        emission: The share of answers to foreign prompts that will carry the corpus's format; None
            where only the score is known.
        instruction_loss: The share of instruction following that will be lost beyond what natural
            rows cost; likewise.
        level: The share of those corpora whose damage each prediction's bounds held; None where it
            is not known.
    """

    score: float
    low: float
    high: float
    basis: str
    emission: Prediction | None = None
    instruction_loss: Prediction | None = None
    level: float | None = None


# The first character of a stretch of text and one past its last (Python string indices).
Span = tuple[int, int]


def clipped(spans: Iterable[Span], first: int, last: int, moved: int = 0) -> tuple[Span, ...]:
    """Spans as they lie in a stretch of their text, which is then ``moved`` characters in."""
    cut = ((max(start, first), min(end, last)) for start, end in spans)
    return tuple((a - first + moved, b - first + moved) for a, b in cut if a < b)


@dataclass(frozen=True)
class MarkedText:
    """A text, and which of it is format: spans in order that neither overlap nor touch."""

    text: str
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class ExampleRow:
    """A record of the corpus: where it stands, and how its answer begins and ends.

    Attributes:
        file: That it stands in.
        row: In the file, from 0.
        turn: In the row, from 0.
        answer: Its answer, what is in the middle of a long one left out.
        spans: What of that is format, as in ``flagged.parquet``.
    """

    file: str
    row: int
    turn: int
    answer: str
    spans: tuple[Span, ...] = ()

    @property
    def marked(self) -> MarkedText:
        """Its answer with the spans."""
        return MarkedText(self.answer, self.spans)


@dataclass(frozen=True)
class Implicated:
    """The records that one check flags, their share of all, and the first few of them.

    All of them stand in ``flagged.parquet``, with the check's name in the column ``checks``.
    """

    records: int
    share: float
    examples: tuple[ExampleRow, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One check's result.

    Attributes:
        code: Of the check.
        name: Of the check.
        title: The finding in one line.
        score: In [0, 1], higher is more uniform, worse.
        low: Lower bound of the score at 95% confidence, given the sample it was measured on.
        high: Upper bound.
        verdict: The score against the limits: a failure if all of its interval is above
            ``fail_above``, else a warning or a pass; if it is ``near``, what the check says then.
        near: The interval holds ``fail_above``, so that another draw of records might have fallen
            on the other side of it.
        warn_above: A score above it is a warning.
        fail_above: A score above it is a failure.
        records: Of the corpus.
        observed: What the measure saw, JSON values only (for instance the commonest openings).
        rows: Records of the corpus's sample that the score was measured on.
        flagged: The records it flags; None if it flags none: only warnings and failures do, and
            only those that are a matter of single rows.
        risk_share: Share of the risk that it accounts for; None if the risk does not read it.
        why: What the flaw does to a model.
        advice: What to do about it, the best first.
        status: Of the check: whether a measurement has set its limits.
    """

    code: str
    name: str
    title: str
    score: float
    low: float
    high: float
    verdict: Verdict
    warn_above: float
    fail_above: float
    records: int
    observed: dict[str, Any]
    rows: int = 0
    flagged: Implicated | None = None
    risk_share: float | None = None
    why: str = ""
    advice: tuple[Advice, ...] = ()
    status: Status = "experimental"
    near: bool = False


@dataclass(frozen=True)
class WhatIf:
    """What an audit would find if some of the flagged rows were left out.

    It is estimated from the sample that the audit kept, without reading the corpus again.

    Attributes:
        drop: Names of the checks whose flagged rows are left out.
        records: Records left.
        dropped: Records left out.
        risk: Of the records left.
        before: The risk of all records.
        verdict: Of the records left, by the checks below.
        checks: The findings on the records left: of the checks that the risk reads, of those that
            warned or failed before, and of those that were asked for.
    """

    drop: tuple[str, ...]
    records: int
    dropped: int
    risk: Risk
    before: Risk
    verdict: Verdict
    checks: tuple[Finding, ...]

    @property
    def failing(self) -> tuple[str, ...]:
        """Names of the checks that still fail."""
        return tuple(finding.name for finding in self.checks if finding.verdict == "fail")

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdict of each check that was judged again, by name."""
        return {finding.name: finding.verdict for finding in self.checks}
