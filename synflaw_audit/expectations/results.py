"""From a decision to what Great Expectations stores and shows, at every result format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synflaw_audit.expectations.decisions import Decision
from synflaw_audit.expectations.runs import META, AuditId, AuditRun
from synflaw_audit.expectations.subset import Subset

# Templates and rows named in a stored result, whatever the format: results are kept for every run.
TEMPLATES = 10
TEXT = 1_000


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
    decision: Decision,
    run: AuditRun,
    limits: Mapping[str, float],
    result_format: Mapping[str, Any],
) -> dict[str, Any]:
    """The validation result; flags the rows (the second pass) if the decision is a failure."""
    success = decision.verdict == "pass"
    body: dict[str, Any] = {
        "observed_value": decision.score,
        "element_count": decision.records,
        "details": _details(decision, run, limits),
    }
    if not success and decision.failing:
        subset = run.flagged()
        body.update(_unexpected(subset, decision, run, result_format))
        body["details"]["templates"] = _templates(decision, run, subset)
        body["details"]["passes"] = run.outcome.passes
    # The meta survives every result format, so that an action finds the audit at BOOLEAN_ONLY too.
    return {"success": success, "meta": {META: AuditId.of(run.outcome)}, "result": body}


def _details(decision: Decision, run: AuditRun, limits: Mapping[str, float]) -> dict[str, Any]:
    return {
        "verdict": decision.verdict,
        "message": decision.message,
        "low": decision.low,
        "high": decision.high,
        "limits": dict(limits),
        "failing": list(decision.failing),
        "observed": dict(decision.observed or {}),
        "rejected": run.rejected,
        "passes": run.outcome.passes,
    }


def _templates(decision: Decision, run: AuditRun, subset: Subset) -> list[dict[str, Any]]:
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


def _unexpected(
    subset: Subset, decision: Decision, run: AuditRun, result_format: Mapping[str, Any]
) -> dict[str, Any]:
    """The flagged rows under the names that Great Expectations uses for unexpected values."""
    level = str(getattr(result_format["result_format"], "value", result_format["result_format"]))
    count = subset.count(decision.failing)
    body: dict[str, Any] = {
        "unexpected_count": count,
        "unexpected_percent": 100 * count / max(decision.records, 1),
    }
    if level == "BOOLEAN_ONLY":
        return body
    names = list(result_format.get("unexpected_index_column_names") or [])
    partial = subset.rows(decision.failing, int(result_format["partial_unexpected_count"]))
    body["partial_unexpected_list"] = [_value(row, run) for row in partial]
    if level == "BASIC":
        return body
    body["partial_unexpected_index_list"] = [_index(row, names, run) for row in partial]
    body["flagged_examples"] = [_example(row) for row in partial]
    if names:
        body["unexpected_index_column_names"] = names
    if level == "COMPLETE":
        every = subset.rows(decision.failing, None)
        body["unexpected_list"] = [_value(row, run) for row in every]
        body["unexpected_index_list"] = [_index(row, names, run) for row in every]
        if result_format.get("include_unexpected_rows"):
            body["unexpected_rows"] = [_example(row) for row in every]
    return body


def _value(row: Mapping[str, Any], run: AuditRun) -> dict[str, str]:
    """A flagged row as Great Expectations names values: by its columns."""
    question, answer = run.columns
    pair = {question: row["question"]} if question else {}
    return {**pair, answer: row["answer"]}


def _index(row: Mapping[str, Any], names: Sequence[str], run: AuditRun) -> Any:
    """Where a flagged row is: its position, or its index columns and what they index."""
    if not names:
        return row["row"]
    return {**_value(row, run), **{name: row["index"].get(name) for name in names}}


def _example(row: Mapping[str, Any]) -> dict[str, Any]:
    """A flagged row with what is format in it, cut to a length fit for a page."""
    spans = [[span["start"], span["end"]] for span in row["template_spans"]]
    return {
        "row": row["row"],
        "index": row["index"],
        "question": row["question"][:TEXT],
        "answer": row["answer"][:TEXT],
        "template": row["template"],
        "template_spans": [[s, min(e, TEXT)] for s, e in spans if s < TEXT],
        "score": row["score"],
        "reason": row["reason"],
    }
