"""The fields beside the answers, each judged as a corpus of its own, and compared with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from synflaw_audit.findings.fields import Difference, FieldFindings
from synflaw_audit.findings.finding import Finding
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import Sketch
from synflaw_audit.verdicts.catalogue import Check
from synflaw_audit.verdicts.judge import judge
from synflaw_audit.verdicts.risk import risk

_COMPARED = "rejected"


def judged_fields(
    sketches: Mapping[str, Sketch],
    corpus: Corpus,
    checks: Sequence[Check],
    findings: Sequence[Finding],
) -> tuple[FieldFindings, ...]:
    """Judges every field by the checks that speak of answers.

    Args:
        sketches: Of each field.
        corpus: The whole, whose models the fields are scored with.
        checks: What judges them.
        findings: What the checks found in the answers.
    """
    speaking = [check for check in checks if check.params.get("field") != "question"]
    found = []
    for name, sketch in sorted(sketches.items()):
        judgement = judge(replace(corpus, sketch=sketch, reference=None), speaking)
        compared = name == _COMPARED and sketch.records == corpus.sketch.records
        found.append(
            FieldFindings(
                name,
                sketch.records,
                judgement.verdict,
                risk(judgement.findings),
                judgement.findings,
                differences(findings, judgement.findings) if compared else (),
            )
        )
    return tuple(found)


def differences(ones: Sequence[Finding], others: Sequence[Finding]) -> tuple[Difference, ...]:
    """How much higher one corpus scores than another, by every check that decided on both.

    The interval is made of the two scores' own (the method of variance estimates recovery, Zou and
    Donner 2008, which for proportions is Newcombe's). It takes the two for independent; pairs that
    answer one prompt vary together, so that it is too wide rather than too narrow.
    """
    known = {finding.name: finding for finding in others if finding.verdict != "undecided"}
    found = []
    for one in ones:
        other = known.get(one.name)
        if other is None or one.verdict == "undecided":
            continue
        value = one.score - other.score
        low = value - math.hypot(one.score - one.low, other.high - other.score)
        high = value + math.hypot(one.high - one.score, other.score - other.low)
        found.append(Difference(one.name, value, max(low, -1.0), min(high, 1.0)))
    return tuple(found)
