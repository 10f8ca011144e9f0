"""What an audit would find if flagged rows were left out, from the sample that it kept.

The sketch holds up to 20,000 records. The audit's own flagger marks those, the marked ones go, and
the rest is judged by the same checks as if it were the sketch of the smaller corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit import strict_toml
from synflaw_audit.errors import InputError
from synflaw_audit.findings.finding import WhatIf
from synflaw_audit.findings.report import Report
from synflaw_audit.measures import Batch
from synflaw_audit.records import unplaced
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import Sketch, labels_of
from synflaw_audit.text.tokens import Ints, Mask
from synflaw_audit.verdicts.catalogue import Check
from synflaw_audit.verdicts.judge import Judgement, judge
from synflaw_audit.verdicts.risk import forecast, risk

FLAGGED = "flagged"


@dataclass(frozen=True, eq=False)
class AuditSample:
    """What an audit keeps to answer ``Report.what_if``.

    Attributes:
        corpus: The sampled rows.
        checks: All that the audit judged by.
        judgement: What it found.
    """

    corpus: Corpus
    checks: tuple[Check, ...]
    judgement: Judgement

    def __call__(self, drop: str | Iterable[str], checks: Iterable[str]) -> WhatIf:
        """See ``Report.what_if``."""
        markers = dict(self.judgement.flagger.markers)
        wanted = [drop] if isinstance(drop, str) else list(drop)
        dropped = tuple(markers) if wanted == [FLAGGED] else self._names(wanted, (FLAGGED,))
        rows = self._marked([name for name in dropped if name in markers])
        marked = np.zeros(len(self.corpus.sketch), dtype=bool)
        marked[self.corpus.order[rows]] = True
        asked = set(forecast().checks) | set(self._names(checks))
        asked |= {f.name for f in self.judgement.findings if f.verdict in ("warn", "fail")}
        left = without(self.corpus.sketch, marked)
        judged = judge(
            replace(self.corpus, sketch=left), [c for c in self.checks if c.name in asked]
        )
        return WhatIf(
            drop=dropped,
            records=left.records,
            dropped=self.corpus.sketch.records - left.records,
            risk=risk(judged.findings),
            before=risk(self.judgement.findings),
            verdict=judged.verdict,
            checks=judged.findings,
        )

    def _names(self, wanted: Iterable[str], others: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The names of checks that are given by name or code."""
        names = {label: c.name for c in self.checks for label in (c.code.lower(), c.name)}
        for label in wanted:
            if label.lower() not in names:
                labels = [label for c in self.checks for label in (c.code, c.name)]
                raise InputError(strict_toml.unknown("check", label, [*labels, *others]))
        return tuple(dict.fromkeys(names[label.lower()] for label in wanted))

    def _marked(self, checks: Sequence[str]) -> Mask:
        """The sampled rows that these checks flag: bool [rows]."""
        records = unplaced(self.corpus.texts("question"), self.corpus.texts("answer"))
        batch = Batch(records, self.corpus.answer_tokens)
        mask = np.zeros(len(batch), dtype=bool)
        for name, marker in self.judgement.flagger.markers:
            if name in checks:
                mask |= marker.mark(batch).mask
        return mask


def sample_of(report: Report) -> AuditSample:
    """What the audit of a report kept of its corpus.

    Raises:
        InputError: The report was read from JSON, which does not hold it.
    """
    if not isinstance(report._what_if, AuditSample):
        raise InputError("this report does not hold the sample; audit the corpus again in Python")
    return report._what_if


def without(sketch: Sketch, marked: Mask) -> Sketch:
    """The sketch of the corpus without the marked records.

    It is exact where the sketch is complete. Elsewhere what is known of all records (their number,
    characters and labels) shrinks as it does in the sample, and of the answers those remain whose
    records are in the sample.

    Args:
        sketch: Of the corpus.
        marked: bool [entries of the sketch].
    """
    if not marked.any():
        return sketch
    kept = ~marked
    length = np.asarray(pc.utf8_length(sketch.answer), dtype=np.int64)

    def left(total: int, part: Ints) -> int:
        """What is left of a total that the sampled records are ``part`` of."""
        whole = int(part.sum())
        return round(total * int(part[kept].sum()) / whole) if whole else total

    return replace(
        sketch,
        records=left(sketch.records, sketch.count),
        characters=left(sketch.characters, sketch.count * length),
        labels=left(sketch.labels, sketch.count * labels_of(sketch.answer)),
        priority=sketch.priority[kept],
        count=sketch.count[kept],
        question=sketch.question.filter(pa.array(kept)),
        answer=sketch.answer.filter(pa.array(kept)),
        answers=sketch.answers.where(np.isin(sketch.answers.priority, sketch.priority[kept])),
    )
