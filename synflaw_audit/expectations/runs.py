"""One audit of one batch: its findings, and the rows it flags once an expectation fails.

A run is made by the shared metric and lives as long as the validation. What the checkpoint's action
needs of it afterwards, the outcome, is kept apart, because Great Expectations hands an action the
results and nothing else. It hangs from the id that the results carry, and lives as long as they do.
"""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from synflaw_audit.allowed import Allow, Allowances
from synflaw_audit.engines.base import Outputs, SecondPass
from synflaw_audit.errors import InputError, NoRowsError, SynflawError
from synflaw_audit.expectations.batches import OpenedBatch
from synflaw_audit.expectations.decisions import ExpectationVerdict, RowCounts, of_finding
from synflaw_audit.expectations.errors import shown
from synflaw_audit.expectations.subset import Subset
from synflaw_audit.findings.groups import Groups
from synflaw_audit.findings.report import Report, TemplateSummary, Verdict
from synflaw_audit.flagging.groups import Grouping
from synflaw_audit.reading import open_source
from synflaw_audit.reading.schemas import COLUMNS_ARE_NAMED, Pair
from synflaw_audit.report.words import risk_bounds
from synflaw_audit.run import MeasuredCorpus, measure
from synflaw_audit.verdicts.catalogue import Check, load_checks
from synflaw_audit.verdicts.risk import risk

# The key under which a validation result's ``meta`` names its audit, at every result format.
META = "synflaw_audit"

RISK = "the risk of pattern overfitting"

# How columns are named here, where there is no command line.
ARGUMENTS = (
    "give every expectation the arguments question= and answer= (for plain text and conversations "
    "answer= alone), or row_schema="
)


@dataclass(frozen=True)
class Failure:
    """Why a batch could not be audited: a sentence for the user, and the traceback."""

    message: str
    traceback: str


@dataclass
class AuditOutcome:
    """What is left of a run when its validation is over.

    Attributes:
        condition: Which rows of the batch were audited, in words; "" if all.
        id: Of the audit; stands in the ``meta`` of every result that rests on it.
        passes: Times that all rows were read.
        failure: Why there is no report, if there is none.
        report: What was found, by the suite's own limits.
        subset: The flagged rows; None if nothing failed.
    """

    condition: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    passes: int = 0
    failure: Failure | None = None
    report: Report | None = None
    subset: Subset | None = None


class AuditId(str):
    """An audit's id that keeps its outcome alive: as long as a result names it, it can be found.

    It is text to everyone else: copies are itself, and what is stored of it is a plain string.
    """

    outcome: AuditOutcome

    @classmethod
    def of(cls, outcome: AuditOutcome) -> AuditId:
        """The id of an outcome."""
        identity = cls(outcome.id)
        identity.outcome = outcome
        return identity

    def __copy__(self) -> AuditId:
        return self

    def __deepcopy__(self, memo: object) -> AuditId:
        return self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


class AuditRun:
    """The audit that all expectations of a validation run share.

    Attributes:
        outcome: What stays of it.
        columns: The question's and the answer's column; the question's is None where the rows
            have none.
        rows: How many of the batch's could be read.
        empty: Why there is nothing to audit, if the batch has no rows.
        groups: The flagged batch in groups, where it is to be grouped.
        batch: The batch.
    """

    batch: OpenedBatch
    _measured: MeasuredCorpus

    def __init__(self, condition: str = "", by: str | None = None) -> None:
        self.outcome = AuditOutcome(condition)
        self._by = Grouping(by) if by else None
        self.columns: tuple[str | None, str] = (None, "answer")
        self.rows = RowCounts()
        self.empty = ""
        self._limits: dict[str, float] = {}
        self._index: dict[str, None] = {}
        self.groups: Groups | None = None

    @classmethod
    def start(
        cls,
        open_batch: Callable[[], OpenedBatch],
        checks: Callable[[], tuple[Check, ...]] = load_checks,
        *,
        condition: str = "",
        reference: str | None = None,
        embedder: str = "lsa",
        seed: int = 0,
        allow: Sequence[Mapping[str, str]] | None = None,
        by: str | None = None,
    ) -> AuditRun:
        """Audit a batch: the first pass. Never raises; see ``failure``."""
        run = cls(condition, by)
        try:
            batch, known = run._opened(open_batch), checks()
            compared = None if reference is None else open_source(reference)
            formats = Allowances(tuple(Allow(**one).read() for one in allow or ()))
            run.outcome.passes += 1
            run._measured = measure(
                batch.engine,
                known,
                reference=compared,
                embedder=embedder,
                seed=seed,
                outputs=Outputs(allowed=formats, by=run._by),
            )
            schema = batch.schema()
            if isinstance(schema, Pair):
                run.columns = (schema.question, schema.answer)
            run.rows = RowCounts(
                run._measured.first.sketch.records,
                run._measured.first.rejected,
                run._measured.first.first_rejected,
            )
            run.batch = batch
        except NoRowsError as error:
            run.empty = str(error)
        except Exception as error:
            # Whatever went wrong, Great Expectations would try it three times over, each time
            # with a pass over the data, and then name a metric that no user has heard of.
            ours = shown(error)
            message = str(ours).replace(COLUMNS_ARE_NAMED, ARGUMENTS)
            frames = "".join(traceback.format_exception(ours))
            run.outcome.failure = Failure(message, frames)
        return run

    def _opened(self, open_batch: Callable[[], OpenedBatch]) -> OpenedBatch:
        """The batch; a row condition that is none is named by whatever evaluates it."""
        try:
            return open_batch()
        except Exception as error:
            if self.outcome.condition and not isinstance(error, SynflawError):
                said = f"{type(error).__name__}: {error}"
                raise InputError(f"row_condition ({self.outcome.condition}): {said}") from error
            raise

    @property
    def failure(self) -> Failure | None:
        """Why the batch could not be audited, if it could not."""
        return self.outcome.failure

    @property
    def templates(self) -> tuple[TemplateSummary, ...]:
        """The templates found."""
        report = self.outcome.report
        return report.templates if report else ()

    def request(self, limits: Mapping[str, float], index: Iterable[str]) -> None:
        """Note what one expectation will need of the second pass, should there be one.

        Where two expectations limit one check, for instance with different severities, rows are
        flagged by the stricter limit.
        """
        for name, limit in limits.items():
            self._limits[name] = min(limit, self._limits.get(name, 1.0))
        self._index.update(dict.fromkeys(index))
        if self.failure is None and not self.empty:
            self.outcome.report = self._report()

    def decide(self, check: str, limit: float) -> ExpectationVerdict:
        """A check's finding against a limit."""
        if self.empty:
            return ExpectationVerdict(
                "undecided", None, None, None, 0, f"{check}: undecided, {self.empty}"
            )
        judgement = self._measured.judge({check: limit})
        finding = judgement.finding(check)
        if finding is None:
            known = ", ".join(sorted(finding.name for finding in judgement.findings))
            message = f"there is no check {check!r} in this version; checks: {known}"
            return ExpectationVerdict("fail", None, None, None, self.rows.read, message)
        return of_finding(finding)

    def decide_risk(self, limit: float, limits: Mapping[str, float]) -> ExpectationVerdict:
        """The risk against a limit; above it, rows are flagged by the limits of the checks."""
        if self.empty:
            return self.decide(RISK, limit)
        findings = self._measured.judge().findings
        found = risk(findings)
        decisions = [self.decide(name, bound) for name, bound in limits.items()]
        if all(finding.verdict == "undecided" for finding in findings):
            few = f"{RISK}: undecided, no check could be decided on {self.rows.read:,} records"
            return ExpectationVerdict("undecided", None, None, None, self.rows.read, few)
        verdict: Verdict = "fail" if found.score > limit else "pass"
        words = "is above" if verdict == "fail" else "is within"
        return ExpectationVerdict(
            verdict=verdict,
            score=found.score,
            low=found.low,
            high=found.high,
            records=self.rows.read,
            message=f"{RISK}, {found.score:.3f} ({risk_bounds(found)}), {words} the limit "
            f"{limit:g}; {found.basis}",
            failing=tuple(n for d in decisions for n in d.failing) if verdict == "fail" else (),
            observed={"basis": found.basis, "bounds": risk_bounds(found)},
        )

    def flagged(self) -> Subset:
        """The second pass, made once: the rows of every check above the suite's own limit.

        Raises:
            Exception: What reading the batch raises; the first pass has read it before.
        """
        if self.outcome.subset is None:
            self.outcome.passes += 1
            self.outcome.subset = Subset(self._flag)
            self.outcome.report = self._report()
        return self.outcome.subset

    def _flag(self, folder: Path) -> SecondPass:
        outputs = Outputs(folder, index=tuple(self._index), by=self._by, fetched=True)
        judgement = self._measured.judge(self._limits)
        found = self._measured.flag(judgement, outputs)
        self.groups = self._measured.groups(judgement, found)
        return replace(found, groups=None)  # it holds a sample of each

    def _report(self) -> Report:
        """The report by the limits of the suite, as far as they are known."""
        subset = self.outcome.subset
        judgement = self._measured.judge(self._limits)
        report = self._measured.report(judgement, subset.found if subset else None)
        config = {**report.config, "limits": dict(self._limits)}
        return replace(report, config=config, groups=self.groups)
