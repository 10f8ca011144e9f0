"""What a measure is: parameters, and two pure functions of a sketched corpus."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.phrases import Floats
from synflaw_audit.text.templates import Template
from synflaw_audit.text.tokens import Ints, Mask, Tokens


@dataclass(frozen=True)
class Score:
    """What a measure says of a corpus.

    Attributes:
        value: In [0, 1]; higher is more uniform, worse, for every measure.
        low: Lower bound of the value at 95% confidence, given the size of the sample.
        high: Upper bound.
        observed: What was seen, as JSON values.
        templates: The templates found, if the measure looks for any.
        undecided: Why the score decides nothing, if it does not.
        rows: Rows it was measured on; None for all of the sample.
    """

    value: float
    low: float
    high: float
    observed: dict[str, Any] = field(default_factory=dict)
    templates: tuple[Template, ...] = ()
    undecided: str = ""
    rows: int | None = None


@dataclass(frozen=True)
class Batch:
    """Records of pass 2 with the tokens of their answers."""

    records: pa.RecordBatch
    tokens: Tokens

    def __len__(self) -> int:
        return int(self.records.num_rows)


@dataclass(frozen=True)
class Marks:
    """The rows of a batch that a finding implicates.

    Attributes:
        mask: bool [rows].
        covered: bool [tokens of the answers], the tokens that are format.
        strength: float64 [rows] in [0, 1], how sure it is; 0 outside the mask.
        label: int64 [rows], index into ``labels``; -1 outside the mask.
        labels: What a person reads of the rows that carry it.
        templates: For each label, the id of its template, or None.
        verbatim: Whether rows are marked because others say the very same, numbers included.
    """

    mask: Mask
    covered: Mask
    strength: Floats
    label: Ints
    labels: tuple[str, ...]
    templates: tuple[str | None, ...]
    verbatim: bool = False


class Marker(Protocol):
    """Finds in any batch of the corpus the rows that a finding implicates."""

    def mark(self, batch: Batch) -> Marks:
        """Marks a batch; the outcome for a row does not depend on the rows around it."""


class Measure(Protocol):
    """A frozen dataclass of parameters. All it knows of a corpus it reads from its sketch."""

    def score(self, corpus: Corpus) -> Score:
        """Scores a corpus; a corpus without records scores 0."""

    def marker(self, corpus: Corpus) -> Marker | None:
        """What marks the rows that the score speaks of; None if it is no matter of single rows."""


def inclusion_chance(alike: Ints, others: int, drawn: float) -> Floats:
    """The chance that a draw without replacement holds at least one of some alike.

    The expectation under the hypergeometric distribution that rarefaction rests on (Hurlbert, "The
    nonconcept of species diversity", Ecology 1971); it makes counts from samples of different
    sizes comparable.

    Args:
        alike: int64 [kinds], how many of the others are of the kind looked for.
        others: What the draw is made from.
        drawn: How many are drawn; all if more than there are.
    """
    from scipy.special import gammaln

    drawn = min(drawn, others)
    rest = np.maximum(others - alike, 0) + 1.0
    left = rest - drawn
    missed = gammaln(rest) - gammaln(np.maximum(left, 1e-9))
    missed += gammaln(others - drawn + 1.0) - gammaln(others + 1.0)
    return np.asarray(np.where(left > 0, 1 - np.exp(missed), 1.0).clip(0, 1))
