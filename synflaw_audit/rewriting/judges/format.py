"""Whether a format is in rewrites: the corpus's own, or one that they have among themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.records import unplaced
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import Sketch
from synflaw_audit.text.embedders import Embedder
from synflaw_audit.text.perplexity import LanguageModel
from synflaw_audit.verdicts.catalogue import Check
from synflaw_audit.verdicts.judge import judge

Pair = tuple[str, str]


@dataclass(frozen=True)
class FormatJudge:
    """Looks for formats in answers.

    Attributes:
        flagger: Marks the formats that the audit found in the corpus.
        checks: What rewrites are audited by, as a corpus.
        embedder: That audit's.
        language_model: Likewise.
        names: Of the checks that are heard.
        seed: Of that audit.
    """

    flagger: Flagger
    checks: tuple[Check, ...]
    embedder: Embedder
    language_model: LanguageModel
    names: frozenset[str]
    seed: int = 0

    def known(self, pairs: Sequence[Pair]) -> list[str]:
        """Of each answer, which of the corpus's formats is in it; "" if none is."""
        return _marked(self.flagger, pairs, self.names)

    def new(self, pairs: Sequence[Pair]) -> list[str]:
        """Of each answer, which format it has in common with the others; "" if none."""
        if not pairs:
            return []
        sketch = Sketch(seed=self.seed).added(unplaced(*zip(*pairs, strict=True)))
        corpus = Corpus(sketch, self.embedder, language_model=self.language_model)
        checks = [check for check in self.checks if check.name in self.names]
        return _marked(judge(corpus, checks).flagger, pairs, self.names)


def _marked(flagger: Flagger, pairs: Sequence[Pair], names: frozenset[str]) -> list[str]:
    found = [""] * len(pairs)
    if not (pairs and flagger.markers):
        return found
    mask, flagged, _ = flagger.flag(unplaced(*zip(*pairs, strict=True)))
    causes = zip(
        flagged.column("checks").to_pylist(), flagged.column("reason").to_pylist(), strict=True
    )
    for place, (checks, reason) in zip(mask.nonzero()[0].tolist(), causes, strict=True):
        if names.intersection(checks):
            found[place] = f"{', '.join(sorted(names.intersection(checks)))}: {reason}"
    return found
