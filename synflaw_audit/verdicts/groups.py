"""The groups of a corpus, each scored by every check, beside the corpus as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

from synflaw_audit.findings.finding import Finding
from synflaw_audit.findings.groups import Group, Groups, GroupScore
from synflaw_audit.flagging.groups import GroupSketches
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.verdicts.catalogue import Check
from synflaw_audit.verdicts.judge import judge

CONFIDENCE = 0.95


def judged_groups(
    grouped: GroupSketches, corpus: Corpus, checks: Sequence[Check], findings: Sequence[Finding]
) -> Groups:
    """Scores every group by every check.

    Args:
        grouped: What the second pass kept of the groups.
        corpus: The whole, whose reference and models the groups are scored with.
        checks: What scores them.
        findings: What the checks found in the whole corpus.
    """
    whole = {finding.name: finding for finding in findings}
    widened = widening(len(grouped.sketches) * len(checks))
    found = [
        _group(name, grouped, replace(corpus, sketch=sketch), checks, whole, widened)
        for name, sketch in grouped.sketches.items()
    ]
    found.sort(key=lambda group: (-group.flagged_share, -group.records, group.name or ""))
    return Groups(grouped.by.name, tuple(found))


def widening(comparisons: int) -> float:
    """How much wider an interval is that holds together with others than one that stands alone.

    Bonferroni's correction, for scores whose error is about normal: the ratio of the quantiles.
    """
    alone = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    together = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2 / max(comparisons, 1))
    return together / alone


def _group(
    name: str | None,
    grouped: GroupSketches,
    corpus: Corpus,
    checks: Sequence[Check],
    whole: dict[str, Finding],
    widened: float,
) -> Group:
    judgement = judge(corpus, checks)
    scores = []
    for finding in judgement.findings:
        low = max(finding.score - widened * (finding.score - finding.low), 0.0)
        high = min(finding.score + widened * (finding.high - finding.score), 1.0)
        decided = finding.verdict != "undecided"
        above = decided and low > whole[finding.name].high
        scores.append(GroupScore(finding.name, finding.score, low, high, finding.verdict, above))
    records = corpus.sketch.records
    return Group(name, records, grouped.flagged.get(name, 0), len(corpus), tuple(scores))
