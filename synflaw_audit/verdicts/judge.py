"""The verdicts: every check's measure scores the sketched corpus, and the scores are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from synflaw_audit.clock import Clock
from synflaw_audit.findings.finding import MarkedText, Status, clipped
from synflaw_audit.findings.report import Finding, TemplateSummary, Variant, Verdict
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.measures import MEASURES, Measure, Score
from synflaw_audit.records import unplaced
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.templates import Template
from synflaw_audit.verdicts.catalogue import Check
from synflaw_audit.verdicts.risk import shares

EXAMPLE_CHARACTERS = 600


@dataclass(frozen=True)
class CheckScore:
    """What a check's measure says of a corpus, before any limit has been put to it."""

    check: Check
    measure: Measure
    score: Score


@dataclass(frozen=True, eq=False)
class Judgement:
    """The findings of pass 1, and what pass 2 needs to flag rows.

    Attributes:
        corpus: What was judged.
        findings: One a check, in the order of the checks.
        templates: The templates found.
        verdict: Of the corpus.
        flagging: The checks whose rows are flagged, those that can say which these are.
    """

    corpus: Corpus
    findings: tuple[Finding, ...]
    templates: tuple[Template, ...]
    verdict: Verdict
    flagging: tuple[CheckScore, ...]

    @cached_property
    def flagger(self) -> Flagger:
        """Marks the rows of the checks that flag any."""
        marked = [(one.check.name, one.measure.marker(self.corpus)) for one in self.flagging]
        binding = [one.check.name for one in self.flagging if one.check.status != "experimental"]
        return Flagger.of(self.corpus, marked, binding)

    def finding(self, check: str) -> Finding | None:
        """What was found by the check of this name, if there is one."""
        return next((finding for finding in self.findings if finding.name == check), None)


def judge(corpus: Corpus, checks: Sequence[Check], clock: Clock | None = None) -> Judgement:
    """Scores a sketched corpus by every check, and judges it by their limits; see ``scored``."""
    return judged(corpus, scored(corpus, checks, clock))


def scored(
    corpus: Corpus, checks: Sequence[Check], clock: Clock | None = None
) -> tuple[CheckScore, ...]:
    """Scores a sketched corpus by every check.

    Args:
        corpus: What is scored.
        checks: Whose measures score it.
        clock: Is told the seconds of each check, as "measure.<name>". What several checks need,
            such as the tokens, is made for the first of them.
    """
    clock = clock or Clock()
    found: list[CheckScore] = []
    for check in checks:
        with clock(f"measure.{check.name}"):
            measure: Measure = MEASURES[check.measure](**check.params)
            found.append(CheckScore(check, measure, measure.score(corpus)))
    return tuple(found)


def judged(
    corpus: Corpus, scores: Sequence[CheckScore], limits: Mapping[str, float] | None = None
) -> Judgement:
    """Judges the scores of a corpus.

    Args:
        corpus: What was scored.
        scores: What ``scored`` says of it.
        limits: The scores above which checks fail, by their names, instead of all of the checks'
            own limits. A check without one then decides nothing and flags no rows.
    """
    if limits is not None:
        scores = [replace(one, check=_limited(one.check, limits)) for one in scores]
    findings = [_finding(one, corpus) for one in scores]
    deciding = [
        (one, finding.verdict)
        for one, finding in zip(scores, findings, strict=True)
        if limits is None or finding.name in limits
    ]
    if limits is None:
        verdict = overall([capped(one.check.status, verdict) for one, verdict in deciding])
    else:
        verdict = _worst([verdict for _, verdict in deciding])
    share = shares(findings)
    return Judgement(
        corpus=corpus,
        findings=tuple(replace(found, risk_share=share.get(found.name)) for found in findings),
        templates=tuple(template for one in scores for template in one.score.templates),
        verdict=verdict,
        flagging=tuple(one for one, verdict in deciding if verdict in ("warn", "fail")),
    )


def with_reference(findings: Sequence[Finding], compared: Sequence[Finding]) -> tuple[Finding, ...]:
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


def summaries(judgement: Judgement) -> tuple[TemplateSummary, ...]:
    """The templates as the report shows them, with the spans of the very run in the examples."""
    records = judgement.corpus.sketch.records
    return tuple(
        TemplateSummary(
            id=template.id,
            pattern=template.pattern,
            share=template.share,
            records=round(template.share * records),
            examples=tuple(_shown(one) for one in _flagged(template, judgement.flagger)),
            kind=template.kind,
            variants=tuple(
                Variant(pattern, share * template.share, round(share * template.share * records))
                for pattern, share in template.variants
            ),
        )
        for template in judgement.templates
    )


def _flagged(template: Template, flagger: Flagger) -> tuple[MarkedText, ...]:
    """A template's examples, marked as the flagger marks them if they are flagged."""
    answers = [example.text for example in template.examples]
    if not (flagger.markers and answers and template.id.startswith("A")):
        return template.examples
    mask, flagged, _ = flagger.flag(unplaced([""] * len(answers), answers))
    spans = iter(flagged.column("template_spans").to_pylist())
    return tuple(
        MarkedText(example.text, tuple((span["start"], span["end"]) for span in next(spans)))
        if found
        else example
        for example, found in zip(template.examples, mask.tolist(), strict=True)
    )


def _shown(example: MarkedText) -> MarkedText:
    text = example.text[:EXAMPLE_CHARACTERS]
    return MarkedText(text, clipped(example.spans, 0, len(text)))


def _verdict(check: Check, score: Score, records: int) -> tuple[Verdict, bool]:
    """The verdict, and whether it is near the limit.

    Between warning and passing the score itself decides, since neither stops anyone.
    """
    if records < check.min_records or _reason(score):
        return "undecided", False
    near = score.low <= check.fail_above < score.high
    if near and check.near != "score":
        return check.near, True
    if (score.value if near else score.low) > check.fail_above:
        return "fail", near
    return ("warn" if score.value > check.warn_above else "pass"), near


def _reason(score: Score) -> str:
    """Why the score decides nothing, if it does not: an interval of everything says nothing."""
    nothing = "the corpus holds nothing to measure it on"
    return score.undecided or (nothing if (score.low, score.high) == (0.0, 1.0) else "")


def _limited(check: Check, limits: Mapping[str, float]) -> Check:
    """The check with the limit that it is given, on the score itself; there is no warning then."""
    limit = limits.get(check.name)
    if limit is None:
        return check
    return replace(check, warn_above=limit, fail_above=limit, near="score")


def _finding(scored: CheckScore, corpus: Corpus) -> Finding:
    check, score = scored.check, scored.score
    verdict, near = _verdict(check, score, corpus.sketch.records)
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
        observed=score.observed | ({"reason": _reason(score)} if _reason(score) else {}),
        rows=len(corpus) if score.rows is None else score.rows,
        why=check.why.strip(),
        advice=check.advice,
        status=check.status,
        near=near,
    )


def capped(status: Status, verdict: Verdict) -> Verdict:
    """An experimental check warns at most: nothing measured yet says that it should stop anyone."""
    return "warn" if verdict == "fail" and status == "experimental" else verdict


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of the checks' verdicts; "undecided" where no check could decide."""
    order: tuple[Verdict, ...] = ("fail", "warn", "pass")
    return next((worst for worst in order if worst in verdicts), "undecided")


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    """By limits that somebody set: what could not be decided has not passed."""
    order: tuple[Verdict, ...] = ("fail", "undecided", "pass")
    return next((worst for worst in order if worst in verdicts), "undecided")
