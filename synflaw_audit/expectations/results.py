"""From a decision to what Great Expectations stores and shows, at every result format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synflaw_audit.expectations.decisions import ExpectationVerdict
from synflaw_audit.expectations.runs import META, AuditId, AuditRun
from synflaw_audit.expectations.subset import Subset
from synflaw_audit.expectations.unexpected import TEXT, unexpected
from synflaw_audit.report.words import group_name

# The most that a stored result names, whatever its format: results are kept for every run.
TEMPLATES = 10
GROUPS = 12


def failed_to_audit(run: AuditRun) -> dict[str, Any]:
    """The result of an expectation whose batch could not be audited at all."""
    failure = run.failure
    message = failure.message if failure else ""
    return {
        "success": False,
        "meta": {META: AuditId.of(run.outcome)},
        "result": {"observed_value": None, "details": {"message": message}},
        "exception_info": {
            "raised_exception": True,
            "exception_message": message,
            "exception_traceback": failure.traceback if failure else "",
        },
    }


def result(
    success: bool,
    decision: ExpectationVerdict,
    run: AuditRun,
    limits: Mapping[str, float],
    result_format: Mapping[str, Any],
) -> dict[str, Any]:
    """The validation result; flags the rows (the second pass) if a limit was exceeded."""
    body: dict[str, Any] = {
        "observed_value": decision.score,
        "element_count": run.rows.seen,
        "missing_count": run.rows.rejected,
        "missing_percent": 100 * run.rows.rejected_share,
        "details": _details(decision, run, limits),
    }
    excluded = bool(result_format.get("exclude_unexpected_values"))
    if decision.failing:
        subset = run.flagged()
        body.update(unexpected(subset, decision, run, result_format))
        body["details"]["templates"] = _templates(decision, run, subset)
        body["details"]["passes"] = run.outcome.passes
        if groups := _groups(decision.failing[0], run, limits):
            body["details"]["groups"] = groups
    if excluded:
        _exclude_texts(body["details"])
    # The meta survives every result format, so that an action finds the audit at BOOLEAN_ONLY too.
    return {"success": success, "meta": {META: AuditId.of(run.outcome)}, "result": body}


def _details(
    decision: ExpectationVerdict, run: AuditRun, limits: Mapping[str, float]
) -> dict[str, Any]:
    return {
        "verdict": decision.verdict,
        "message": decision.message,
        "low": decision.low,
        "high": decision.high,
        "limits": dict(limits),
        "failing": list(decision.failing),
        "observed": dict(decision.observed or {}),
        "rejected": run.rows.rejected,
        "passes": run.outcome.passes,
    }


def _templates(decision: ExpectationVerdict, run: AuditRun, subset: Subset) -> list[dict[str, Any]]:
    """The templates that the flagged rows follow, most frequent first."""
    counts = subset.templates(decision.failing)
    known = {template.id: template for template in run.templates}
    return [
        {
            "id": identity,
            "pattern": known[identity].pattern[:TEXT],
            "kind": known[identity].kind,
            "variants": [variant.pattern[:TEXT] for variant in known[identity].variants],
            "records": count,
            "share": count / max(decision.records, 1),
        }
        for identity, count in counts.most_common()
        if identity in known
    ][:TEMPLATES]


def _groups(check: str, run: AuditRun, limits: Mapping[str, float]) -> dict[str, Any] | None:
    """The batch's groups by a check, the largest flagged share first; None if it has none."""
    if run.groups is None:
        return None
    every = run.groups.groups
    shown = []
    for group in every[:GROUPS]:
        score = next(score for score in group.scores if score.name == check)
        measured = score.verdict != "undecided"
        shown.append(
            {
                "name": group_name(group)[:TEXT],
                "records": group.records,
                "flagged": group.flagged,
                "flagged_share": group.flagged_share,
                "score": score.score if measured else None,
                "low": score.low if measured else None,
                "high": score.high if measured else None,
                "stands_out": score.stands_out,
            }
        )
    more = len(every) - len(shown)
    by, limit = run.groups.by, limits.get(check)
    return {"by": by, "check": check, "limit": limit, "groups": shown, "more": more}


def _exclude_texts(details: dict[str, Any]) -> None:
    """Takes out of the details what is a text of the batch, or words that its texts share."""
    kept = {"basis", "bounds"} & details["observed"].keys()
    details["observed"] = {name: details["observed"][name] for name in kept}
    details.pop("groups", None)
    counts = ("id", "kind", "records", "share")
    if "templates" in details:
        details["templates"] = [
            {"pattern": "", "variants": [], **{name: template[name] for name in counts}}
            for template in details["templates"]
        ]
