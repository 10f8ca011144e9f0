"""Judges candidates, and chooses for each answer the one that is most unlike its neighbours."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import pairwise

from synflaw_audit.rewriting.facts import Facts
from synflaw_audit.rewriting.judges.content import judge_content
from synflaw_audit.rewriting.judges.credibility import Credibility, objection
from synflaw_audit.rewriting.judges.format import FormatJudge
from synflaw_audit.rewriting.rewrites import Candidate, Rewritten
from synflaw_audit.rewriting.settings import RewriteSettings

Shingles = frozenset[tuple[str, str]]

_NEIGHBOURS = 32  # of one group, the latest chosen


def object_to_content(rewrites: Sequence[Rewritten], facts: Facts, least_coverage: float) -> None:
    """Notes of every candidate what its content lacks, or has too much."""
    for each in rewrites:
        for candidate in each.candidates:
            candidate.content = judge_content(facts, each.source, candidate.text)
            candidate.objection = candidate.content.objection(least_coverage)


def object_to_format(rewrites: Sequence[Rewritten], judge: FormatJudge) -> None:
    """Notes which candidates still hold a format of the corpus."""
    open_ = _open(rewrites)
    found = judge.known([(each.source.question, candidate.text) for each, candidate in open_])
    for (_, candidate), reason in zip(open_, found, strict=True):
        candidate.objection = reason


def object_to_credibility(
    rewrites: Sequence[Rewritten], said: Credibility, settings: RewriteSettings
) -> None:
    """Notes which candidates do not belong to their question.

    Args:
        rewrites: With candidates.
        said: Of the pairs that ``asked`` gives.
        settings: How sure it must be.
    """
    probability = iter(said.probability.tolist())
    for each in rewrites:
        each.original_credibility = next(probability)
        for candidate in _free(each):
            candidate.credibility = next(probability)
            candidate.objection = objection(
                candidate.credibility, each.original_credibility, settings.most_entropy
            )


def asked(rewrites: Sequence[Rewritten]) -> list[tuple[str, str]]:
    """The pairs whose credibility is to be judged: each answer's content, then its candidates.

    Those that another judge has objected to are not asked about.
    """
    return [
        (each.source.question, text)
        for each in rewrites
        for text in (each.source.content, *(candidate.text for candidate in _free(each)))
    ]


def choose(rewrites: Sequence[Rewritten], judge: FormatJudge, rounds: int) -> None:
    """Chooses a candidate for every answer that has one, so that they share no format.

    In each round the chosen are audited as a corpus; those in which a format is found give way to
    another candidate, where there is one. After the last round half of those are left without a
    rewrite that are least unlike their neighbours, again and again, until the audit finds nothing:
    a format is one as long as too many have it.
    """
    for number in range(1, rounds + 1):
        _fill(rewrites, number)
        found = _sharing(rewrites, judge)
        if not found:
            return
        for each, reason in found:
            if number < rounds and len(_free(each)) > 1:
                _give_up(each, reason)
    while found:
        by_format: defaultdict[str, list[Rewritten]] = defaultdict(list)
        for each, reason in found:
            by_format[reason].append(each)
        for reason, sharing in by_format.items():
            for each in sorted(sharing, key=lambda one: one.novelty)[: (len(sharing) + 1) // 2]:
                _give_up(each, reason)
        found = _sharing(rewrites, judge)


def _sharing(rewrites: Sequence[Rewritten], judge: FormatJudge) -> list[tuple[Rewritten, str]]:
    """Those whose chosen candidates have a format in common, and which."""
    chosen = [(each, each.chosen.text) for each in rewrites if each.chosen is not None]
    reasons = judge.new([(each.source.question, text) for each, text in chosen])
    return [(each, reason) for (each, _), reason in zip(chosen, reasons, strict=True) if reason]


def _give_up(each: Rewritten, reason: str) -> None:
    if each.chosen is not None:
        each.chosen.objection = f"has a format in common with other rewrites: {reason}"
        each.given_up, each.chosen = each.chosen, None


def _fill(rewrites: Sequence[Rewritten], number: int) -> None:
    latest: defaultdict[str, deque[Shingles]] = defaultdict(lambda: deque(maxlen=_NEIGHBOURS))
    for each in rewrites:
        neighbours = latest[each.group]
        if each.chosen is None:
            far = [(_distance(shingles(one.text), neighbours), one) for one in _free(each)]
            if far:
                each.novelty, each.chosen = max(far, key=lambda pair: pair[0])
                each.round = number
        if each.chosen is not None:
            neighbours.append(shingles(each.chosen.text))


def shingles(text: str) -> Shingles:
    """The pairs of neighbouring words of a text, its beginning and its lines' counting as words."""
    words = re.findall(r"\w+|\n\W?", text.lower())
    return frozenset(pairwise(["", *words]))


def _distance(one: Shingles, others: Iterable[Shingles]) -> float:
    """The Jaccard distance to the nearest; 1 if there is none."""
    near = (len(one & other) / max(len(one | other), 1) for other in others)
    return 1.0 - max(near, default=0.0)


def _open(rewrites: Sequence[Rewritten]) -> list[tuple[Rewritten, Candidate]]:
    return [(each, candidate) for each in rewrites for candidate in _free(each)]


def _free(each: Rewritten) -> list[Candidate]:
    """The candidates that nothing speaks against so far."""
    return [candidate for candidate in each.candidates if not candidate.objection]
