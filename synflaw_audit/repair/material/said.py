"""Does an answer carry the format that flagged rows share?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from synflaw_audit.engines.registry import open_engine
from synflaw_audit.probes.emission import FormatMatcher
from synflaw_audit.repair.material.batches import Row
from synflaw_audit.repair.material.wordings import wordings
from synflaw_audit.run import measure
from synflaw_audit.settings import AuditSettings
from synflaw_audit.text.tokens import Mask
from synflaw_audit.verdicts.catalogue import load_checks

# Of the flagged rows, what the audit is asked to find the format in again; of fewer rows than the
# least it would find nothing, or what they have in common by chance.
_MATCHED_ROWS = 2_000
_LEAST_MATCHED = 50


@dataclass(frozen=True)
class SaidFormat:
    """Tells whether answers carry the format that flagged rows share.

    By the audit's own finding on these rows, however short the format is (a heading, a list's
    layout), and by the longer wordings of their template spans.

    Attributes:
        matcher: The audit's finding; None of too few rows.
        templates: Wordings, in lower case.
    """

    matcher: FormatMatcher | None
    templates: tuple[str, ...]

    @classmethod
    def of(cls, flagged: Sequence[Row], seed: int = 0) -> SaidFormat:
        """What to look for after these rows, of which enough for an audit are drawn."""
        rows = list(flagged)
        if len(rows) > _MATCHED_ROWS:
            rows = random.Random(seed).sample(rows, _MATCHED_ROWS)  # noqa: S311
        matcher = None
        if len(rows) >= _LEAST_MATCHED:
            table = pa.table(
                {"question": [row.question for row in rows], "answer": [row.answer for row in rows]}
            )
            checks = load_checks()
            corpus = measure(open_engine(table, AuditSettings()), checks).corpus
            matcher = FormatMatcher.of(corpus, checks)
        return cls(matcher, tuple(text.lower() for text in wordings(flagged)))

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return self.matcher is not None or bool(self.templates)

    def __call__(self, prompts: Sequence[str], answers: Sequence[str]) -> Mask:
        """Which of the answers carry it, bool ``(answers,)``; what the prompt says is not counted.

        Args:
            prompts: What was asked.
            answers: What was answered, in the same order.
        """
        said = [
            any(text in answer.lower() and text not in prompt.lower() for text in self.templates)
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        found: Mask = np.array(said, dtype=bool)
        if self.matcher is not None:
            found |= self.matcher.match(prompts, answers).said
        return found
