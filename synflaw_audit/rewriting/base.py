"""What a rewriter is: candidates for one row in one form; and what a row is to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from synflaw_audit.findings.finding import Span
from synflaw_audit.fixing.strategies import outside
from synflaw_audit.rewriting.mixture import WantedForm


@dataclass(frozen=True)
class RewriteRow:
    """A flagged answer that is to be said anew.

    Attributes:
        question: What was asked.
        answer: What was answered.
        spans: The half-open character spans of the answer that are format, in order.
        pattern: The template to avoid, in the report's notation; "" where none is named.
        facts: The words that must be said again: numbers, dates, names, code, quotations.
    """

    question: str
    answer: str
    spans: tuple[Span, ...] = ()
    pattern: str = ""
    facts: tuple[str, ...] = ()

    @cached_property
    def content(self) -> str:
        """What of the answer is no format."""
        return outside(self.answer, self.spans).strip()


class Rewriter(ABC):
    """Says rows anew. It proposes; the judges decide, so nothing it says is taken on trust.

    Attributes:
        costly: Whether what it said is kept for a run that is interrupted.
    """

    costly: ClassVar[bool] = False

    @property
    @abstractmethod
    def name(self) -> str:
        """What the outputs call it."""

    @property
    def identity(self) -> str:
        """All that decides what it says besides row and form; what is kept is known by it."""
        return self.name

    def estimate(self, work: Sequence[tuple[RewriteRow, WantedForm]]) -> str:
        """What it would cost to ask for all of some work, for a person."""
        return f"{len(work):,} candidates of {self.name}, which asks nobody"

    def notices(self) -> tuple[str, ...]:
        """What a person should know of how it went, such as what it cost."""
        return ()

    @abstractmethod
    def candidates(self, row: RewriteRow, form: WantedForm) -> list[str]:
        """New answers for a row, in a form, as many as there are; the same for the same row.

        An empty list says that it has none. That an answer is in the form is wished, not needed.
        """

    def many(
        self, work: Sequence[tuple[RewriteRow, WantedForm]]
    ) -> Iterator[tuple[int, list[str]]]:
        """The candidates of many rows, each with its number, in whatever order they are ready."""
        for number, (row, form) in enumerate(work):
            yield number, self.candidates(row, form)
