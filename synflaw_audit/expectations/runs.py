"""One audit of one batch: its findings, and the rows it flags once an expectation fails.

A run is made by the shared metric and lives as long as the validation. What the checkpoint's action
needs of it afterwards, the outcome, is kept apart, because Great Expectations hands an action the
results and nothing else: the last few outcomes of this process can be found by their id.
"""

from __future__ import annotations

import time
import traceback
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from synflaw_audit.engines.base import FirstPass, silent
from synflaw_audit.engines.local.engine import sketched
from synflaw_audit.errors import InputError, SynflawError
from synflaw_audit.expectations.decisions import Decision, of_finding
from synflaw_audit.expectations.rows import Rows
from synflaw_audit.expectations.subset import Subset
from synflaw_audit.findings.report import (
    Dataset,
    Finding,
    Flagged,
    Report,
    TemplateSummary,
    Verdict,
)
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.measures import MEASURES, Marker
from synflaw_audit.reading import open_source
from synflaw_audit.reading.schemas import Pair, Schema
from synflaw_audit.run import versions
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.embedders import embedder_named
from synflaw_audit.verdicts.catalogue import Check, load_checks
from synflaw_audit.verdicts.judge import beside, judge, summaries
from synflaw_audit.verdicts.risk import risk

# The key under which a validation result's ``meta`` names its audit, at every result format.
META = "synflaw_audit"


@dataclass(frozen=True)
class Failure:
    """Why a batch could not be audited: a sentence for the user, and the traceback."""

    message: str
    traceback: str


@dataclass
class Outcome:
    """What is left of a run when its validation is over.

    Attributes:
        id: Of the audit; stands in the ``meta`` of every result that rests on it.
        passes: Times that all rows were read.
        failure: Why there is no report, if there is none.
        report: What was found, by the suite's own limits.
        subset: The flagged rows; None if nothing failed.
    """

    id: str
    passes: int = 0
    failure: Failure | None = None
    report: Report | None = None
    subset: Subset | None = None


class RecentOutcomes:
    """The last outcomes of this process, by id."""

    def __init__(self, most: int = 32) -> None:
        self._most = most
        self._by_id: OrderedDict[str, Outcome] = OrderedDict()

    def keep(self, outcome: Outcome) -> None:
        """Remember an outcome; the oldest is forgotten where there are too many."""
        self._by_id[outcome.id] = outcome
        while len(self._by_id) > self._most:
            self._by_id.popitem(last=False)

    def find(self, identity: str) -> Outcome | None:
        """The outcome with this id, if it is still remembered."""
        return self._by_id.get(identity)


RECENT = RecentOutcomes()


class AuditRun:
    """The audit that all expectations of a validation run share.

    Attributes:
        outcome: What stays of it.
        columns: The question's and the answer's column; the question's is None where the rows
            have none.
        rejected: Rows that make no record.
        templates: The templates found.
    """

    def __init__(self) -> None:
        self.outcome = Outcome(id=uuid.uuid4().hex)
        self.columns: tuple[str | None, str] = (None, "answer")
        self.rejected = 0
        self.templates: tuple[TemplateSummary, ...] = ()
        self._checks: tuple[Check, ...] = ()
        self._limits: dict[str, float] = {}
        self._index: dict[str, None] = {}
        self._findings: Mapping[str, Finding] = {}
        RECENT.keep(self.outcome)

    @classmethod
    def start(
        cls,
        open_rows: Callable[[], Rows],
        checks: Callable[[], tuple[Check, ...]] = load_checks,
        *,
        question: str | None = None,
        answer: str | None = None,
        reference: str | None = None,
        embedder: str = "lsa",
        seed: int = 0,
    ) -> AuditRun:
        """Audit a batch: the first pass. Never raises; see ``failure``."""
        run = cls()
        try:
            run._checks = checks()
            run._first_pass(open_rows(), question, answer, reference, embedder, seed)
        except Exception as error:
            # Whatever went wrong, Great Expectations would try it three times over, each time
            # with a pass over the data, and then name a metric that no user has heard of.
            message = (
                str(error)
                if isinstance(error, SynflawError)
                else f"{type(error).__name__}: {error}"
            )
            run.outcome.failure = Failure(message, traceback.format_exc())
        return run

    @property
    def failure(self) -> Failure | None:
        """Why the batch could not be audited, if it could not."""
        return self.outcome.failure

    def request(self, limits: Mapping[str, float], index: Iterable[str]) -> None:
        """Note what one expectation will need of the second pass, should there be one.

        Where two expectations limit one check, for instance with different severities, rows are
        flagged by the stricter limit.
        """
        for name, limit in limits.items():
            self._limits[name] = min(limit, self._limits.get(name, 1.0))
        self._index.update(dict.fromkeys(index))
        if self.failure is None:
            self.outcome.report = self._report()

    def judge(self, check: str, limit: float) -> Decision:
        """A check's finding against a limit."""
        finding = self._findings.get(check)
        if finding is None:
            known = ", ".join(sorted(self._findings))
            message = f"there is no check {check!r} in this version; checks: {known}"
            return Decision("fail", None, None, None, self._sketch.records, message)
        return of_finding(finding, limit)

    def judge_risk(self, limit: float, limits: Mapping[str, float]) -> Decision:
        """The risk against a limit; above it, rows are flagged by the limits of the checks."""
        found = self._base.risk
        decisions = [self.judge(name, bound) for name, bound in limits.items()]
        interval = f"{found.score:.3f} (95%: {found.low:.3f} to {found.high:.3f})"
        verdict: Verdict = "fail" if found.score > limit else "pass"
        if all(finding.verdict == "undecided" for finding in self._findings.values()):
            verdict = "undecided"
        words = {"fail": "is above", "pass": "is within", "undecided": "is undecided against"}
        return Decision(
            verdict=verdict,
            score=found.score,
            low=found.low,
            high=found.high,
            records=self._sketch.records,
            message=f"the risk of pattern overfitting, {interval}, {words[verdict]} the limit "
            f"{limit:g}; {found.basis}",
            failing=tuple(n for d in decisions for n in d.failing) if verdict == "fail" else (),
            observed={"basis": found.basis},
        )

    def flagged(self) -> Subset:
        """The second pass, made once: the rows of every check above the suite's own limit.

        Raises:
            Exception: What reading the batch raises; the first pass has read it before.
        """
        if self.outcome.subset is None:
            self.outcome.passes += 1
            batches = self._rows.flag(self._schema, self._flagger(), tuple(self._index))
            self.outcome.subset = Subset(batches)
            self.outcome.report = self._report()
        return self.outcome.subset

    def _first_pass(
        self,
        rows: Rows,
        question: str | None,
        answer: str | None,
        reference: str | None,
        embedder: str,
        seed: int,
    ) -> None:
        self._start = time.perf_counter()
        self._rows = rows
        self._schema: Schema = rows.schema(question, answer)
        if isinstance(self._schema, Pair):
            self.columns = (self._schema.question, self._schema.answer)
        self.outcome.passes += 1
        first = rows.sketch(self._schema)
        _require_records(rows.name, first)
        self.rejected, self._sketch = first.rejected, first.sketch
        self._read_seconds = time.perf_counter() - self._start
        self._corpus = Corpus(first.sketch, embedder_named(embedder, seed))
        compared: tuple[Finding, ...] = ()
        if reference is not None:
            other = Corpus(sketched(open_source(reference), silent).sketch, self._corpus.embedder)
            self._corpus = replace(self._corpus, reference=other)
            compared = judge(other, self._checks).findings
        judged = judge(self._corpus, self._checks)
        findings = beside(judged.findings, compared)
        self._findings = {finding.name: finding for finding in findings}
        self.templates = summaries(judged.templates, self._corpus)
        self._base = self._measured(seed, reference is not None)

    def _flagger(self) -> Flagger:
        """Marks the rows of every check above the suite's own limit."""
        markers: list[tuple[str, Marker]] = []
        for check in self._checks:
            limit = self._limits.get(check.name)
            if limit is None or self.judge(check.name, limit).verdict != "fail":
                continue
            marker = MEASURES[check.measure](**check.params).marker(self._corpus)
            if marker is not None:
                markers.append((check.name, marker))
        return Flagger(tuple(markers))

    def _measured(self, seed: int, compared: bool) -> Report:
        """The report before any expectation has said what its limits are."""
        corpus, sketch, name = self._corpus, self._sketch, self._rows.name
        return Report(
            dataset=Dataset(
                files=(name,),
                records=sketch.records,
                rejected=self.rejected,
                schema={name: str(self._schema)},
                tokens=_tokens(corpus),
            ),
            verdict="undecided",
            risk=risk(self._findings.values()),
            checks=tuple(self._findings.values()),
            templates=self.templates,
            flagged_summary=Flagged(0, 0.0),
            config={
                "checks": [check.code for check in self._checks],
                "embedder": corpus.embedder.name,
                "seed": seed,
                "reference": compared,
                "sample": {"rows": len(corpus), "complete": sketch.complete},
            },
            versions=versions(),
            seconds={"read": self._read_seconds, "total": time.perf_counter() - self._start},
        )

    def _report(self) -> Report:
        """The report by the limits of the suite, as far as they are known."""
        subset = self.outcome.subset
        flagged = subset.records if subset else 0
        checks = tuple(self._limited(finding) for finding in self._findings.values())
        return replace(
            self._base,
            verdict=_overall(checks, self._limits),
            checks=checks,
            flagged_summary=Flagged(flagged, flagged / self._sketch.records),
            config={**self._base.config, "limits": dict(self._limits)},
            seconds={**self._base.seconds, "total": time.perf_counter() - self._start},
            _flagged=subset.table if subset else None,
        )

    def _limited(self, finding: Finding) -> Finding:
        """A finding with the suite's limit in place of the check's, and the rows it flags."""
        if self.outcome.subset is not None:
            flagged = self.outcome.subset.tally.flagged(finding.name, finding.records)
            finding = replace(finding, flagged=flagged)
        limit = self._limits.get(finding.name)
        if limit is None:
            return finding
        verdict = of_finding(finding, limit).verdict
        warn = min(finding.warn_above, limit)
        return replace(finding, verdict=verdict, warn_above=warn, fail_above=limit)


def _require_records(name: str, first: FirstPass) -> None:
    if first.sketch.records == 0:
        raise InputError(
            f"{name}: none of its {first.rejected:,} rows can be read as question and answer; "
            f"the first: {first.first_rejected}"
        )


def _overall(checks: Iterable[Finding], limits: Mapping[str, float]) -> Verdict:
    """The worst verdict of the checks that the suite limits."""
    verdicts = {finding.verdict for finding in checks if finding.name in limits}
    for verdict in ("fail", "undecided", "pass"):
        if verdict in verdicts:
            return verdict
    return "undecided"


def _tokens(corpus: Corpus) -> int:
    """Tokens of all answers: exact where the sample is complete, else scaled up from it."""
    sampled = int(np.dot(corpus.answer_tokens.counts, corpus.weight))
    return round(sampled * corpus.sketch.records / max(corpus.sampled, 1))
