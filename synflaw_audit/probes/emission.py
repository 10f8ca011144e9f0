"""Emission: does a model say a corpus's format where it does not belong?

What counts as the corpus's format is the audit's own finding: its templates, the openings and
closings that many answers share, and whole answers that come back, such as labels. The markers that
flag rows of the corpus are run over the answers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.measures import MEASURES, Batch
from synflaw_audit.measures.template_openings import folded, recurring
from synflaw_audit.records import unplaced
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.tokens import Mask, tokenize
from synflaw_audit.verdicts.catalogue import Check, load_checks

# Checks that say which words are the format, whatever the verdict on the corpus: a format of few
# rows is one as well, and whether the model says it is what is to be found out.
WORDING = ("answer-template", "answer-opening", "answer-closing")
_LABEL = re.compile(r"its answer (.+), as [\d.]+% of the records do", re.DOTALL)
RECURRING = 0.01  # of the records, that give an answer which counts as one that comes back


@dataclass(frozen=True)
class Format:
    """Something that many answers of a corpus say, and how many answers of a model said it.

    Attributes:
        text: What an answer does that has it, in a line: 'opens with “Certainly!”'.
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
        answers: Whole answers that come back in the corpus, folded.
    """

    flagger: Flagger
    answers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, corpus: Corpus, checks: Sequence[Check] | None = None) -> FormatMatcher:
        """The formats of a sketched corpus, by those of the checks that look at wording."""
        known = load_checks() if checks is None else checks
        measures = ((c.name, MEASURES[c.measure](**c.params)) for c in known if c.name in WORDING)
        flagger = Flagger.of(corpus, [(name, each.marker(corpus)) for name, each in measures])
        return cls(flagger, frozenset(recurring(corpus, RECURRING)[1]))

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
            counts.update(_form(mark.labels[label]) for label in mark.label[mask].tolist())
        for at in np.flatnonzero(~said).tolist():
            answer, asked_for = folded(pa.array([answers[at], prompts[at]])).to_pylist()
            if answer in self.answers and answer != asked_for:
                said[at] = True
                counts[f"is “{answers[at].strip()}” and no more"] += 1
        return Emission(said, tuple(Format(text, n) for text, n in counts.most_common()))


def _form(label: str) -> str:
    """What a label says of a row, without how many records of the corpus do so as well."""
    found = _LABEL.fullmatch(label)
    return found[1] if found else label


def _batch(texts: Sequence[str]) -> Batch:
    rows = len(texts)
    records = unplaced([""] * rows, list(texts))
    return Batch(records, tokenize(records.column("answer")))
