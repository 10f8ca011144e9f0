"""What the parts of a corpus share that should share nothing, and questions answered otherwise."""

from __future__ import annotations

from dataclasses import dataclass

# What stands in a split's place in an overlap: a reference corpus, and all of the audited one.
REFERENCE, CORPUS = "reference", "corpus"


@dataclass(frozen=True)
class ShareEstimate:
    """A share with its 95% interval; of all that there is, value, low and high are one.

    What could not be looked at widens the interval, to [0, 1] where nothing could.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RowLocation:
    """Where a row stands."""

    file: str
    row: int


@dataclass(frozen=True)
class Overlap:
    """What of one part of a corpus stands in another one, too.

    Attributes:
        part: The split, such as "test", or "reference": the reference corpus.
        within: The split in which it is looked for, such as "train"; "corpus" for all of it.
        questions: Different questions of the part that were looked for.
        exact: The share of them that stand there, character by character.
        answered: The share that stand there with the same answer.
        near: The share that stand there, or a question does that nearly is the same; None if
            nobody looked.
        near_questions: So many questions that was looked up for.
        templates: The share of the part's records whose answer follows a template that answers
            there follow as well; None if nobody looked.
        examples: Some of the rows that stand in both: in the part, and there.
    """

    part: str
    within: str
    questions: int
    exact: ShareEstimate
    answered: ShareEstimate
    near: ShareEstimate | None = None
    near_questions: int = 0
    templates: float | None = None
    examples: tuple[tuple[RowLocation, RowLocation], ...] = ()


@dataclass(frozen=True)
class Conflicts:
    """Questions that are answered in more than one way.

    Attributes:
        questions: Different questions that were looked at.
        repeated: The share of them with more than one different answer.
        contradicted: The share with more than one answer of a word or three, which cannot all be
            right as wordings of one answer can.
        examples: Some of the latter, else of the former: two rows each.
    """

    questions: int
    repeated: ShareEstimate
    contradicted: ShareEstimate
    examples: tuple[tuple[RowLocation, RowLocation], ...] = ()


@dataclass(frozen=True)
class Leakage:
    """What the splits of a corpus share, and questions with conflicting answers.

    Attributes:
        overlaps: One for each two parts.
        conflicts: Of the whole corpus; None if it asks nothing.
    """

    overlaps: tuple[Overlap, ...] = ()
    conflicts: Conflicts | None = None

    @property
    def unjudged(self) -> tuple[Overlap, ...]:
        """The overlaps of which nothing is known."""
        return tuple(
            one
            for one in self.overlaps
            if not (one.questions or one.near_questions) and one.exact.low < one.exact.high
        )

    @property
    def shared(self) -> tuple[Overlap, ...]:
        """The overlaps in which anything is shared, but for templates."""
        return tuple(
            one for one in self.overlaps if one.exact.value or (one.near and one.near.value)
        )


def sentences(found: Leakage | None) -> list[str]:
    """What was found, a sentence for each two parts and one for conflicting answers."""
    if found is None:
        return []
    lines = [_overlap(each) for each in found.overlaps]
    conflicts = found.conflicts
    if conflicts is not None and conflicts.repeated.value:
        lines.append(
            f"Of {conflicts.questions:,} different questions {_shown(conflicts.repeated)} have "
            f"several answers, {_shown(conflicts.contradicted)} several of a word or three, which "
            f"cannot all be right{_examples(conflicts.examples)}."
        )
    return lines


def _overlap(one: Overlap) -> str:
    said = (
        f"Of {one.questions:,} different questions of {one.part} {_shown(one.exact)} stand in "
        f"{one.within} too, {_shown(one.answered)} with the same answer"
        if one.questions
        else f"No question of {one.part} is among the few that were kept of a corpus this large, "
        f"to be looked for in {one.within}"
    )
    if one.near is not None:
        said += f"; {_shown(one.near)} of {one.near_questions:,} do or nearly do"
    if one.templates is not None:
        said += f"; {_percent(one.templates)} of the records follow a template that is there too"
    return f"{said}{_examples(one.examples)}."


def _shown(share: ShareEstimate) -> str:
    if share.low == share.high:
        return _percent(share.value)
    return f"{_percent(share.value)} ({_percent(share.low)} to {_percent(share.high)})"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share else "none"


def _examples(examples: tuple[tuple[RowLocation, RowLocation], ...]) -> str:
    if not examples:
        return ""
    one, other = examples[0]
    return f", such as {one.file} row {one.row} and {other.file} row {other.row}"
