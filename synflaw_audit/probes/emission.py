"""Emission: does a model say a corpus's format where it does not belong?

What counts as the corpus's format is the audit's own finding: its templates, and the openings and
closings that many answers share. The markers that flag rows of the corpus are run over the answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.measures import MEASURES, Batch
from synflaw_audit.records import unplaced
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.tokens import Mask, tokenize
from synflaw_audit.verdicts.catalogue import Check, load_checks

# Checks that say which words are the format, whatever the verdict on the corpus: a format of few
# rows is one as well, and whether the model says it is what is to be found out.
WORDING = ("answer-template", "answer-opening", "answer-closing")


@dataclass(frozen=True)
class Format:
    """Something that many answers of a corpus say, and how many answers of a model said it.

    Attributes:
        text: What it is, in a line.
        answers: How many of the answers followed it.
    """

    text: str
    answers: int


@dataclass(frozen=True)
class Emission:
    """Which of a model's answers follow a format of the corpus.

    Attributes:
        said: bool [answers].
        formats: What was said, the commonest first.
    """

    said: Mask
    formats: tuple[Format, ...]


@dataclass(frozen=True)
class FormatMatcher:
    """Finds a corpus's formats in any answers.

    Attributes:
        flagger: The corpus's markers.
    """

    flagger: Flagger

    @classmethod
    def of(cls, corpus: Corpus, checks: Sequence[Check] | None = None) -> FormatMatcher:
        """The formats of a sketched corpus, by those of the checks that look at wording."""
        known = load_checks() if checks is None else checks
        measures = ((c.name, MEASURES[c.measure](**c.params)) for c in known if c.name in WORDING)
        return cls(Flagger.of(corpus, [(name, each.marker(corpus)) for name, each in measures]))

    def match(self, prompts: Sequence[str], answers: Sequence[str]) -> Emission:
        """Which answers say a format that their own prompt does not.

        Args:
            prompts: What was asked, in the same order; an answer that echoes it is not counted.
            answers: What the model said.
        """
        said = np.zeros(len(answers), dtype=bool)
        counts: Counter[str] = Counter()
        batch, asked = _batch(answers), _batch(prompts)
        for _, marker in self.flagger.markers:
            mark, echoed = marker.mark(batch), marker.mark(asked)
            mask = mark.mask & ~(echoed.mask & (echoed.label == mark.label))
            said |= mask
            counts.update(mark.labels[label] for label in mark.label[mask].tolist())
        return Emission(said, tuple(Format(text, n) for text, n in counts.most_common()))


def _batch(texts: Sequence[str]) -> Batch:
    rows = len(texts)
    records = unplaced([""] * rows, list(texts))
    return Batch(records, tokenize(records.column("answer")))
