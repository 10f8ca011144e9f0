"""What an audit would find if flagged rows were left out, from the sample that it kept.

The sketch holds up to 20,000 distinct rows with the number of records that each stands for. The
audit's own flagger marks those rows, the marked ones go, and the rest is judged by the same checks
as if it were the sketch of the smaller corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.errors import InputError
from synflaw_audit.findings.finding import WhatIf
from synflaw_audit.measures import Batch
from synflaw_audit.records import RECORDS
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import Hashes, Sketch, hashes_of, labels_of
from synflaw_audit.text.tokens import Ints, Mask
from synflaw_audit.verdicts import strict_toml
from synflaw_audit.verdicts.catalogue import Check
from synflaw_audit.verdicts.judge import Judgement, judge
from synflaw_audit.verdicts.risk import calibration, risk

FLAGGED = "flagged"


@dataclass(frozen=True, eq=False)
class Sample:
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
        marked = self._marked([name for name in dropped if name in markers])
        asked = {feature.check for feature in calibration().features} | set(self._names(checks))
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
        rows = len(self.corpus)
        columns = {
            "file": pa.repeat("", rows),
            "row": np.arange(rows),
            "turn": np.zeros(rows, dtype=np.int32),
            "question": self.corpus.texts("question"),
            "answer": self.corpus.texts("answer"),
        }
        records = pa.RecordBatch.from_arrays(
            [pa.array(columns[field.name]).cast(field.type) for field in RECORDS], schema=RECORDS
        )
        batch = Batch(records, self.corpus.answer_tokens)
        mask = np.zeros(rows, dtype=bool)
        for name, marker in self.judgement.flagger.markers:
            if name in checks:
                mask |= marker.mark(batch).mask
        return mask


def without(sketch: Sketch, marked: Mask) -> Sketch:
    """The sketch of the corpus without the marked rows.

    It is exact where the sketch is complete. Elsewhere what is known of all records (their number,
    characters and labels, the distinct answers) shrinks as it does in the sample.

    Args:
        sketch: Of the corpus.
        marked: bool [rows of the sketch].
    """
    if not marked.any():
        return sketch
    kept = ~marked
    length = np.asarray(pc.utf8_length(sketch.answer), dtype=np.int64)

    def left(total: int, part: Ints) -> int:
        """What is left of a total that the sampled rows are ``part`` of."""
        whole = int(part.sum())
        return round(total * int(part[kept].sum()) / whole) if whole else total

    return replace(
        sketch,
        records=left(sketch.records, sketch.count),
        characters=left(sketch.characters, sketch.count * length),
        labels=left(sketch.labels, sketch.count * labels_of(sketch.answer)),
        hash=sketch.hash[kept],
        count=sketch.count[kept],
        question=sketch.question.filter(pa.array(kept)),
        answer=sketch.answer.filter(pa.array(kept)),
        answers=_answers_left(sketch, kept),
    )


def _answers_left(sketch: Sketch, kept: Mask) -> Hashes:
    """The distinct answers without those of the rows that go.

    An answer that sampled rows give loses the share of its records that they lose. Of the answers
    that no sampled row gives, as many go as of the others; their hashes are random, so the first
    are as good as any.
    """
    answers = sketch.answers
    replied = hashes_of(sketch.answer)
    known, place = np.unique(replied, return_inverse=True)
    before, after = (np.bincount(place, weights) for weights in (sketch.count, sketch.count * kept))
    at = np.minimum(np.searchsorted(known, answers.hash), len(known) - 1)
    seen = known[at] == answers.hash
    count = np.where(seen, np.ceil(answers.count * after[at] / before[at]), answers.count)
    share = float((count[seen] > 0).mean()) if seen.any() else float(after.sum() / before.sum())
    unseen = np.flatnonzero(~seen)
    count[unseen[round(share * len(unseen)) :]] = 0
    stay = count > 0
    return replace(answers, hash=answers.hash[stay], count=count[stay].astype(np.int64))
