"""What a rewriting works on: the flagged answers, and what the corpus says elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from synflaw_audit.fixing.rows import FlaggedRow, FlaggedTurn
from synflaw_audit.fixing.strategies import AuditedCorpus, outside
from synflaw_audit.rewriting.base import RewriteRow
from synflaw_audit.rewriting.natural import Natural
from synflaw_audit.rewriting.rewrites import Rewritten
from synflaw_audit.verdicts.what_if import AuditSample

MOST_ROWS = 10_000  # that are kept of either kind to learn from


def natural_of(audited: AuditedCorpus, seed: int) -> Natural:
    """What a corpus says where nothing is flagged, and without its format: a sample of either."""
    flagged, contents = set(), _Draw(Random(f"{seed} contents"))  # noqa: S311 - no secret
    for row in audited.flagged():
        flagged.add((row.file, row.row))
        for turn in row.turns:
            contents.add((turn.question, outside(turn.answer, turn.spans).strip()))
    rows = _Draw(Random(f"{seed} rows"))  # noqa: S311 - no secret
    for batch in audited.source.batches():
        columns = (batch.column(name).to_pylist() for name in ("file", "row", "question", "answer"))
        for file, number, question, answer in zip(*columns, strict=True):
            if (file, number) not in flagged:
                rows.add((question, answer))
    return Natural(tuple(rows.kept), tuple(contents.kept))


class _Draw:
    """A fair draw from pairs, however many will come (Vitter 1985, algorithm R)."""

    def __init__(self, chance: Random) -> None:
        self.kept: list[tuple[str, str]] = []
        self._chance = chance
        self._seen = 0

    def add(self, pair: tuple[str, str]) -> None:
        self._seen += 1
        if len(self.kept) < MOST_ROWS:
            self.kept.append(pair)
        elif (place := self._chance.randrange(self._seen)) < MOST_ROWS:
            self.kept[place] = pair


def to_rewrite(audited: AuditedCorpus, natural: Natural) -> Iterator[Rewritten]:
    """The flagged turns, in the corpus's order, none with a candidate yet."""
    patterns = _patterns(audited.sample)
    for row in audited.flagged():
        yield from (_turn(row, turn, patterns, natural) for turn in row.turns)


def _turn(
    row: FlaggedRow, turn: FlaggedTurn, patterns: dict[str, str], natural: Natural
) -> Rewritten:
    content = outside(turn.answer, turn.spans)
    named = sorted({fact.value for fact in natural.facts(content)})
    source = RewriteRow(
        turn.question,
        turn.answer,
        turn.spans,
        patterns.get(turn.template or "", ""),
        tuple(named),
    )
    return Rewritten(row.file, row.row, turn.turn, source, turn.template or turn.reason)


def _patterns(sample: AuditSample) -> dict[str, str]:
    return {template.id: template.pattern for template in sample.judgement.templates}
