"""The verdicts: every check's measure scores the sketched corpus, and the scores are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from synflaw_audit.clock import Clock
from synflaw_audit.findings.report import Finding, TemplateSummary, Verdict
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.measures import MEASURES, Marker, Measure, Score
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.templates import Template
from synflaw_audit.verdicts.catalogue import Check
from synflaw_audit.verdicts.risk import shares

EXAMPLE_CHARACTERS = 600


@dataclass(frozen=True)
class Judgement:
    """The findings of pass 1, and what pass 2 needs to flag rows."""

    findings: tuple[Finding, ...]
    templates: tuple[Template, ...]
    flagger: Flagger
    verdict: Verdict


def judge(corpus: Corpus, checks: Sequence[Check], clock: Clock | None = None) -> Judgement:
    """Scores a sketched corpus by every check.

    Args:
        corpus: What is judged.
        checks: What it is judged by.
        clock: Is told the seconds of each check, as "measure.<name>". What several checks need,
            such as the tokens, is made for the first of them.
    """
    clock = clock or Clock()
    findings: list[Finding] = []
    markers: list[tuple[str, Marker]] = []
    found: tuple[Template, ...] = ()
    for check in checks:
        with clock(f"measure.{check.name}"):
            measure: Measure = MEASURES[check.measure](**check.params)
            score = measure.score(corpus)
            verdict = _verdict(check, score, corpus.sketch.records)
            findings.append(_finding(check, score, verdict, corpus))
            found += score.templates
            if verdict in ("warn", "fail") and (marker := measure.marker(corpus)) is not None:
                markers.append((check.name, marker))
    verdicts = zip(checks, findings, strict=True)
    overall = _overall([_weighed(check, finding.verdict) for check, finding in verdicts])
    part = shares(findings)
    told = tuple(replace(finding, risk_share=part.get(finding.name)) for finding in findings)
    return Judgement(told, found, Flagger(tuple(markers)), overall)


def beside(findings: Sequence[Finding], compared: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings, each with the reference's score among what was observed."""
    if not compared:
        return tuple(findings)
    return tuple(
        replace(
            finding,
            observed={
                **finding.observed,
                "reference": {"score": other.score, "low": other.low, "high": other.high},
            },
        )
        for finding, other in zip(findings, compared, strict=True)
    )


def summaries(templates: Sequence[Template], corpus: Corpus) -> tuple[TemplateSummary, ...]:
    """The templates as the report shows them."""
    return tuple(
        TemplateSummary(
            id=template.id,
            pattern=template.pattern,
            share=template.share,
            records=round(template.share * corpus.sketch.records),
            examples=tuple(text[:EXAMPLE_CHARACTERS] for text in template.examples),
        )
        for template in templates
    )


def _verdict(check: Check, score: Score, records: int) -> Verdict:
    if records < check.min_records or score.undecided:
        return "undecided"
    if score.value > check.fail_above:
        return "fail"
    return "warn" if score.value > check.warn_above else "pass"


def _finding(check: Check, score: Score, verdict: Verdict, corpus: Corpus) -> Finding:
    return Finding(
        code=check.code,
        name=check.name,
        title=check.title,
        score=float(score.value),
        low=float(score.low),
        high=float(score.high),
        verdict=verdict,
        warn_above=check.warn_above,
        fail_above=check.fail_above,
        records=corpus.sketch.records,
        observed=score.observed | ({"reason": score.undecided} if score.undecided else {}),
        rows=len(corpus) if score.rows is None else score.rows,
        why=check.why.strip(),
        advice=check.advice,
        status=check.status,
    )


def _weighed(check: Check, verdict: Verdict) -> Verdict:
    """An experimental check warns at most: nothing measured yet says that it should stop anyone."""
    return "warn" if verdict == "fail" and check.status == "experimental" else verdict


def _overall(verdicts: Sequence[Verdict]) -> Verdict:
    order: tuple[Verdict, ...] = ("fail", "warn", "pass")
    return next((worst for worst in order if worst in verdicts), "undecided")
